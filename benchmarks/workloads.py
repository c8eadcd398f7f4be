"""What the servers are asked: a model, request bodies, and the answers that are right."""

import io
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from assets import minilm
from assets.efficientnet import efficientnet_onnx
from assets.pictures import efficientnet_input, imagenet_pictures

Tensor = npt.NDArray[Any]
# Different bodies, so that a server that gives everybody the same answer is found out.
BODIES = 8
JSON, NPY = "application/json", "application/x-npy"
# What names of workloads in that format end with.
NPY_NAMES = "-npy"
DIGITS = 6
# Of MiniLM's vocabulary: what begins and ends a text, and where words begin, after the single characters.
START, END, FIRST_WORD, VOCABULARY = 101, 102, 1996, 30522
# 16 to 64 tokens, every length once, short and long in turn: next to each other no two are alike.
MIXED_LENGTHS = (16, 64, 28, 52, 40, 20, 60, 32, 48, 24, 56, 36, 44)


Inputs = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Workload:
    """A model file, requests to send it as `media_type`, and the model's answers to each, in order."""

    name: str
    model: Path
    media_type: str
    requests: tuple[Inputs, ...]
    answers: tuple[Tensor, ...]

    @property
    def bodies(self) -> list[bytes]:
        """The request bodies."""
        return [_WRITERS[self.media_type](request) for request in self.requests]

    @property
    def open_inference_bodies(self) -> list[bytes]:
        """The same as the Open Inference Protocol has them (KServe's and Triton's second version), in JSON."""
        return [_as_open_inference(request) for request in self.requests]

    @property
    def an_answer(self) -> bytes:
        """The first answer as a server would write it."""
        if self.media_type == NPY:
            return _as_npy({"": self.answers[0]})
        return json.dumps({"predictions": self.answers[0].tolist()}, separators=(",", ":")).encode()

    def batches(self, rows: int) -> list[Inputs]:
        """What the bare model is asked: for each kind of request a batch of so many rows."""
        kinds = self.kinds
        groups: list[list[Inputs]] = [[] for _ in set(kinds)]
        for kind, request in zip(kinds, self.requests, strict=True):
            groups[kind].append(request)
        return [
            {name: np.concatenate([group[row % len(group)][name] for row in range(rows)]) for name in group[0]}
            for group in groups
        ]

    @property
    def kinds(self) -> list[int]:
        """For each request which of the shapes among them it has, counted as they come."""
        shapes: dict[tuple[tuple[int, ...], ...], int] = {}
        return [
            shapes.setdefault(tuple(value.shape for value in request.values()), len(shapes))
            for request in self.requests
        ]

    @property
    def is_mixed(self) -> bool:
        """Whether the requests differ in shape."""
        return len(set(self.kinds)) > 1


def workloads(folder: Path, names: Collection[str] = ()) -> Iterator[Workload]:
    """Those of these names, or all; models that have to be made are made in the folder."""
    for name, make in MAKERS.items():
        if not names or name in names:
            yield make(name, folder)


def _tiny(name: str, folder: Path) -> Workload:
    return _of_one_input(name, _mlp(folder / "tiny.onnx", (4, 16, 3)), JSON, _random_rows(4))


def _wide(name: str, folder: Path, media_type: str) -> Workload:
    return _of_one_input(name, _mlp(folder / "wide.onnx", (1024, 4096, 4096, 1000)), media_type, _random_rows(1024))


def _image(name: str, folder: Path, media_type: str) -> Workload:
    del folder  # the model is in the cache
    pictures = np.concatenate([efficientnet_input(picture) for picture in imagenet_pictures()[:BODIES]])
    return _of_one_input(
        name, efficientnet_onnx(), media_type, pictures.round(DIGITS) if media_type == JSON else pictures
    )


def _text(name: str, folder: Path, lengths: Sequence[int]) -> Workload:
    """Random words between a start and an end, as long as `lengths` say, start and end included."""
    del folder  # the model is in the cache
    random = np.random.default_rng(7)
    requests = []
    for length in lengths:
        words = random.integers(FIRST_WORD, VOCABULARY, (1, length))
        words[0, 0], words[0, -1] = START, END
        requests.append({minilm.IDS: words, minilm.MASK: np.ones((1, length), np.int64)})
    return workload_of(name, minilm.minilm_onnx(), JSON, requests)


