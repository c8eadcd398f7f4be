"""What a model is tried on before it serves: golden.npz where there is one, else synthetic inputs.

`golden.npz` in the model directory holds arrays named like the model's inputs, and the expected outputs under
the outputs' names where they are known (numpy.savez).
"""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serving.backends import Model
from serving.discovery import FoundModel
from serving.errors import ModelLoadError, ServingError
from serving.signature import Inputs, Outputs, Signature
from serving.validation import validate
from serving.warmup import free_size, synthesise

GOLDEN = "golden.npz"
# Enough rows for the largest of several thousand deviations to show, few enough to cost no time. Where rankings count,
# of each scale: a classifier with a near tie in one row of ten (see serving.precision) is found out four times of
# five. Always as many, however slow the model or busy the machine: fewer would keep bf16 at one start and not at the
# next. A model that cannot run them in a trial's time goes without bf16; an emulated core can, and not four times as
# many.
ROWS = 8
# Models take numbers of the order of 1, or pictures as they are, from 0 to 255: their errors differ.
SCALES = (1, 255)


@dataclass(frozen=True, slots=True)
class Sample:
    """Inputs to try a model on, the outputs expected of it (some, all or none), and where they come from.

    `ranks` says whether rankings count.
    """

    inputs: Inputs
    expected: Outputs
    source: str
    ranks: bool = False

    @property
    def is_real(self) -> bool:
        """Whether these are inputs as the model will meet them."""
        return self.source == GOLDEN


def places(found: FoundModel, directory: Path) -> list[Path]:
    """Where a golden.npz may be: beside the model, or at the top of the model directory."""
    return [place for place in (found.path.parent, directory) if place.is_relative_to(directory)]


def samples_for(model: Model, directories: Sequence[Path], *, ranks: bool = False) -> list[Sample]:
    """What to try a model on; nothing when it does not run on synthetic inputs and no directory has a golden.npz.

    Args:
        model: what tells the signature, and runs on synthetic inputs to learn the sizes of free axes.
        directories: where a golden.npz may be, the first one counts.
        ranks: whether rankings count on synthetic inputs, too; these are then of several scales.

    Raises:
        ModelLoadError: the golden.npz does not fit the model.
    """
    for path in (directory / GOLDEN for directory in directories):
        if path.exists():
            return [_golden(path, model.signature)]
    try:
        inputs = synthesise(model.signature, ROWS, free_size(model))
    except ServingError:
        return []
    return [
        Sample(_scaled(inputs, scale), {}, "synthetic inputs", ranks) for scale in (SCALES if ranks else SCALES[:1])
    ]


def _scaled(inputs: Inputs, scale: int) -> Inputs:
    """The inputs with their floats times the scale."""
    return {
        name: array * array.dtype.type(scale) if array.dtype.kind == "f" else array for name, array in inputs.items()
    }


def _golden(path: Path, signature: Signature) -> Sample:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ModelLoadError(
            f"{path} cannot be read: {error}. Expected: a .npz file of arrays named like the model's inputs, and "
            "like its outputs where the expected ones are known (numpy.savez). Make it again, or remove it."
        ) from error
    outputs: Outputs = {spec.name: arrays[spec.name] for spec in signature.outputs if spec.name in arrays}
    inputs = {name: array for name, array in arrays.items() if name not in outputs}
    try:
        return Sample(validate(inputs, signature), outputs, GOLDEN)
    except ServingError as error:
        raise ModelLoadError(f"{path} does not fit the model: {error}. Make it again, or remove it.") from error
