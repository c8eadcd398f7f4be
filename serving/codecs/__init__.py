"""The formats of requests and answers, one module each, and the table that finds them by content type."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol, runtime_checkable

from serving.codecs import csv, json, jsonlines, npy, together
from serving.codecs.request import Decoded, Form
from serving.codecs.together import Together
from serving.errors import UnsupportedMediaTypeError, quoted
from serving.mediatypes import MediaType
from serving.signature import Outputs, Signature

__all__ = ["Decode", "Decoded", "Form", "Format", "Speaking", "Together", "formats", "of_content_type"]

Decode = Callable[[bytes, Signature], Decoded]
Encode = Callable[[Outputs, Form, int], bytes]
# Bodies that are text must be UTF-8; ASCII is a part of it.
CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


class Format(NamedTuple):
    """One content type, in and out; `encode` is None for one that is only read.

    `tensors_only` formats cannot carry sequences and maps; `single_output` ones carry one output, and
    `instead` names the format that carries several. `is_view` says that arrays are views of the body, so that
    reading one takes no time. `together` is how several are read and written at once, if that is done at all.
    """

    media_type: str
    decode: Decode
    encode: Encode | None
    aliases: frozenset[str] = frozenset()
    tensors_only: bool = True
    single_output: bool = False
    instead: str = ""
    is_view: bool = False
    together: Together | None = None

    def obstacle(self, signature: Signature) -> str:
        """Why this format cannot carry the model's answer; empty where it can."""
        if self.encode is None:
            return f"{self.media_type} is read, not written"
        if self.tensors_only and any(spec.kind != "tensor" for spec in signature.outputs):
            return f"{self.media_type} carries tensors only; this model's answer needs application/json"
        if self.single_output and len(signature.outputs) > 1:
            return f"{self.media_type} carries one output; this model's {len(signature.outputs)} need {self.instead}"
        return ""


@runtime_checkable
class Speaking(Protocol):
    """A model whose users know requests and answers in a form of their own."""

    default_accept: str
    """The format of answers where the request does not say."""
    empty_is_nothing: bool
    """Whether a request without a body is no error: nothing was asked, and 204 says that nothing is answered."""

    def formats(self, limit: int) -> tuple[Format, ...]:
        """Every format, the first for requests that name none; `limit` is the largest array taken, in bytes."""
        ...


def formats(limit: int) -> tuple[Format, ...]:
    """Every format, the default first; `limit` is the largest array taken, in bytes."""
    return (
        Format(
            "application/json",
            json.decode,
            json.encode,
            tensors_only=False,
            together=Together(together.decode_json, together.encode_json),
        ),
        Format(
            "application/jsonlines",
            jsonlines.decode,
            jsonlines.encode,
            frozenset({"application/x-jsonlines", "application/jsons", "application/x-ndjson"}),
            tensors_only=False,
        ),
        Format(
            "text/csv",
            csv.decode,
            csv.encode,
            single_output=True,
            instead="application/json",
            together=Together(together.decode_csv, together.encode_csv),
        ),
        Format(
            "application/x-npy",
            partial(npy.decode, limit=limit),
            npy.encode,
            single_output=True,
            instead="application/x-npz",
            is_view=True,
            together=Together(partial(together.decode_npy, limit=limit), together.encode_npy),
        ),
        Format("application/x-npz", partial(_read_npz, limit=limit), _write_npz),
    )


def _read_npz(body: bytes, signature: Signature, limit: int) -> Decoded:
    from serving.codecs import npz  # noqa: PLC0415 (with what reads zip files 3 ms of every start)

    return npz.decode(body, signature, limit)


def _write_npz(outputs: Outputs, form: Form, rows: int) -> bytes:
    from serving.codecs import npz  # noqa: PLC0415 (as above)

    return npz.encode(outputs, form, rows)


def of_content_type(header: str, known: tuple[Format, ...]) -> Format:
    """The format of a Content-Type header; JSON where there is none, as in AWS's containers.

    Raises:
        UnsupportedMediaTypeError: no such format, or a charset other than UTF-8.
    """
    media_type = MediaType.parse(header) if header.strip() else MediaType.parse(known[0].media_type)
    charset = media_type.parameters.get("charset", "utf-8").lower()
    if charset not in CHARSETS:
        raise UnsupportedMediaTypeError(f"charset: expected utf-8, got {quoted(charset)}")
    for entry in known:
        if media_type.name == entry.media_type or media_type.name in entry.aliases:
            return entry
    raise UnsupportedMediaTypeError(
        f"Content-Type: expected one of {', '.join(f.media_type for f in known)}, got {quoted(media_type.name)}"
    )
