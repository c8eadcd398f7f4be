"""Deciding, once a model is in service, how many of its runs are made at once: tried, measured, told.

It comes after readiness, since it takes a second: until then there is one run at a time, on all cores. Requests
that come meanwhile wait for one measured run at the most.
"""

from functools import partial
from typing import NamedTuple

from serving.backends import Divisible, Model, NotDivisibleError
from serving.errors import ServingError
from serving.formation import Formation, formation_of
from serving.plans import Plan
from serving.scaling import Alone, measure, seconds_of
from serving.signature import Inputs
from serving.warmup import FREE_SIZES, agree, free_size, synthesise

# Sizes of free axes to measure with: a sentence's tokens rather than the fewest that run.
TYPICAL_SIZES = (32, *FREE_SIZES)
# A lone run of less than this is over before it could be handed to another thread.
SHORT_SECONDS = 0.001


class Division(NamedTuple):
    """What makes the wide runs, and the narrow ones where there are any; what is run at once; and why."""

    wide: Model
    narrow: Model | None
    formation: Formation
    reason: str


def divide(model: Model, plan: Plan, max_rows: int, alone: Alone) -> Division:
    """Find the best formation for a model that is in service.

    Args:
        model: what was loaded.
        plan: how many threads a wide run has, which is how many narrow ones there may be.
        max_rows: the most rows of a batch; 1 where requests are not joined.
        alone: has a run measured while nothing else runs.
    """
    undivided = Formation(plan.lanes, max_rows)
    if not plan.may_divide or not isinstance(model, Divisible):
        return Division(model, None, undivided, "as planned")
    try:
        free = free_size(model, sizes=TYPICAL_SIZES)
        one = synthesise(model.signature, 1, free)
        before = model.run(one)
        if alone(partial(seconds_of, model, one)) < SHORT_SECONDS:
            return Division(model, None, undivided, "a run is over before another thread could begin one")
        wide, narrow = model.divide()
        if not agree([before, before], [wide.run(one), narrow.run(one)]):
            # It has happened to nobody yet; but a wrong answer would be worse than a slow one.
            raise NotDivisibleError("runs on one core do not give what one on all gives")

        def inputs(rows: int) -> Inputs:
            return synthesise(model.signature, rows, free)

        formation, reason = formation_of(measure(wide, narrow, plan.threads, inputs, max_rows, alone), max_rows)
    except (NotDivisibleError, ServingError) as error:
        return Division(model, None, undivided, f"not measured: {error}")
    return Division(wide, narrow, formation, reason) if formation.divided else Division(model, None, formation, reason)
