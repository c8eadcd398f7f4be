"""How the answers to an invocation are written: each by itself, or those of a batch at once."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from serving.answer import Answer
from serving.batch import split
from serving.codecs import Form, Format
from serving.signature import Outputs

if TYPE_CHECKING:
    from serving.runs import Split


class Writing:
    """The format of answers.

    `splitting` gives, for requests of either form, what makes a batch's outputs into what its requests are told: their
    own answers where all are written at once, else their own parts of the outputs. Only what is asked for in one way
    has the same, which is how a batch is known to be written at once.
    """

    def __init__(self, chosen: Format) -> None:
        self._format = chosen
        self._of_rows: Split = partial(self._split, Form.ROW)
        self._of_columns: Split = partial(self._split, Form.COLUMN)

    def splitting(self, form: Form) -> "Split":
        """That of requests of this form."""
        return self._of_rows if form is Form.ROW else self._of_columns

    def answer(self, outputs: Outputs, form: Form, rows: int) -> Answer:
        """The answer of so many rows. Raises ServingError where the format cannot carry them."""
        encode = self._format.encode
        assert encode is not None  # negotiated: what is only read is never chosen  # noqa: S101
        return Answer(encode(outputs, form, rows), self._format.media_type)

    def _split(self, form: Form, outputs: Outputs, rows: Sequence[int]) -> Sequence[Answer | Outputs]:
        together = self._format.together
        if together and together.encode and sum(rows) == len(rows):
            texts = together.encode(outputs, form, len(rows))
            if texts is not None:
                return [Answer(text, self._format.media_type) for text in texts]
        return split(outputs, rows)
