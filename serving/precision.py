"""Whether a model stands bf16: its outputs in bf16 held against reference outputs, once, when it is loaded.

bf16 keeps float32's range and 8 of its 24 bits of precision. Most models do not mind, some do, and which is
which is not told by looking. So bf16 that nobody has asked for is tried: on `golden.npz` in the model
directory, which holds arrays named like the model's inputs, and the expected outputs under the outputs'
names where they are known; else on inputs synthesised from the signature. The reference is the expected
output, or what the same model gives in float32.

The deviation is the largest difference of any element, relative to the output's largest value; for outputs
that are no floats it is the share of elements that differ.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serving.backends import Model
from serving.errors import ModelLoadError, ServingError
from serving.signature import Array, Inputs, Outputs, Signature, Value
from serving.validation import validate
from serving.warmup import free_size, synthesise

GOLDEN = "golden.npz"
# Enough rows for the largest of several thousand deviations to show, few enough to cost no time.
ROWS = 8


@dataclass(frozen=True, slots=True)
class Sample:
    """Inputs to try a model on, the outputs expected of it (some, all or none), and where they come from."""

    inputs: Inputs
    expected: Outputs
    source: str


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of trying bf16: whether it is kept, and why. `deviation` is None where it could not be tried."""

    kept: bool
    deviation: float | None
    reason: str


def sample_for(model: Model, *directories: Path) -> Sample | None:
    """What to try a model on; None when it does not run on synthetic inputs and no directory has a golden.npz.

    Raises:
        ModelLoadError: the golden.npz does not fit the model.
    """
    for path in (directory / GOLDEN for directory in directories):
        if path.exists():
            return _golden(path, model.signature)
    try:
        free = free_size(model)
    except ServingError:
        return None
    return Sample(synthesise(model.signature, ROWS, free), {}, "synthetic inputs")


def try_bf16(model: Model, strict: Model, sample: Sample | None, tolerance: float) -> Trial:
    """Hold a model that computes in bf16 against the same one in float32, or against what is expected of it."""
    if sample is None:
        reason = f"it could not be tried, as the model does not run on synthetic inputs; add a {GOLDEN}"
        return Trial(kept=False, deviation=None, reason=reason)
    try:
        wanted = strict.run(sample.inputs) | sample.expected
        found = deviation(model.run(sample.inputs), wanted)
    except ServingError as error:
        return Trial(kept=False, deviation=None, reason=f"it could not be tried on {sample.source}: {error}")
    kept = found <= tolerance
    relation = "within" if kept else "above"
    reason = f"its outputs deviate by {found:.1e} on {sample.source}, {relation} the tolerance of {tolerance:g}"
    return Trial(kept=kept, deviation=found, reason=reason)


def deviation(got: Outputs, wanted: Outputs) -> float:
    """The largest deviation of any output; see the module's own words. Infinite where shapes differ."""
    return max((_deviation(got.get(name), value) for name, value in wanted.items()), default=0.0)


def _deviation(got: Value, wanted: Value) -> float:
    if isinstance(got, np.ndarray) and isinstance(wanted, np.ndarray):
        return _array_deviation(got, wanted)
    if isinstance(got, list) and isinstance(wanted, list) and len(got) == len(wanted):
        return max(map(_deviation, got, wanted), default=0.0)
    if isinstance(got, dict) and isinstance(wanted, dict) and got.keys() == wanted.keys():
        return max((_deviation(np.asarray(got[key]), np.asarray(wanted[key])) for key in wanted), default=0.0)
    return 0.0 if got is None and wanted is None else float("inf")


def _array_deviation(got: Array, wanted: Array) -> float:
    if got.shape != wanted.shape:
        return float("inf")
    if not got.size:
        return 0.0
    if got.dtype.kind not in "fc":
        return float(np.mean(got != wanted))
    finite = np.isfinite(wanted)
    # NaN and infinity must be where they were.
    if not (finite == np.isfinite(got)).all():
        return float("inf")
    scale = np.abs(wanted[finite]).max(initial=0.0)
    difference = np.abs(got[finite].astype(wanted.dtype) - wanted[finite]).max(initial=0.0)
    return float(difference / scale) if scale else float(difference)


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
