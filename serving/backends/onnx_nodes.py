"""The nodes of an ONNX file, without the `onnx` package, which takes longer to import than a small model to load.

Protocol buffers, as onnx.proto lays them out: a field is a number and a wire type, then its content; what is not
asked for, the weights above all, is stepped over by its length and never read.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

Buffer: TypeAlias = "mmap.mmap | bytes"

# Wire types (protobuf's encoding guide): what follows a field's tag.
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
# Field numbers (onnx.proto).
MODEL_GRAPH, MODEL_FUNCTIONS = 7, 25
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_INPUT = 1, 5, 11
NODE_INPUT, NODE_OUTPUT, NODE_OPERATOR = 1, 2, 4
TENSOR_NAME, VALUE_NAME = 8, 1


# A larger graph's runs are long, and reading it takes a tenth of a second.
MOST_NODES = 5000


class NotOnnxError(ValueError):
    """The file is not of these fields, or too large a graph."""


class Node(NamedTuple):
    """An operator, the names of what it takes and of what it gives."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Graph(NamedTuple):
    """The main graph: its nodes in order, each after those that it takes from, and what callers give it."""

    nodes: tuple[Node, ...]
    inputs: frozenset[str]
    has_functions: bool


def read(path: Path) -> Graph:
    """Read a model file. Raises NotOnnxError."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            return _model(content)
        except (IndexError, UnicodeDecodeError) as error:
            raise NotOnnxError(f"no ONNX model: {error}") from error


def _model(content: Buffer) -> Graph:
    nodes: list[Node] = []
    names: dict[int, set[str]] = {GRAPH_INPUT: set(), GRAPH_INITIALIZER: set()}
    has_functions = False
    for field, start, end in _fields(content, 0, len(content)):
        has_functions |= field == MODEL_FUNCTIONS
        if field != MODEL_GRAPH:
            continue
        for part, begin, stop in _fields(content, start, end):
            if len(nodes) > MOST_NODES:
                raise NotOnnxError(f"more than {MOST_NODES} nodes")
            if part == GRAPH_NODE:
                nodes.append(_node(content, begin, stop))
            elif part in names:
                wanted = VALUE_NAME if part == GRAPH_INPUT else TENSOR_NAME
                names[part].update(_texts(content, begin, stop, wanted))
    # Old files list the weights among the inputs, too.
    return Graph(tuple(nodes), frozenset(names[GRAPH_INPUT] - names[GRAPH_INITIALIZER]), has_functions)


def _node(content: Buffer, start: int, end: int) -> Node:
    operators = list(_texts(content, start, end, NODE_OPERATOR))
    inputs, outputs = (tuple(_texts(content, start, end, field)) for field in (NODE_INPUT, NODE_OUTPUT))
    return Node(operators[-1] if operators else "", inputs, outputs)


def _texts(content: Buffer, start: int, end: int, wanted: int) -> Iterator[str]:
    for field, begin, stop in _fields(content, start, end):
        if field == wanted:
            yield content[begin:stop].decode()


def _fields(content: Buffer, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The number of each field of a message, and where its content begins and ends."""
    place = start
    while place < end:
        tag, place = _varint(content, place)
        kind = tag & 7
        if kind == LENGTH:
            size, place = _varint(content, place)
        elif kind == VARINT:
            _, stop = _varint(content, place)
            size = stop - place
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
        else:
            raise NotOnnxError(f"no ONNX model: wire type {kind}")
        if place + size > end:
            raise NotOnnxError("no ONNX model: a field ends beyond its message")
        yield tag >> 3, place, place + size
        place += size


def _varint(content: Buffer, place: int) -> tuple[int, int]:
    """A number in seven bits a byte, the least first; and where it ends."""
    value = shift = 0
    while True:
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 (the highest bit says that more follow)
            return value, place
        shift += 7
