"""The OpenAPI page's account of `/ping` and `/invocations`, drawn from the model's own signature."""

from collections.abc import Sequence
from typing import Any

import orjson

from serving.codecs import Format
from serving.signature import STRING, Signature, TensorSpec
from serving.warmup import synthesise

# An example longer than this helps nobody; the schema still tells the shape.
EXAMPLE_ELEMENTS = 256
# Free axes but the first get this size in examples.
EXAMPLE_SIZE = 4
JSON_TYPES = {"i": "integer", "u": "integer", "f": "number", "c": "number", "b": "boolean", "O": "string"}

Document = dict[str, Any]


def ping_path() -> Document:
    """The path item of `/ping`."""
    operation = {
        "summary": "Health check",
        "responses": {
            "200": {"description": "The model is ready"},
            "503": {"description": "The server is starting, loading, warming up or stopping"},
        },
    }
    return {"get": operation, "post": operation}


def invocations_path(signature: Signature | None, formats: Sequence[Format]) -> Document:
    """The path item of `/invocations`; without a signature (still loading) it tells only the formats."""
    content = {entry.media_type: _content(entry, signature) for entry in formats}
    return {
        "post": {
            "summary": "Run the model",
            "description": _description(signature),
            "requestBody": {"required": True, "content": content},
            "responses": {
                "200": {
                    "description": "The model's outputs, in the format that Accept asks for",
                    "content": {entry.media_type: {} for entry in formats if entry.encode},
                },
                "4XX": _error("The request is at fault; `code` says how"),
                "5XX": _error("The server is not ready, overloaded, or the model failed"),
            },
        }
    }


def script_path() -> Document:
    """The path item of `/invocations` where the archive's script answers: only the script knows the formats."""
    return {
        "post": {
            "summary": "Run the script",
            "description": "The archive's code/inference.py reads the request and makes the answer.",
            "requestBody": {"content": {"*/*": {}}},
            "responses": {
                "200": {"description": "The script's answer, in the format that it states", "content": {"*/*": {}}},
                "4XX": _error("The request is at fault; `code` says how"),
                "5XX": _error("The server is not ready or overloaded, or the script failed"),
            },
        }
    }


def row_example(signature: Signature) -> Document | None:
    """A request in row form that the model takes; None where it would be long."""
    inputs = synthesise(signature, 1, EXAMPLE_SIZE)
    if sum(array.size for array in inputs.values()) > EXAMPLE_ELEMENTS:
        return None
    if any(not spec.shape for spec in signature.inputs):
        return {"inputs": {name: array.tolist() for name, array in inputs.items()}}
    columns = {name: array.tolist() for name, array in inputs.items()}
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=False)]
    return {"instances": [row[signature.inputs[0].name] for row in rows] if len(columns) == 1 else rows}


def _content(entry: Format, signature: Signature | None) -> Document:
    if entry.media_type != "application/json" or signature is None:
        return {}
    content: Document = {"schema": _schema(signature)}
    example = row_example(signature)
    if example is not None:
        content["example"] = orjson.loads(orjson.dumps(example))
    return content


def _schema(signature: Signature) -> Document:
    rows = {spec.name: _array_schema(spec, spec.shape[1:]) for spec in signature.inputs}
    columns = {spec.name: _array_schema(spec, spec.shape) for spec in signature.inputs}
    row: Document = {"type": "object", "properties": rows, "required": list(rows)}
    if len(rows) == 1:
        row = {"anyOf": [*rows.values(), row]}
    column: Document = {"type": "object", "properties": columns, "required": list(columns)}
    if len(columns) == 1:
        column = {"anyOf": [*columns.values(), column]}
    return {
        "oneOf": [
            {
                "title": "row form",
                "type": "object",
                "properties": {"instances": {"type": "array", "items": row}},
                "required": ["instances"],
            },
            {
                "title": "column form",
                "type": "object",
                "properties": {"inputs": column},
                "required": ["inputs"],
            },
            {"title": "bare rows", "type": "array", "items": row},
        ]
    }


def _array_schema(spec: TensorSpec, shape: Sequence[int | str]) -> Document:
    if spec.any_rank:
        return {}
    schema: Document = {"type": JSON_TYPES["O" if spec.dtype == STRING else spec.numpy_dtype.kind]}
    for size in reversed(shape):
        schema = {"type": "array", "items": schema}
        if isinstance(size, int):
            schema |= {"minItems": size, "maxItems": size}
    return schema


def _description(signature: Signature | None) -> str:
    if signature is None:
        return "The model is being loaded; its inputs and outputs will be shown here."
    lines = ["Inputs:", *(f"* `{s.name}`: {s.described}" for s in signature.inputs)]
    return "\n".join([*lines, "", "Outputs:", *(f"* `{s.name}`: {s.described}" for s in signature.outputs)])


def _error(description: str) -> Document:
    schema = {
        "type": "object",
        "properties": {"code": {"type": "string"}, "error": {"type": "string"}},
        "required": ["code", "error"],
    }
    return {"description": description, "content": {"application/json": {"schema": schema}}}
