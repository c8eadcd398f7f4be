"""The sample model of the examples with one output, as NPY and CSV carry one."""

from pathlib import Path
from typing import Final

import onnx.utils

WHOLE: Final = Path(__file__).resolve().parents[2] / "examples/digits/model/model.onnx"


def digit_probabilities(path: Path) -> Path:
    """`pixels` float32 [N, 64] -> `probabilities` float32 [N, 10]; written to `path`."""
    onnx.utils.extract_model(str(WHOLE), str(path), ["pixels"], ["probabilities"])
    return path
