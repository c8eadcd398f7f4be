"""One invocation: the whole data path in one screen.

    decode -> validate -> admit -> batch -> run -> split -> encode

The first two and the last are here and in `serving.codecs`; the others are the dispatcher's. Two callers take
this way: ASGI's (`serving.endpoint`), for everything, and the connection's own (`serving.express`), for small
bodies of the usual kind, which has the same steps called back instead of awaited.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np

from serving.answer import Answer
from serving.catalogue import Entry, Serving
from serving.codecs import Form, Format, of_content_type
from serving.mediatypes import negotiate
from serving.selection import Selection
from serving.service import Service
from serving.signature import Inputs, Outputs, Signature, row_count
from serving.validation import validate

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
    writer: Format


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
        self._writers: dict[str, Format] = {}

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

    def begin(self, body: bytes) -> Begun:
        """Decode and validate. Raises ServingError."""
        decoded = self._reader.decode(body, self._serving.signature)
        serving = self._entry.signature(decoded.signature) if decoded.signature else self._serving
        writer = self._writer(serving.signature)
        inputs = validate(decoded.inputs, serving.signature)
        return Begun(serving, inputs, decoded.form, row_count(inputs), writer)

    def end(self, begun: Begun, outputs: Outputs) -> Answer:
        """Encode."""
        writer = begun.writer
        assert writer.encode is not None  # negotiated: what is only read is never chosen  # noqa: S101
        return Answer(writer.encode(outputs, begun.form, begun.rows), writer.media_type)

    def _writer(self, signature: Signature) -> Format:
        """The format of the answer, settled before the model runs for nothing."""
        if signature.name not in self._writers:
            by_type = {entry.media_type: entry for entry in self._service.formats}
            chosen = negotiate(
                self._asked.accept,
                list(by_type),
                self._service.default_accept,
                lambda name: by_type[name].obstacle(signature),
            )
            self._writers[signature.name] = by_type[chosen]
        return self._writers[signature.name]


def size_of(outputs: Outputs) -> int:
    """The bytes of an answer's arrays."""
    size = 0
    for value in outputs.values():
        if isinstance(value, np.ndarray):
            size += value.nbytes
    return size
