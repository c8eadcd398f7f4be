"""What is known before any framework is imported: the machine, the model file and the plan."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from serving.budget import Budget, cpu_budget
from serving.discovery import FoundModel, find_models
from serving.plans import Plan, make_plan
from serving.processor import Processor, detect
from serving.settings import Settings

if TYPE_CHECKING:
    from serving.trial import Trial


class Machine(NamedTuple):
    """The processor, and how much of it this process may use."""

    processor: Processor
    budget: Budget


class Prepared(NamedTuple):
    """Where the model is, and how it will be run.

    `others` are the further versions and models of its archive. `trial` is what came of trying bf16, None
    where it was not tried (yet).
    """

    machine: Machine
    found: FoundModel
    plan: Plan
    others: tuple[FoundModel, ...] = ()
    trial: "Trial | None" = None


def look_around() -> Machine:
    """Detect the machine that this process runs on."""
    return Machine(detect(), cpu_budget())


def prepare(settings: Settings, environment: Mapping[str, str]) -> Prepared:
    """Find the models and make the plan, which is one for all of them. Raises ModelLoadError."""
    machine = look_around()
    found, *others = find_models(settings.model_dir, settings.default_model)
    plan = make_plan(found.framework, machine.processor, machine.budget, settings, environment)
    return Prepared(machine, found, plan, tuple(others))


def apply_environment(plan: Plan) -> None:
    """Set the plan's variables in this process, but for those on trial.

    Must come before numpy is imported, and, with nothing on trial, before the framework is.
    """
    tried = plan.bf16_variables if plan.bf16_on_trial else {}
    os.environ.update({name: value for name, value in plan.environment.items() if name not in tried})
