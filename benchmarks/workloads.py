"""What the servers are asked: a model, request bodies, and the answers that are right."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from assets.efficientnet import efficientnet_onnx
from assets.pictures import efficientnet_input, imagenet_pictures

Tensor = npt.NDArray[Any]
# Different bodies, so that a server that gives everybody the same answer is found out.
BODIES = 8
JSON, NPY = "application/json", "application/x-npy"


@dataclass(frozen=True, slots=True)
class Workload:
    """A model file, and rows to send one a request as `media_type`; `answers` are the model's, row by row."""

    name: str
    model: Path
    media_type: str
    rows: Tensor
    answers: Tensor

    @property
    def bodies(self) -> list[bytes]:
        """The request bodies, one a row."""
        return [_body(row[np.newaxis], self.media_type) for row in self.rows]


def workloads(folder: Path) -> list[Workload]:
    """All of them; the models that have to be made are made in the folder."""
    random = np.random.default_rng(7)
    tiny = _mlp(folder / "tiny.onnx", (4, 16, 3))
    wide = _mlp(folder / "wide.onnx", (1024, 4096, 4096, 1000))
    image = efficientnet_onnx()
    narrow_rows = random.random((BODIES, 4)).astype(np.float32).round(6)
    wide_rows = random.random((BODIES, 1024)).astype(np.float32).round(6)
    pictures = np.concatenate([efficientnet_input(picture) for picture in imagenet_pictures()[:BODIES]])
    return [
        _workload("tiny-json", tiny, JSON, narrow_rows),
        _workload("wide-json", wide, JSON, wide_rows),
        _workload("wide-npy", wide, NPY, wide_rows),
        _workload("image-npy", image, NPY, pictures),
        _workload("image-json", image, JSON, pictures.round(6)),
    ]


def _workload(name: str, model: Path, media_type: str, rows: Tensor) -> Workload:
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    (node,) = session.get_inputs()
    answers = np.concatenate([session.run(None, {node.name: row[np.newaxis]})[0] for row in rows])
    return Workload(name, model, media_type, rows, answers)


def _body(row: Tensor, media_type: str) -> bytes:
    return _WRITERS[media_type](row)


def _as_json(row: Tensor) -> bytes:
    # Six digits, as a client that rounds to what float32 holds sends them.
    rounded = row.astype(np.float64).round(6)
    return json.dumps({"instances": rounded.tolist()}, separators=(",", ":")).encode()


def _as_npy(row: Tensor) -> bytes:
    file = io.BytesIO()
    np.save(file, row)
    return file.getvalue()


_WRITERS: dict[str, Callable[[Tensor], bytes]] = {JSON: _as_json, NPY: _as_npy}


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
