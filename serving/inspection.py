"""`inspect`: the processor, the CPU budget, the plan with its reasons, the model and its signature."""

import json
from collections.abc import Iterator

from serving.backends import notes_of
from serving.loader import Loaded, Warmed
from serving.plans import OPENMP
from serving.preparation import Machine
from serving.signature import TensorSpec

LABEL_WIDTH = 12


def machine_as_json(machine: Machine) -> dict[str, object]:
    """The processor and the budget, for machines."""
    processor, budget = machine.processor, machine.budget
    part = None if processor.midr_part is None else f"{processor.midr_part:#x}"
    return {
        "processor": {
            "name": processor.name,
            "core": processor.core,
            "architecture": processor.architecture,
            "midr_part": part,
            "features": sorted(processor.features),
        },
        "budget": {"cores": budget.cores, "quota": budget.quota, "reason": budget.reason},
    }


def as_json(loaded: Loaded) -> str:
    """Everything, for machines."""
    plan, trial = loaded.prepared.plan, loaded.prepared.trial
    document = machine_as_json(loaded.prepared.machine) | {
        "plan": {
            "framework": plan.framework,
            "lanes": plan.lanes,
            "threads": plan.threads,
            "bf16": plan.bf16,
            "bf16_deviation": trial.deviation if trial else None,
            "environment": dict(plan.environment),
            "choices": [{"name": c.name, "value": c.value, "reason": c.reason} for c in plan.choices],
        },
        "model": {"path": str(loaded.prepared.found.path)} | loaded.model.signature.as_json,
        "notes": list(notes_of(loaded.model)),
        "others": [_other_as_json(other) for other in loaded.others],
        "batching": {
            "joins": loaded.warm_up.joins,
            "max_rows": loaded.warm_up.max_rows,
            "reason": loaded.warm_up.reason,
            "warmed_rows": list(loaded.warm_up.rows),
        },
    }
    return json.dumps(document, indent=2)


def _other_as_json(other: Warmed) -> dict[str, object]:
    names = {"name": other.found.name, "version": other.found.version, "signature": other.model.signature.name}
    return names | {"path": str(other.found.path)} | other.model.signature.as_json


def machine_as_text(machine: Machine) -> str:
    """The processor and the budget, for people."""
    return "\n".join((_line("processor", machine.processor.description), _line("budget", machine.budget.reason)))


def as_text(loaded: Loaded) -> str:
    """Everything, for people."""
    return "\n".join((machine_as_text(loaded.prepared.machine), *_model_lines(loaded)))


def _model_lines(loaded: Loaded) -> Iterator[str]:
    plan = loaded.prepared.plan
    yield _line("model", f"{loaded.prepared.found.path} ({plan.framework})")
    yield from _tensors("inputs", loaded.model.signature.inputs)
    yield from _tensors("outputs", loaded.model.signature.outputs)
    for note in notes_of(loaded.model):
        yield _line("note", note)
    for other in loaded.others:
        version = "" if other.found.version is None else f", version {other.found.version}"
        yield _line("also", f"{other.found.name}{version}, signature {other.model.signature.name}")
    joined = f"up to {loaded.warm_up.max_rows} rows" if loaded.warm_up.joins else "off"
    yield _line("batching", f"{joined}: {loaded.warm_up.reason}")
    yield _line("plan", "")
    width = max(len(choice.name) + len(choice.value) for choice in plan.choices) + 3
    for choice in plan.choices:
        setting = f"{choice.name} = {choice.value}"
        yield f"  {setting:<{width}}  {choice.reason}"
    if plan.framework not in OPENMP:
        yield _line("kernels", "`audit` runs the model once and tells which ones ran")


def _tensors(label: str, specs: tuple[TensorSpec, ...]) -> Iterator[str]:
    for number, spec in enumerate(specs):
        yield _line("" if number else label, f"{spec.name}: {spec.described}")


def _line(label: str, text: str) -> str:
    return f"{label:<{LABEL_WIDTH}}{text}".rstrip()
