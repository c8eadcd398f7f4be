"""application/json: row form, column form, bare arrays; and the one policy for NaN and infinity.

Forms of a request (TensorFlow Serving's, and AWS's containers' bare array):

    {"instances": [row, ...]}            row form; a row is an array, or an object by input name
    {"inputs": array}                    column form; with several inputs an object by input name
    [row, ...]                           row form; a flat array for a model of rank 2 or more is one row
    {"input": ..., ...}                  one row, by input name

Row form answers `{"predictions": [...]}`, one element a row, an object by output name when the model has
several outputs. Column form answers `{"outputs": ...}`. An answer that has not one element a row (a mean
over the batch, say) takes column form whatever the request's: "predictions" always matches the rows.

NaN and infinity: JSON has none, Python's json, TensorFlow Serving and so AWS's containers write them as
the bare words NaN, Infinity and -Infinity. So do we, in both directions, so that what was sent can come
back; `null` is never a number.

Bytes: JSON has none. `{"b64": "..."}` stands for them, in requests wherever text belongs, in answers in the
outputs whose names end in `_bytes` (TensorFlow Serving's rule), and wherever text would be no UTF-8.
"""

import json
from base64 import b64encode
from typing import Any

import numpy as np
import orjson

from serving.codecs import json_parts, numbers
from serving.codecs.json_text import adjacent, parse
from serving.codecs.layout import BASE64, from_columns, from_rows, with_unit_axes
from serving.codecs.numbers import Numbers
from serving.codecs.request import Decoded, Form
from serving.errors import InvalidJsonError, UnknownSignatureError, quoted
from serving.signature import Array, Outputs, Signature, Value, is_per_row

FORMS = '{"instances": [...]}, {"inputs": ...} or an array'
# TensorFlow Serving's clients may name the signature. ONNX's have no name, so there any will do.
SIGNATURE_KEY = "signature_name"
BINARY_ENDING = "_bytes"
# Dtypes that orjson writes from a numpy array as it stands.
ORJSON_KINDS = "iufb"
NULL = b"null"
# How an answer of one element a row begins, and any other.
ROWS, COLUMNS = b'{"predictions":', b'{"outputs":'
# In a text of numbers only null has an n, and one byte is found thirty times as fast as four.
NULLS_FIRST = b"n"


def decode(body: bytes, signature: Signature) -> Decoded:
    """Read a request.

    Raises:
        BadRequestError: InvalidJsonError, or what `serving.codecs.layout` raises.
    """
    if len(signature.inputs) == 1 and (found := numbers.read(body)):
        return from_numbers(found, signature)
    if decoded := json_parts.decode(body, signature):
        return decoded
    try:
        document = parse(body)
    except InvalidJsonError:
        if rows := adjacent(body):
            return from_rows(rows, signature)
        raise
    if isinstance(document, dict):
        return _from_object(document, signature)
    if isinstance(document, list):
        return from_rows([document] if _is_one_row(document, signature) else document, signature)
    return from_rows([document], signature)


def encode(outputs: Outputs, form: Form, rows: int) -> bytes:
    """Write an answer of `rows` rows in the request's form."""
    if len(outputs) == 1:
        ((name, value),) = outputs.items()
        by_row = form is Form.ROW and is_per_row(value, rows)
        text = write(_of_name(name, value))
    else:
        by_row = form is Form.ROW and all(is_per_row(value, rows) for value in outputs.values())
        outputs = _with_binary(outputs)
        if by_row:
            text = b"[" + b",".join(_row_values(outputs, rows)) + b"]"
        else:
            text = _object({name: write(value) for name, value in outputs.items()})
    return b"%b%b}" % (ROWS if by_row else COLUMNS, text)


def _with_binary(outputs: Outputs) -> Outputs:
    return {name: _of_name(name, value) for name, value in outputs.items()}


def _of_name(name: str, value: Value) -> Value:
    """The output as its name has it: as bytes if it ends so."""
    return _in_base64(value) if name.endswith(BINARY_ENDING) else value


def _in_base64(value: Value) -> Value:
    """An array of text as one of objects that stand for its bytes; anything else is as it was."""
    if not isinstance(value, np.ndarray) or value.dtype != object:
        return value
    encoded = np.empty(value.size, dtype=object)
    encoded[:] = [_base64(text.encode() if isinstance(text, str) else text) for text in value.flat]
    return encoded.reshape(value.shape)


def _text_or_base64(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return _base64(value)


def _base64(value: bytes) -> dict[str, str]:
    return {BASE64: b64encode(value).decode("ascii")}


def row_values(outputs: Outputs, rows: int) -> list[bytes]:
    """One JSON text a row: the value, or an object by name when there are several outputs."""
    return _row_values(_with_binary(outputs), rows)


def _row_values(outputs: Outputs, rows: int) -> list[bytes]:
    if len(outputs) == 1:
        (values,) = outputs.values()
        return [write(_element(values, row)) for row in range(rows)]
    return [_object({name: write(_element(values, row)) for name, values in outputs.items()}) for row in range(rows)]


def write(value: Value) -> bytes:
    """One value as JSON: tensors as nested arrays in the shortest form that reads back as their dtype."""
    if isinstance(value, np.ndarray):
        return _write_array(value)
    return json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=False).encode()


