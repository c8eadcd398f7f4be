"""One invocation: the whole data path in one screen.

    decode -> validate -> admit -> batch -> run -> split -> encode

The first two and the last are here and in `serving.codecs`; the others are the dispatcher's. Two callers take
this way: ASGI's (`serving.endpoint`), for everything, and the connection's own (`serving.express`), for requests
of the usual kind, which has the same steps called back instead of awaited. Of those that come at once the small ones
go through its first steps and its last together (`serving.cohort`, `serving.writing`).
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np

from serving.answer import Answer
from serving.batch import split
from serving.catalogue import Entry, Serving
from serving.codecs import Form, of_content_type
from serving.errors import ServingError
from serving.mediatypes import negotiate
from serving.selection import Selection
from serving.service import Service
from serving.signature import Inputs, Outputs, Signature, row_count
from serving.validation import validate
from serving.writing import Writing

log = logging.getLogger(__name__)

T = TypeVar("T")

# Bodies from here on are decoded and encoded in a thread, for parsing them takes longer than a thread's
# hand-over of some 50 us, and the loop must stay free for /ping.
OFFLOAD_BYTES = 128 * 1024
# The same where reading is to look at a header: then only the casting of other dtypes takes time, some 0.5 ms.
OFFLOAD_VIEW_BYTES = 1024 * 1024


class Asked(NamedTuple):
    """What a request's head asks for: the model, the format of the body and the formats of the answer."""

    selection: Selection
    content_type: str
    accept: str


class Begun(NamedTuple):
    """A request that is ready to be run: what runs it, its arrays, and what is to be known for its answer."""

    serving: Serving
    inputs: Inputs
    form: Form
    rows: int
    writing: Writing


class Invocation:
    """What a head asks for, found: may be used for any number of requests with that head.

    Raises ServingError: no such model, signature or format, or the models are not loaded yet.
    """

    def __init__(self, service: Service, asked: Asked) -> None:
        self._service = service
        self._asked = asked
        self._entry: Entry = service.catalogue().find(asked.selection)
        self._serving = self._entry.signature(asked.selection.signature)
        self._reader = of_content_type(asked.content_type, service.formats)
        self._writings: dict[str, Writing] = {}

    async def run(self, body: bytes) -> Answer:
        """One request's way through the server; keeps nothing of the body but its arrays. Raises ServingError."""
        begun = await self._do(partial(self.begin, body), len(body), is_long=self.is_long(body))
        del body
        outputs = await begun.serving.dispatcher.run(begun.inputs)
        return await self.finish(begun, outputs)

    async def finish(self, begun: Begun, outputs: Outputs) -> Answer:
        """The last step, in a thread if it is long."""
        size = size_of(outputs)
        return await self._do(lambda: self.end(begun, outputs), size, is_long=size >= OFFLOAD_BYTES)

    def is_long(self, body: bytes) -> bool:
        """Whether decoding and validating this would hold the loop up."""
        return len(body) >= (OFFLOAD_VIEW_BYTES if self._reader.is_view else OFFLOAD_BYTES)

    async def _do(self, work: Callable[[], T], size: int, *, is_long: bool) -> T:
        """Do the work here, or in a thread when it would hold the loop up."""
        return await self._service.offload.run(work, size) if is_long else work()

    @property
    def has_company(self) -> bool:
        """Whether others have come in this moment."""
        return self._serving.dispatcher.is_looking

    def announce(self) -> None:
        """A request has come and is begun soon: those with whom it may ride need not leave without it."""
        self._serving.dispatcher.announce()

    def begin(self, body: bytes) -> Begun:
        """Decode and validate. Raises ServingError."""
        decoded = self._reader.decode(body, self._serving.signature)
        serving = self._entry.signature(decoded.signature) if decoded.signature else self._serving
        writing = self._writing(serving.signature)
        inputs = validate(decoded.inputs, serving.signature)
        return Begun(serving, inputs, decoded.form, row_count(inputs), writing)

    def attempt(self, body: bytes) -> Begun | Exception:
        """The same, with whatever is raised as what it gives."""
        try:
            return self.begin(body)
        except Exception as error:  # noqa: BLE001 (whatever it is, its request is told)
            return error

    def begin_together(self, bodies: Sequence[bytes]) -> list[Begun] | None:
        """Decode and validate several, if they are one row each and nothing is wrong with any of them."""
        together, serving = self._reader.together, self._serving
        try:
            decoded = together.decode(bodies, serving.signature) if together else None
            if decoded is None:
                return None
            writing = self._writing(serving.signature)
            rows = split(validate(decoded.inputs, serving.signature), [1] * len(bodies))
        except ServingError:
            return None  # whose it is comes out one by one
        except Exception:
            # None of them may be lost to what nobody has foreseen.
            log.exception("%d bodies could not be read at once, and are read one by one", len(bodies))
            return None
        return [Begun(serving, inputs, decoded.form, 1, writing) for inputs in rows]

    def end(self, begun: Begun, outputs: Outputs) -> Answer:
        """Encode."""
        return begun.writing.answer(outputs, begun.form, begun.rows)

    def _writing(self, signature: Signature) -> Writing:
        """How the answer is written, settled before the model runs for nothing."""
        if signature.name not in self._writings:
            by_type = {entry.media_type: entry for entry in self._service.formats}
            chosen = negotiate(
                self._asked.accept,
                list(by_type),
                self._service.default_accept,
                lambda name: by_type[name].obstacle(signature),
            )
            self._writings[signature.name] = Writing(by_type[chosen])
        return self._writings[signature.name]


def size_of(outputs: Outputs) -> int:
    """The bytes of an answer's arrays."""
    size = 0
    for value in outputs.values():
        if isinstance(value, np.ndarray):
            size += value.nbytes
    return size
