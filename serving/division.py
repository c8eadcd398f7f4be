"""Deciding, once a model is in service, how many of its runs are made at once: tried, measured, told.

It comes after readiness, since it takes a second: until then there is one run at a time, on all cores. Requests
that come meanwhile wait for one measured run at the most.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple, TypeAlias

from serving.backends import Divisible, Model, NotDivisibleError, Shrinkable
from serving.errors import ServingError
from serving.formation import Formation, formation_of
from serving.plans import Plan
from serving.scaling import Scaling, best_rate
from serving.signature import Inputs
from serving.timing import Alone, Timing, run_at_once, settled
from serving.warmup import FREE_SIZES, LONG_SECONDS, WarmUp, agree, free_size, synthesise

# Sizes of free axes to measure with: a sentence's tokens rather than the fewest that run.
TYPICAL_SIZES = (32, *FREE_SIZES)
# A lone run of less than this is over before it could be handed to another thread.
SHORT_SECONDS = 0.001
# A model that is so many times as fast in batches lives by them, and batches want all cores: reading its weights is
# most of a run, and narrow runs would each read them. On many cores a single row may merely not fill them all.
HUNGRY = 3.0
FEW_CORES = 4
# The most rows of a run meanwhile. Requests are run between measurements: 32 pictures take a third of a second, as long
# as all that is measured in a turn, and more memory than any run will need where it is found that so many gain nothing.
ROWS_MEANWHILE = 4
SHORT = "a run is over before another thread could begin one"


class Division(NamedTuple):
    """What makes the wide runs, and the narrow ones where there are any; what is run at once; and why."""

    wide: Model
    narrow: Model | None
    formation: Formation
    reason: str


Use: TypeAlias = Callable[[Division], None]


def divide(model: Model, plan: Plan, warm_up: WarmUp, alone: Alone, use: Use) -> Division:
    """Find the best formation for a model that is in service.

    Args:
        model: what was loaded.
        plan: how many threads a wide run has, which is how many narrow ones there may be.
        warm_up: what it has shown: how many rows a batch may have, and about how long a run takes.
        alone: has a run measured while nothing else runs.
        use: has requests run so from now on; called before runs are measured, of either kind, and once it is decided.
    """
    undivided = Formation(plan.lanes, warm_up.max_rows)

    if not plan.may_divide or not isinstance(model, Divisible):
        return Division(model, None, undivided, "as planned")
    # Requests wait for a run that is measured; warm-up's first one also allocates, and takes some times as long.
    if warm_up.first_seconds > LONG_SECONDS:
        return Division(model, None, undivided, "runs are too long for requests to wait while some are measured")
    try:
        found = _divided(model, plan.threads, undivided, alone, use)
        return found or Division(model, None, undivided, SHORT)
    except (NotDivisibleError, ServingError) as error:
        return Division(model, None, undivided, f"not measured: {error}")


def _divided(model: Model, lanes: int, undivided: Formation, alone: Alone, use: Use) -> Division | None:
    """Divide it and measure both ways; None where a run is too short for that. Raises NotDivisibleError."""
    max_rows = undivided.rows
    free = free_size(model, sizes=TYPICAL_SIZES)
    # Every turn measures on the same: to make seven pictures anew takes as long as some runs of them.
    inputs = cache(partial(synthesise, model.signature, free=free))
    meanwhile = undivided._replace(rows=min(max_rows, ROWS_MEANWHILE))
    use(Division(model, None, meanwhile, ""))
    timing = Timing(inputs, max_rows, alone)
    scaling = Scaling(timing.wide(model), {}, lanes)
    if scaling.wide[1] < SHORT_SECONDS:
        return None
    if _is_hungry(scaling):
        # First callers come right after readiness, with a start of their own that takes a core for a moment.
        scaling = settled(scaling, lambda: Scaling(timing.wide(model), {}, lanes))
    if _is_hungry(scaling):
        return Division(model, None, *formation_of(scaling, max_rows))
    one = inputs(1)
    wide, narrow = _parted(model, one)
    # The threads of what was loaded look for work long after a run; those of this one leave the cores to narrow runs.
    use(Division(wide, None, meanwhile, ""))
    scaling = settled(scaling, lambda: Scaling(timing.wide(wide), timing.narrow(narrow, lanes), lanes))
    formation, reason = formation_of(scaling, max_rows)
    if formation.divided:
        found, tried = Division(wide, narrow, formation, reason), scaling.narrow
    else:
        found, tried = Division(model, None, formation, reason), scaling.wide
    use(found)
    # Measured runs, and requests' that came meanwhile, have had more rows than there will be in any more. What is
    # needed from now on is taken anew, to be put into huge pages with the weights (`serving.tuning`).
    alone(partial(wide.shrink, one))
    alone(partial(run_at_once, found.narrow or model, formation.lanes, inputs(min(formation.rows, max(tried)))))
    return found


def _parted(model: Model, one: Inputs) -> tuple[Shrinkable, Model]:
    """What makes its runs on all cores and on one. Raises NotDivisibleError."""
    assert isinstance(model, Divisible)  # the caller has seen to it  # noqa: S101
    wide, narrow = model.divide()
    before = model.run(one)
    if not agree([before, before], [wide.run(one), narrow.run(one)]):
        # It has happened to nobody yet; but a wrong answer would be worse than a slow one.
        raise NotDivisibleError("the model does not give the same on one core as on all")
    return wide, narrow


def _is_hungry(scaling: Scaling) -> bool:
    """Whether it lives by its batches."""
    return scaling.lanes <= FEW_CORES and best_rate(scaling.wide) > HUNGRY / scaling.smooth.wide[1]
