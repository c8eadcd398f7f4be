"""Trains the bundled sample model: a small neural network that reads handwritten digits of 8x8 pixels.

Writes model/model.onnx, and one digit that the training never saw: sample.json (a request) and sample.label
(the right answer). The same versions of the libraries write the same bytes again.
"""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx.reference import ReferenceEvaluator
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

# Comes with scikit-learn, which the checks do without.
from threadpoolctl import threadpool_limits  # type: ignore[import-not-found,import-untyped,unused-ignore]

HERE: Final = Path(__file__).resolve().parent
MODEL: Final = HERE / "model" / "model.onnx"
SAMPLE: Final = HERE / "sample.json"
SAMPLE_LABEL: Final = HERE / "sample.label"

SEED: Final = 0
HELD_OUT_SHARE: Final = 0.25
HIDDEN_UNITS: Final = 128
WANTED_ACCURACY: Final = 0.97
# Old enough for every ONNX Runtime that reads opset 21, which is 1.18 and later.
OPSETS: Final = {"": 21, "ai.onnx.ml": 3}
IR_VERSION: Final = 10

Pixels = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


def fit(pixels: Pixels, labels: Labels) -> Any:  # noqa: ANN401  (scikit-learn publishes no types)
    """A classifier trained on `pixels` [N, 64] (0 to 16) and `labels` [N] (0 to 9)."""
    classifier = MLPClassifier(hidden_layer_sizes=(HIDDEN_UNITS,), max_iter=500, random_state=SEED)
    # Sums that several threads share come out in another order, and the weights with them.
    with threadpool_limits(limits=1):
        return make_pipeline(MinMaxScaler(), classifier).fit(pixels, labels)


def convert(classifier: Any) -> onnx.ModelProto:  # noqa: ANN401
    """`pixels` float32 [N, 64] -> `label` int64 [N], `probabilities` float32 [N, 10]."""
    model: onnx.ModelProto = convert_sklearn(
        classifier,
        name="digits",  # otherwise a random one
        initial_types=[("pixels", FloatTensorType([None, 64]))],
        target_opset=OPSETS,
        # Plain tensors instead of a list of dictionaries.
        options={id(classifier): {"zipmap": False}},
    )
    model.ir_version = IR_VERSION
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    onnx.checker.check_model(model, full_check=True)
    return model


def predict(model: onnx.ModelProto, pixels: Pixels) -> Labels:
    """The labels [N] that the ONNX model itself, not the classifier it was made from, gives `pixels`."""
    label, _ = ReferenceEvaluator(model).run(None, {"pixels": pixels})
    return np.asarray(label)


def write_sample(pixels: Pixels, label: int) -> None:
    """Write one digit [64] as a request body, and its label beside it."""
    body = {"instances": [pixels.astype(int).tolist()]}
    SAMPLE.write_text(json.dumps(body, separators=(",", ":")) + "\n", encoding="utf-8")
    SAMPLE_LABEL.write_text(f"{label}\n", encoding="utf-8")


def main() -> None:
    """Train, convert, measure on digits the training never saw, write."""
    digits = load_digits()
    pixels, held_out, labels, held_out_labels = train_test_split(
        digits.data.astype(np.float32),
        digits.target.astype(np.int64),
        test_size=HELD_OUT_SHARE,
        random_state=SEED,
        stratify=digits.target,
    )
    model = convert(fit(pixels, labels))
    right = predict(model, held_out) == held_out_labels
    accuracy = float(right.mean())
    print(f"held-out accuracy {accuracy:.4f} on {len(held_out)} digits")
    if accuracy < WANTED_ACCURACY:
        raise SystemExit(f"held-out accuracy {accuracy:.4f} is below {WANTED_ACCURACY}: nothing written")
    MODEL.parent.mkdir(exist_ok=True)
    onnx.save_model(model, MODEL)
    first_right = int(np.argmax(right))
    write_sample(held_out[first_right], int(held_out_labels[first_right]))
    print(f"wrote {MODEL.name}, {MODEL.stat().st_size} bytes")


if __name__ == "__main__":
    main()
