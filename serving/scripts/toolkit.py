"""What AWS's inference toolkits make of bodies and predictions where a script does not say: their default formats.

    application/json    numpy.array(json.loads(text))       json.dumps, arrays as lists
    text/csv            a line a row, squeezed              a line a row
    application/x-npy   numpy.load, never pickled           numpy.save

A media type is compared without its parameters: `application/json; charset=utf-8` is JSON.
"""

import csv
import io
import json
from typing import Any

import numpy as np

from serving.scripts.contract import ScriptError

JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"
# Bodies of these types reach a script as `str`, all others as `bytes`.
TEXTS = (JSON, CSV)
ANY = "*/*"


def named(media_type: str) -> str:
    """A media type's name, in lower case and without parameters."""
    return media_type.partition(";")[0].strip().lower()


def decode(body: str | bytes, content_type: str) -> Any:  # noqa: ANN401 (an array)
    """The array that a body spells. Raises ScriptError with the status of the answer."""
    kind = named(content_type)
    try:
        if kind == JSON:
            return np.array(json.loads(body))
        if kind == CSV:
            return _from_csv(body if isinstance(body, str) else body.decode())
        if kind == NPY:
            return np.load(io.BytesIO(body if isinstance(body, bytes) else body.encode()), allow_pickle=False)
    except (ValueError, EOFError, RecursionError) as error:
        raise ScriptError(f"expected a body of {kind}, got one that cannot be read: {error}", status=400) from error
    raise ScriptError(f"Content-Type: expected one of {JSON}, {CSV}, {NPY}, got {kind!r}", status=415)


def encode(prediction: Any, accept: str) -> tuple[bytes, str]:  # noqa: ANN401 (whatever predict_fn gives)
    """A prediction as a body, and the body's type: the first of `accept` that is known. Raises ScriptError."""
    kinds = [named(part) for part in accept.split(",") if part.strip()]
    kind = next((JSON if kind == ANY else kind for kind in kinds if kind in (JSON, CSV, NPY, ANY)), None)
    if kind is None:
        raise ScriptError(f"Accept: expected one of {JSON}, {CSV}, {NPY}, got {accept!r}", status=406)
    try:
        if kind == JSON:
            return json.dumps(prediction, default=plain).encode(), kind
        array = np.asarray(prediction)
        stream = io.BytesIO()
        if kind == CSV:
            np.savetxt(stream, array, delimiter=",", fmt="%s")
        else:
            np.save(stream, array, allow_pickle=False)
    except (TypeError, ValueError) as error:
        raise ScriptError(f"a prediction of type {type(prediction).__name__} cannot be written as {kind}") from error
    return stream.getvalue(), kind


def _from_csv(text: str) -> Any:  # noqa: ANN401 (an array)
    """Numbers where all fields are some, else strings; one row or column has one axis."""
    array = np.array(list(csv.reader(io.StringIO(text)))).squeeze()
    try:
        return array.astype(np.float64)
    except ValueError:
        return array


def plain(value: Any) -> Any:  # noqa: ANN401 (an array, or one of numpy's numbers)
    """What JSON has in the place of numpy's values. Raises TypeError."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is nothing that JSON has")
