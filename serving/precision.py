"""Whether a model stands bf16: its outputs in bf16 held against reference outputs, once, when it is loaded.

bf16 keeps float32's range and 8 of its 24 bits of precision. Most models do not mind, some do, and which is
which is not told by looking. So bf16 that nobody has asked for is tried: on `golden.npz` in the model
directory, which holds arrays named like the model's inputs, and the expected outputs under the outputs'
names where they are known; else on inputs synthesised from the signature. The reference is the expected
output, or what the same model gives in float32.

The deviation is the largest difference of any element, relative to the output's largest value; for outputs
that are no floats it is the share of elements that differ. It must be within the tolerance. And rankings
must stay: in an output of two axes, which may be scores of classes, the largest entry of every row must be
where it is in the reference. That is held against golden.npz alone where only products are computed in bf16
(ONNX Runtime). Where convolutions are too (oneDNN), it is held against synthetic inputs as well, and there a
row counts as lost if its two largest entries are closer than bf16's error: noise has no near ties of its own
choosing, real inputs do. (An emulated Neoverse-V1 gave 19 of 20 pictures of a CIFAR-10 classifier the right
class, where float32 gives all 20, at a deviation of 0.0014.)
"""

from collections.abc import Iterator, Sequence

import numpy as np

from serving.backends import Model
from serving.errors import ServingError
from serving.samples import GOLDEN, Sample
from serving.signature import Array, Outputs, Value
from serving.trial import Trial


def try_bf16(model: Model, strict: Model, samples: Sequence[Sample], tolerance: float) -> Trial:
    """Hold a model that computes in bf16 against the same one in float32, or against what is expected of it."""
    try:
        wanted = [strict.run(sample.inputs) for sample in samples]
        return judge([model.run(sample.inputs) for sample in samples], wanted, samples, tolerance)
    except ServingError as error:
        return Trial(kept=False, deviation=None, reason=f"it could not be tried on {samples[0].source}: {error}")


def judge(got: Sequence[Outputs], strict: Sequence[Outputs], samples: Sequence[Sample], tolerance: float) -> Trial:
    """Whether these outputs in bf16 are near enough to float32's, or to the expected ones where there are any."""
    if not samples:
        reason = f"it could not be tried, as the model does not run on synthetic inputs; add a {GOLDEN}"
        return Trial(kept=False, deviation=None, reason=reason)
    wanted = [outputs | sample.expected for outputs, sample in zip(strict, samples, strict=True)]
    found = max(deviation(some, others) for some, others in zip(got, wanted, strict=True))
    source = samples[0].source
    relation = "within" if found <= tolerance else "above"
    reason = f"its outputs deviate by {found:.1e} on {source}, {relation} the tolerance of {tolerance:g}"
    lost = sum(map(_lost_rows, got, wanted, samples))
    if found <= tolerance and lost:
        of_real = f", and {lost} of their rows get another largest entry"
        of_noise = f", but {lost} of their rows have two largest entries that are nearer than that; add a {GOLDEN}"
        reason += of_real if samples[0].is_real else of_noise
    return Trial(kept=found <= tolerance and not lost, deviation=found, reason=reason)


def _lost_rows(got: Outputs, wanted: Outputs, sample: Sample) -> int:
    """The number of rows whose ranking bf16 changes, or may change, in the output that has the most of them."""
    if not (sample.ranks or sample.is_real):
        return 0
    lost = _changed if sample.is_real else _undecided
    return max((lost(one, other) for one, other in _scores(got, wanted)), default=0)


def _scores(got: Outputs, wanted: Outputs) -> Iterator[tuple[Array, Array]]:
    """The outputs that may be scores of classes: floats in rows of two or more."""
    for name, other in wanted.items():
        one = got.get(name)
        if isinstance(one, np.ndarray) and isinstance(other, np.ndarray) and one.shape == other.shape:
            rows_of_several = other.ndim == 2 and other.shape[1] > 1  # noqa: PLR2004 (rows and columns)
            if other.dtype.kind == "f" and rows_of_several:
                yield one, other


def _changed(got: Array, wanted: Array) -> int:
    return int((got.argmax(axis=1) != wanted.argmax(axis=1)).sum())


def _undecided(got: Array, wanted: Array) -> int:
    error = np.abs(got - wanted).max(axis=1)
    second, first = np.sort(wanted, axis=1)[:, -2:].T
    # Each of the two may be off by the error. Rows whose entries are equal in both have nothing to lose.
    return int(((first - second < 2 * error) & (error > 0)).sum())


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
