"""Turns the weights of EfficientNet-Lite0 into an ONNX file: `export_efficientnet.py WEIGHTS OUTPUT`.

It alone needs PyTorch, so efficientnet.py runs it with an interpreter of its own, and nothing imports it.
"""

import sys
from pathlib import Path
from typing import Any, Final

import onnx
import torch  # type: ignore[import-not-found,unused-ignore]
from efficientnet_lite_pytorch import EfficientNet  # type: ignore[import-not-found,import-untyped,unused-ignore]

INPUT: Final = "input"
OUTPUT: Final = "logits"
OPSET: Final = 18
# The tracer takes an axis of length 1 for a constant.
EXAMPLE_SHAPE: Final = (2, 3, 224, 224)


def load(weights: Path) -> Any:  # noqa: ANN401  (PyTorch is not there when types are checked)
    """The network with its trained weights, set to infer."""
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return network.eval()


def export(network: Any) -> onnx.ModelProto:  # noqa: ANN401
    """`input` float32 [N, 3, 224, 224] -> `logits` float32 [N, 1000]."""
    program = torch.onnx.export(
        network,
        (torch.zeros(EXAMPLE_SHAPE),),
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_shapes=({0: torch.export.Dim("N")},),
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    model: onnx.ModelProto = program.model_proto
    forget_origin(model)
    return model


def forget_origin(model: onnx.ModelProto) -> None:
    """Drop the notes of where in which source file each node comes from: they hold this machine's paths."""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    noted = (model.graph.node, model.graph.initializer, model.graph.value_info)
    for item in (*noted, model.graph.input, model.graph.output):
        for part in item:
            del part.metadata_props[:]
            part.doc_string = ""


def main() -> None:
    """Read WEIGHTS, write OUTPUT."""
    weights, output = map(Path, sys.argv[1:])
    onnx.save_model(export(load(weights)), output)


if __name__ == "__main__":
    main()
