"""What `audit`'s child does: load the model as the server does, run it once uncounted and once counted.

prepare -> load -> run (not counted) -> mark -> run (counted) -> mark
"""

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from serving import verdicts
from serving.errors import ModelLoadError, ServingError
from serving.plans import OPENMP
from serving.plans.plan import BF16
from serving.preparation import apply_environment, prepare
from serving.settings import Settings
from serving.trial import settle
from serving.verdicts import Circumstances

if TYPE_CHECKING:
    from serving.backends import Model
    from serving.signature import Inputs

# Written to stdout around the counted run, for oneDNN tells on stdout what it runs.
BEGIN, END = "graviton-serving: the counted run begins", "graviton-serving: the counted run ends"
MEASURED, PROFILE = "measured.json", "profile"
INPUT_TYPES = {
    ".npy": "application/x-npy",
    ".npz": "application/x-npz",
    ".json": "application/json",
    ".csv": "text/csv",
}


class AuditError(Exception):
    """The audit could not be made; the text says why."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the child measured: the model, the rows and the wall time of the counted run, the circumstances."""

    model: str
    rows: int
    milliseconds: float
    circumstances: Circumstances


def run_in_child(folder: Path, settings: Settings, batch: int, given: Path | None) -> None:
    """What the child does: measure, and leave the outcome or the error in the folder."""
    document: dict[str, Any]
    try:
        document = asdict(_measure(folder, settings, batch, given))
    except (ModelLoadError, AuditError) as error:
        document = {"error": str(error)}
    (folder / MEASURED).write_text(json.dumps(document), encoding="utf-8")


def _measure(folder: Path, settings: Settings, batch: int, given: Path | None) -> Measured:
    """Load the model as the server does and run it. Raises ModelLoadError and AuditError."""
    prepared = prepare(settings, os.environ)
    if prepared.plan.framework in OPENMP:
        raise AuditError(
            f"{prepared.found.path} runs on {prepared.plan.framework}, which does not tell its kernels; `inspect` "
            "tells its threads. Expected: a model that runs on ONNX Runtime or TensorFlow."
        )
    prepared = settle(prepared, settings, os.environ)
    apply_environment(prepared.plan)
    from serving import backends, loader  # noqa: PLC0415 (numpy may be imported only now)
    from serving.signature import row_count  # noqa: PLC0415

    loaded = loader.load(prepared, settings._replace(batch=False), lambda _state: None)
    plan, model = loaded.prepared.plan, loaded.model
    if plan.framework == "onnx":
        # Profiling is settled when a session is made, and loading may have made two of them to try bf16.
        model = backends.load(plan.framework, prepared.found.path, plan._replace(profile=str(folder / PROFILE)))
    inputs = _given_inputs(model, settings, given) if given else _synthetic_inputs(model, batch)
    milliseconds = _counted_run(model, inputs)
    reason = next((choice.reason for choice in plan.choices if choice.name == BF16), "")
    processor = prepared.machine.processor
    circumstances = Circumstances(
        plan.framework,
        # On x86 oneDNN alone computes float32 in bf16, and where it is worth it, with AMX.
        processor.has_arm_bf16 or (plan.framework != "onnx" and processor.has_amx_bf16),
        plan.bf16,
        reason,
        {name: os.environ[name] for name in verdicts.VARIABLES if name in os.environ},
    )
    return Measured(str(prepared.found.path), row_count(inputs), milliseconds, circumstances)


def _given_inputs(model: "Model", settings: Settings, given: Path) -> "Inputs":
    """The file's arrays, read as the server reads a request's body; the model has run on them once."""
    from serving.codecs import formats, of_content_type  # noqa: PLC0415 (brings numpy)
    from serving.validation import validate  # noqa: PLC0415

    reader = of_content_type(INPUT_TYPES[given.suffix.lower()], formats(settings.max_payload_bytes))
    try:
        inputs = validate(reader.decode(given.read_bytes(), model.signature).inputs, model.signature)
        model.run(inputs)
    except (OSError, ServingError) as error:
        raise AuditError(f"The model was not run on {given}: {_with_cause(error)}") from error
    return inputs


def _synthetic_inputs(model: "Model", rows: int) -> "Inputs":
    """Inputs made from the signature, on which the model has run once."""
    from serving.warmup import free_size, synthesise  # noqa: PLC0415 (brings numpy)

    try:
        return synthesise(model.signature, rows, free_size(model, rows))
    except ServingError as error:
        raise AuditError(
            f"The model does not run on synthetic inputs of {rows} rows: {_with_cause(error)} "
            "Give it real ones with --input FILE."
        ) from error


def _with_cause(error: Exception) -> str:
    return f"{error} ({error.__cause__})" if error.__cause__ else str(error)


def _counted_run(model: "Model", inputs: "Inputs") -> float:
    """Run the model between the two marks; how long it took, in milliseconds."""
    _mark(BEGIN)
    started = perf_counter()
    model.run(inputs)
    milliseconds = (perf_counter() - started) * 1e3
    _mark(END)
    return milliseconds


def _mark(line: str) -> None:
    """Write a line to where oneDNN writes; it flushes each of its own."""
    sys.stdout.flush()
    os.write(1, f"\n{line}\n".encode())
