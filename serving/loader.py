"""The model loader: prepared -> loaded -> warmed up."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from serving import backends
from serving.backends import Model
from serving.lifecycle import State
from serving.preparation import Prepared
from serving.settings import Settings
from serving.warmup import WarmUp, warm_up

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is ready to answer."""

    prepared: Prepared
    model: Model
    warm_up: WarmUp


def load(prepared: Prepared, settings: Settings, report: Callable[[State], None]) -> Loaded:
    """Load the model as planned and warm it up, reporting each step. Raises ModelLoadError."""
    report(State.LOADING)
    started = monotonic()
    log.info("loading %s", prepared.found.path.name)
    model = backends.load(prepared.found.framework, prepared.found.path, prepared.plan)
    log.info("loaded in %.2f s; warming up", monotonic() - started)
    report(State.WARMING)
    warm = warm_up(model, settings.max_batch if settings.batch else 1)
    log.info(
        "warmed up in %.2f s at %s rows; requests are %s: %s",
        warm.seconds,
        ", ".join(map(str, warm.rows)) or "no",
        "run together" if warm.joins else "run one by one",
        warm.reason,
    )
    return Loaded(prepared, model, warm)
