"""The error table: every way a request can fail, with its HTTP status, its stable code and a safe message.

A request travels decode -> validate -> admit -> batch -> run -> split -> encode. Whatever goes wrong on
the way is raised as one of these classes and rendered by one handler as

    {"code": "wrong_rank", "error": "input 'x': expected 2 dimensions, got 3"}

`code` never changes once released: programs may depend on it. The text is for people and may improve. It
says what was wrong, what was expected and what was got, holds nothing internal (no path, no traceback)
and stays within 500 characters, because SageMaker shows callers only the first 2,048 of a failed answer.
"""

import json
from http import HTTPStatus
from reprlib import Repr
from typing import ClassVar

MESSAGE_LIMIT = 500
# The media type of an error's answer.
ERROR_TYPE = "application/json"
# Names and values out of a request are quoted in messages only up to this length.
QUOTE_LIMIT = 60
# Writes no more of a value than is shown: it may be 25 MB, and nested deeper than `repr` can go.
_SHORT = Repr()
_SHORT.maxlist = _SHORT.maxdict = _SHORT.maxstring = _SHORT.maxlong = _SHORT.maxother = QUOTE_LIMIT


def quoted(value: object) -> str:
    """The value as a message may show it: printable, on one line, at most `QUOTE_LIMIT` characters."""
    text = _SHORT.repr(value)
    return text if len(text) <= QUOTE_LIMIT else text[: QUOTE_LIMIT - 1] + "…"


class ServingError(Exception):
    """Base of everything a caller is told about; subclasses fix `status` and `code`."""

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    code: ClassVar[str] = "internal_error"
    default: ClassVar[str] = "the server failed on this request; its log says why"

    def __init__(self, message: str = "") -> None:
        text = message or self.default
        self.message = text if len(text) <= MESSAGE_LIMIT else text[: MESSAGE_LIMIT - 1] + "…"
        super().__init__(self.message)

    @property
    def body(self) -> dict[str, str]:
        """The JSON object that the caller receives; the code first, so that a cut-off text still has it."""
        return {"code": self.code, "error": self.message}

    @property
    def document(self) -> bytes:
        """The same as it is sent."""
        return json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode()


class BadRequestError(ServingError):
    """The request is at fault: 400 and a subclass's code."""

    status = HTTPStatus.BAD_REQUEST
    code = "bad_request"


class EmptyBodyError(BadRequestError):
    """No byte came where a request body belongs."""

    code = "empty_body"
    default = "the request has no body: expected the model's input in one of the supported formats"


class InvalidJsonError(BadRequestError):
    """The body is not JSON, or not of one of the documented forms."""

    code = "invalid_json"


class InvalidCsvError(BadRequestError):
    """The body is not CSV, or its columns cannot be laid out as the model's input."""

    code = "invalid_csv"


class InvalidNpyError(BadRequestError):
    """The body is not a .npy file, or its header is not one that numpy writes."""

    code = "invalid_npy"


class TruncatedNpyError(BadRequestError):
    """The .npy header claims more, or fewer, bytes than follow it."""

    code = "truncated_npy"


class ObjectNpyError(BadRequestError):
    """The .npy file holds pickled Python objects, which are code and never loaded from a request."""

    code = "object_npy"


class InvalidNpzError(BadRequestError):
    """The body is not a .npz file."""

    code = "invalid_npz"


class InvalidLibsvmError(BadRequestError):
    """The body is not libsvm's format."""

    code = "invalid_libsvm"


class InvalidRecordioError(BadRequestError):
    """The body is not RecordIO, or its records are not SageMaker's."""

    code = "invalid_recordio"


class RaggedArrayError(BadRequestError):
    """Rows of different lengths where an array belongs."""

    code = "ragged_array"


class WrongTypeError(BadRequestError):
    """Text where numbers belong, or the other way about."""

    code = "wrong_type"


class InexactValueError(BadRequestError):
    """A number that the model's data type cannot hold: 3.7 for int64, 300 for uint8, 1e40 for float32."""

    code = "inexact_value"


class WrongRankError(BadRequestError):
    """An array with too many or too few dimensions."""

    code = "wrong_rank"


class WrongDimensionError(BadRequestError):
    """An array whose dimensions differ from those the model has fixed."""

    code = "wrong_dimension"


class EmptyBatchError(BadRequestError):
    """A request without a single row."""

    code = "empty_batch"
    default = "the request holds no row: expected at least one"


class MissingInputError(BadRequestError):
    """One of the model's inputs is absent."""

    code = "missing_input"


class UnknownInputError(BadRequestError):
    """An input that the model does not have."""

    code = "unknown_input"


class UnknownSignatureError(BadRequestError):
    """A signature that the model does not have."""

    code = "unknown_signature"


class InvalidAttributeError(BadRequestError):
    """A custom attribute, or a part of a path that stands for one, that cannot be read."""

    code = "invalid_attribute"


class UnsupportedMethodError(BadRequestError):
    """A method of TensorFlow Serving's that the model was not saved for."""

    code = "unsupported_method"


class ModelRejectedInputError(BadRequestError):
    """A well-formed request on which the model itself cannot run, such as an index outside its table."""

    code = "model_rejected_input"
    default = "the model cannot run on these values, although their types and shapes are right"


class NotFoundError(ServingError):
    """No such path."""

    status = HTTPStatus.NOT_FOUND
    code = "not_found"


class UnknownModelError(ServingError):
    """A model, or a version of one, that is not served."""

    status = HTTPStatus.NOT_FOUND
    code = "unknown_model"


class MethodNotAllowedError(ServingError):
    """The path exists, the method does not."""

    status = HTTPStatus.METHOD_NOT_ALLOWED
    code = "method_not_allowed"


class NotAcceptableError(ServingError):
    """No format that the caller accepts can carry this model's answer."""

    status = HTTPStatus.NOT_ACCEPTABLE
    code = "not_acceptable"


class PayloadTooLargeError(ServingError):
    """The body is over the limit."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "payload_too_large"


class BodyTimeoutError(ServingError):
    """A large body that was not all there in time."""

    status = HTTPStatus.REQUEST_TIMEOUT
    code = "body_timeout"


class ArrayTooLargeError(ServingError):
    """A file header in the body claims an array over the limit, whatever the body's own size."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "array_too_large"


class UnsupportedMediaTypeError(ServingError):
    """A content type, charset or content encoding that is not read here."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "unsupported_media_type"


class UnreadableBodyError(ServingError):
    """The body is not what its content type says: 415 where AWS's container for such models answers that."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "unreadable_body"


class ModelFailedError(ServingError):
    """The model raised something that the request cannot be blamed for."""

    code = "model_failed"
    default = "the model failed on this request; the server's log says why"


class ScriptFailedError(ServingError):
    """The archive's script raised an error, returned what is no answer, or ended its process."""

    code = "script_failed"
    default = "the script failed on this request; the server's log says why"


class ScriptRejectedInputError(BadRequestError):
    """The archive's script, or the defaults in its place, said that the request is at fault."""

    code = "script_rejected_input"
    default = "the script refused this request"


class NotReadyError(ServingError):
    """The model is not loaded yet."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "not_ready"


class OverloadedError(ServingError):
    """More requests wait than the limit allows."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "overloaded"


class DeadlineExceededError(ServingError):
    """No answer within the time limit."""

    status = HTTPStatus.GATEWAY_TIMEOUT
    code = "deadline_exceeded"


class ModelLoadError(Exception):
    """The model cannot be served at all, so the process ends.

    Its text is for the operator, not for callers: what was found, what was expected, what to do.
    """
