"""Labelled pictures, and what EfficientNet-Lite0 takes in their place."""

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from assets.fetch import FOOLBOX, wheel_files

EFFICIENTNET_SIDE: Final = 224
EFFICIENTNET_CROP: Final = 0.875
"""The share of the shorter side that is kept, around the middle: 224 of 256, as in the model's training."""
EFFICIENTNET_MEAN: Final = 127.0
EFFICIENTNET_DEVIATION: Final = 128.0


class Picture(NamedTuple):
    """A picture and its right answer."""

    path: Path
    pixels: npt.NDArray[np.uint8]
    """uint8 [height, width, 3], RGB."""
    label: int


def imagenet_pictures() -> list[Picture]:
    """Twenty of ImageNet, 512x512 but for one of 1024x683; labels 0 to 999.

    Raises:
        AssetError: the package that holds them cannot be downloaded.
    """
    return _pictures("imagenet")


def cifar10_pictures() -> list[Picture]:
    """Twenty of CIFAR-10, 32x32; labels 0 to 9.

    Raises:
        AssetError: the package that holds them cannot be downloaded.
    """
    return _pictures("cifar10")


def cifar10_input(picture: Picture) -> npt.NDArray[np.float32]:
    """float32 [1, 32, 32, 3], 0 to 255: what the model in fetch.CIFAR10_KERAS takes."""
    return picture.pixels[np.newaxis].astype(np.float32)


def efficientnet_input(picture: Picture) -> npt.NDArray[np.float32]:
    """float32 [1, 3, 224, 224], (pixel - 127) / 128, of the middle of the picture.

    Resized with Lanczos, not with the usual bicubic: 18 of 20 are right with either, but with bicubic the
    logits of one answer lead by 0.05 only, which another processor's rounding may turn; here by 0.25.
    """
    height, width, _ = picture.pixels.shape
    side = int(min(height, width) * EFFICIENTNET_CROP)
    left, top = (width - side) // 2, (height - side) // 2
    middle = Image.fromarray(picture.pixels).crop((left, top, left + side, top + side))
    small = middle.resize((EFFICIENTNET_SIDE, EFFICIENTNET_SIDE), Image.Resampling.LANCZOS)
    scaled = (np.asarray(small, dtype=np.float32) - EFFICIENTNET_MEAN) / EFFICIENTNET_DEVIATION
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[np.newaxis])


def _pictures(dataset: str) -> list[Picture]:
    # Files are named dataset_number_label.suffix
    paths = [path for path in wheel_files(FOOLBOX) if path.name.startswith(f"{dataset}_")]
    return [Picture(path, _pixels(path), int(path.stem.rpartition("_")[2])) for path in paths]


def _pixels(path: Path) -> npt.NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), dtype=np.uint8)
