"""What AWS's inference toolkits make of bodies and predictions where a script does not say: their default formats.

There are two, and they read CSV differently: the older one, `sagemaker_containers`, is in AWS's scikit-learn and
XGBoost containers; the newer one, `sagemaker_inference`, in those of PyTorch and in generic ones.

                        older                                   newer
    application/json    numpy.array(json.loads(text))           the same
    text/csv            fields as float64, else as text,        numpy.genfromtxt: each column's type by itself
                        one row or one column has one axis
    application/x-npy   numpy.load, never pickled               the same
    application/x-npz   -                                       scipy.sparse.load_npz
    written as          JSON, arrays as lists; CSV by the csv   JSON; CSV by numpy.savetxt, which quotes nothing; npy
                        module; npy

The toolkits compare media types whole; here their parameters do not count, but that a script gets its body as bytes
where there are some, as it does there.
"""

import csv
import io
import json
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from serving.scripts.contract import ScriptError

JSON, CSV, NPY, NPZ = "application/json", "text/csv", "application/x-npy", "application/x-npz"
# Bodies of these types reach a script as `str`, all others as `bytes`.
TEXTS = (JSON, CSV)
WRITTEN = (JSON, CSV, NPY)
ANY = "*/*"

Read: TypeAlias = Callable[[str | bytes, str], Any]
Write: TypeAlias = Callable[[Any, str], str | bytes]


class UnsupportedFormatError(Exception):
    """A content type that is not read or written."""

    status_code = 415

    def __init__(self, content_type: str) -> None:
        super().__init__(f"Content type {content_type} is not supported by this framework.")


def named(media_type: str) -> str:
    """A media type's name, in lower case and without parameters."""
    return media_type.partition(";")[0].strip().lower()


def decode(body: str | bytes, content_type: str, read: Read) -> Any:  # noqa: ANN401 (an array)
    """What `read` makes of a body. Raises ScriptError with the status of the answer."""
    kind = named(content_type)
    try:
        return read(body, kind)
    except UnsupportedFormatError:
        raise ScriptError(
            f"Content-Type: expected one of {JSON}, {CSV}, {NPY}, got {kind!r}; input_fn can read what else there is",
            status=415,
        ) from None
    except (ValueError, EOFError, RecursionError, csv.Error) as error:
        raise ScriptError(f"expected a body of {kind}, got one that cannot be read: {error}", status=400) from error


def encode(prediction: Any, accept: str, write: Write) -> tuple[bytes, str]:  # noqa: ANN401 (whatever predict_fn gives)
    """A prediction as a body, and the body's type: the first of `accept` that is known. Raises ScriptError."""
    kinds = [named(part) for part in accept.split(",") if part.strip()]
    kind = next((JSON if kind == ANY else kind for kind in kinds if kind in (*WRITTEN, ANY)), None)
    if kind is None:
        raise ScriptError(f"Accept: expected one of {', '.join(WRITTEN)}, got {accept!r}", status=406)
    try:
        written = write(prediction, kind)
    except (TypeError, ValueError, csv.Error) as error:
        raise ScriptError(f"a prediction of type {type(prediction).__name__} cannot be written as {kind}") from error
    return written.encode() if isinstance(written, str) else written, kind


def read_older(body: str | bytes, kind: str) -> Any:  # noqa: ANN401 (an array)
    """As `sagemaker_containers` decodes; a pickled array is refused. Raises UnsupportedFormatError and ValueError."""
    if kind == JSON:
        return np.array(json.loads(body))
    if kind == CSV:
        return _fields(_text(body))
    if kind == NPY:
        return _npy(body)
    raise UnsupportedFormatError(kind)


def read_newer(body: str | bytes, kind: str) -> Any:  # noqa: ANN401 (an array)
    """As `sagemaker_inference` decodes; a pickled array is refused. Raises UnsupportedFormatError and ValueError."""
    if kind == JSON:
        return np.array(json.loads(body))
    if kind == CSV:
        return np.genfromtxt(io.StringIO(_text(body)), dtype=None, delimiter=",")
    if kind == NPY:
        return _npy(body)
    if kind == NPZ and not isinstance(body, str):
        from scipy import sparse  # noqa: PLC0415 (for such bodies alone)

        return sparse.load_npz(io.BytesIO(body))
    raise UnsupportedFormatError(kind)


def write_older(prediction: Any, kind: str) -> str | bytes:  # noqa: ANN401 (whatever predict_fn gives)
    """As `sagemaker_containers` encodes. Raises UnsupportedFormatError, TypeError, ValueError and csv.Error."""
    if kind != CSV:
        return _written(prediction, kind)
    array = np.array(prediction)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", strict=True).writerows(array[:, np.newaxis] if array.ndim == 1 else array)
    return text.getvalue()


def write_newer(prediction: Any, kind: str) -> str | bytes:  # noqa: ANN401 (whatever predict_fn gives)
    """As `sagemaker_inference` encodes. Raises UnsupportedFormatError, TypeError and ValueError."""
    if kind != CSV:
        return _written(prediction, kind)
    text = io.StringIO()
    np.savetxt(text, np.asarray(prediction), delimiter=",", fmt="%s")
    return text.getvalue()


def plain(value: Any) -> Any:  # noqa: ANN401 (an array, or one of numpy's numbers)
    """What JSON has in the place of numpy's values. Raises TypeError."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is nothing that JSON has")


def _written(prediction: Any, kind: str) -> str | bytes:  # noqa: ANN401 (whatever predict_fn gives)
    if kind == JSON:
        return json.dumps(prediction, default=plain)
    if kind != NPY:
        raise UnsupportedFormatError(kind)
    array = np.asarray(prediction)
    if array.dtype == object and all(isinstance(value, str) for value in array.flat):
        array = array.astype(str)  # labels that came out of a data frame: text needs no pickle
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def _fields(text: str) -> Any:  # noqa: ANN401 (an array)
    """Numbers where all fields are some, else strings; one row or column has one axis."""
    array = np.array(list(csv.reader(io.StringIO(text), strict=True))).squeeze()
    try:
        return array.astype(np.float64)
    except ValueError:
        return array


def _npy(body: str | bytes) -> Any:  # noqa: ANN401 (an array)
    return np.load(io.BytesIO(body.encode() if isinstance(body, str) else body), allow_pickle=False)


def _text(body: str | bytes) -> str:
    return body if isinstance(body, str) else body.decode()