MAKERS: Final[Mapping[str, Callable[[str, Path], Workload]]] = {
    "tiny-json": _tiny,
    "wide-json": partial(_wide, media_type=JSON),
    "wide-npy": partial(_wide, media_type=NPY),
    "image-npy": partial(_image, media_type=NPY),
    "image-json": partial(_image, media_type=JSON),
    "text-json": partial(_text, lengths=(32,) * BODIES),
    "text-mixed": partial(_text, lengths=MIXED_LENGTHS),
}


def _random_rows(width: int) -> Tensor:
    return np.random.default_rng(7).random((BODIES, width)).astype(np.float32).round(DIGITS)


def _of_one_input(name: str, model: Path, media_type: str, rows: Tensor) -> Workload:
    (node,) = ort.InferenceSession(model, providers=["CPUExecutionProvider"]).get_inputs()
    return workload_of(name, model, media_type, [{node.name: row[np.newaxis]} for row in rows])


def workload_of(name: str, model: Path, media_type: str, requests: Sequence[Inputs]) -> Workload:
    """A workload of these requests, with what the bare runtime answers to each."""
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    answers = tuple(session.run(None, request)[0] for request in requests)
    return Workload(name, model, media_type, tuple(requests), answers)


def with_rows(workload: Workload, rows: Sequence[int]) -> Workload:
    """The workload with so many rows in each request instead of one; they are its own, which must be of one shape."""
    own = workload.requests
    requests = [
        {name: np.concatenate([own[(first + row) % len(own)][name] for row in range(count)]) for name in own[0]}
        for first, count in enumerate(rows)
    ]
    return workload_of(workload.name, workload.model, workload.media_type, requests)


def _as_json(request: Inputs) -> bytes:
    """Rows, which are objects by input name where there are several inputs."""
    rows = zip(*(_numbers(value) for value in request.values()), strict=True)
    instances = [row[0] if len(row) == 1 else dict(zip(request, row, strict=True)) for row in rows]
    return json.dumps({"instances": instances}, separators=(",", ":")).encode()


def _numbers(value: Tensor) -> list[Any]:
    # Six digits, as a client that rounds to what float32 holds sends them.
    numbers: list[Any] = (value.astype(np.float64).round(DIGITS) if value.dtype.kind == "f" else value).tolist()
    return numbers


def _as_open_inference(request: Inputs) -> bytes:
    inputs = [
        {
            "name": name,
            "shape": value.shape,
            "datatype": _OPEN_INFERENCE_TYPES[value.dtype.name],
            "data": [number for row in _numbers(value) for number in row],
        }
        for name, value in request.items()
    ]
    return json.dumps({"inputs": inputs}, separators=(",", ":")).encode()


_OPEN_INFERENCE_TYPES = {"float32": "FP32", "int64": "INT64"}


def _as_npy(request: Inputs) -> bytes:
    (row,) = request.values()
    file = io.BytesIO()
    np.save(file, row)
    return file.getvalue()


_WRITERS: dict[str, Callable[[Inputs], bytes]] = {JSON: _as_json, NPY: _as_npy}


def _mlp(path: Path, sizes: tuple[int, ...]) -> Path:
    """Dense layers with ReLU between; random weights, scaled so that nothing grows or vanishes."""
    random = np.random.default_rng(0)
    nodes, weights, value = [], [], "x"
    for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
        weight = (random.standard_normal((inputs, outputs)) / inputs**0.5).astype(np.float32)
        weights += [
            numpy_helper.from_array(weight, f"w{layer}"),
            numpy_helper.from_array(np.zeros(outputs, np.float32), f"b{layer}"),
        ]
        last = layer == len(sizes) - 2
        dense = "y" if last else f"dense{layer}"
        nodes.append(helper.make_node("Gemm", [value, f"w{layer}", f"b{layer}"], [dense]))
        if not last:
            value = f"relu{layer}"
            nodes.append(helper.make_node("Relu", [dense], [value]))
    graph = helper.make_graph(
        nodes,
        "mlp",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", sizes[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", sizes[-1]])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, path)
    return path