def from_numbers(found: Numbers, signature: Signature) -> Decoded:
    """What is asked by a body of nothing but numbers, in the form that its key says."""
    (spec,) = signature.inputs
    if found.key == "inputs":
        return Decoded({spec.name: found.array}, Form.COLUMN)
    one_row = not found.key and found.array.ndim == 1 and rows_are_arrays(signature)
    array = found.array[np.newaxis] if one_row else found.array
    return Decoded({spec.name: with_unit_axes(array, spec)}, Form.ROW)


def _from_object(document: dict[str, Any], signature: Signature) -> Decoded:
    forms = document.keys() & {"instances", "inputs"}
    if not forms:
        return from_rows([document], signature)
    if len(forms) > 1 or document.keys() - forms - {SIGNATURE_KEY}:
        raise InvalidJsonError(f"expected one of {FORMS}, got an object with the keys {quoted(sorted(document))}")
    chosen = _chosen(document, signature)
    if "inputs" in document:
        decoded = from_columns(document["inputs"], chosen)
    elif isinstance(document["instances"], list):
        decoded = from_rows(document["instances"], chosen)
    else:
        raise InvalidJsonError(f'"instances": expected an array of rows, got {quoted(document["instances"])}')
    return decoded if chosen is signature else decoded._replace(signature=chosen.name)


def _chosen(document: dict[str, Any], signature: Signature) -> Signature:
    """The signature that the document names, the given one where it names none."""
    asked_for = document.get(SIGNATURE_KEY, signature.name)
    # TensorFlow Serving takes an empty name for none.
    if asked_for in ("", signature.name) or not signature.name:
        return signature
    if not isinstance(asked_for, str) or asked_for not in signature.others:
        names = ", ".join(map(quoted, signature.others)) or quoted(signature.name)
        raise UnknownSignatureError(f"{SIGNATURE_KEY}: expected one of {names}, got {quoted(asked_for)}")
    return signature.others[asked_for]


def _is_one_row(array: list[Any], signature: Signature) -> bool:
    """AWS's TensorFlow container takes a bare array that does not begin with `[[` as a single row.

    With objects in it, or for a model whose rows are scalars, it can only be the list of the rows.
    """
    return bool(array) and not isinstance(array[0], list | dict) and rows_are_arrays(signature)


def rows_are_arrays(signature: Signature) -> bool:
    """Whether a list may be one row; for a model whose rows are scalars it is several."""
    shape = signature.inputs[0].shape if len(signature.inputs) == 1 else ()
    return len(shape) > 1 and shape[1:] != (1,)


def _object(members: dict[str, bytes]) -> bytes:
    return b"{" + b",".join(orjson.dumps(name) + b":" + text for name, text in members.items()) + b"}"


def _element(values: Value, row: int) -> Value:
    if isinstance(values, np.ndarray):
        # Not `values[row]`, from which numpy would make of bytes a string that ends at their last byte but zeros.
        return values[row : row + 1].reshape(values.shape[1:])
    assert isinstance(values, list)  # is_per_row said so  # noqa: S101
    element: Value = values[row]
    return element


def _write_array(array: Array) -> bytes:
    if array.dtype.kind not in ORJSON_KINDS:
        return json.dumps(_plain(array.tolist()), separators=(",", ":"), ensure_ascii=False).encode()
    # orjson takes no array without axes: write it as one of length 1 and take the brackets off.
    contiguous = np.ascontiguousarray(array if array.ndim else array.reshape(1))
    text = orjson.dumps(contiguous, option=orjson.OPT_SERIALIZE_NUMPY)
    if array.dtype.kind == "f":
        text = _with_non_finite(text, contiguous)
    return text if array.ndim else text[1:-1]


def _with_non_finite(text: bytes, array: Array) -> bytes:
    """Put the words for NaN and infinity where orjson wrote null, in order: nothing else is null here."""
    if NULLS_FIRST not in text:
        return text
    words = [_word(value) for value in array[~np.isfinite(array)]]
    pieces = text.split(NULL)
    return b"".join(piece + word for piece, word in zip(pieces, [*words, b""], strict=True))


def _word(value: float) -> bytes:
    if np.isnan(value):
        return b"NaN"
    return b"Infinity" if value > 0 else b"-Infinity"


def _plain(value: Any) -> Any:  # noqa: ANN401 (whatever a runtime puts into its sequences and maps)
    """Lists, dicts, strings and numbers only, whatever a runtime put into its sequences and maps."""
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return _text_or_base64(value)
    if isinstance(value, complex):
        return [value.real, value.imag]
    return value
