"""What a child of a trial of bf16 does: load the model in one mode, run the sample, compare or leave the outputs."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving import children, trial
from serving.errors import ModelLoadError, ServingError
from serving.preparation import apply_environment, prepare
from serving.settings import Settings
from serving.trial import BF16, Trial

if TYPE_CHECKING:
    from serving.signature import Outputs

# What is left for the strict run: each sample's outputs, by number, as an output's name may hold what a file's cannot.
PREFIX = "output"


def run_in_child(folder: Path, settings: Settings, mode: str) -> None:
    """Run the model in a mode; leave the verdict in the folder if it can be told, else the outputs."""
    children.end_with_parent()
    try:
        _run(folder, settings, mode)
    except ModelLoadError as error:
        trial.leave_error(folder, error)
    except ServingError as error:
        reason = f"it could not be tried: {error}"
        trial.leave_verdict(folder, Trial(kept=False, deviation=None, reason=reason))


def _run(folder: Path, settings: Settings, mode: str) -> None:
    prepared = prepare(settings, os.environ)
    plan = prepared.plan.with_bf16(on=mode == BF16, reason="on trial")
    apply_environment(plan)
    from serving import backends  # noqa: PLC0415 (numpy may be imported only now)
    from serving.precision import judge  # noqa: PLC0415
    from serving.samples import places, samples_for  # noqa: PLC0415

    model = backends.load(prepared.found.framework, prepared.found.path, plan)
    beside = places(prepared.found, settings.model_dir)
    samples = samples_for(model, beside, ranks=True)
    outputs = [model.run(sample.inputs) for sample in samples]
    if mode != BF16:
        got = [_load(folder, number) for number in range(len(samples))]
        trial.leave_verdict(folder, judge(got, outputs, samples, settings.fpmath_tolerance))
    elif all(some.keys() <= sample.expected.keys() for some, sample in zip(outputs, samples, strict=True)):
        trial.leave_verdict(folder, judge(outputs, outputs, samples, settings.fpmath_tolerance))
    else:
        for number, some in enumerate(outputs):
            _save(folder, number, some)


def _save(folder: Path, number: int, outputs: "Outputs") -> None:
    """Leave the outputs of a sample; text as an array of fixed width, for a pickle is nothing to exchange."""
    import numpy as np  # noqa: PLC0415 (imported already: this only names it)

    arrays = [np.asarray(value) for value in outputs.values()]
    plain = [array.astype(str) if array.dtype == object else array for array in arrays]
    named: dict[str, Any] = {f"{PREFIX}{place}": array for place, array in enumerate(plain)}
    np.savez(folder / f"{number}.npz", names=np.array(list(outputs)), **named)


def _load(folder: Path, number: int) -> "Outputs":
    import numpy as np  # noqa: PLC0415 (imported already: this only names it)

    with np.load(folder / f"{number}.npz", allow_pickle=False) as file:
        return {str(name): file[f"{PREFIX}{place}"] for place, name in enumerate(file["names"])}
