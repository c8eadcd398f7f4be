"""The model loader: prepared -> loaded -> tried in bf16 -> warmed up."""

import logging
from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import NamedTuple

from serving import backends
from serving.backends import Model
from serving.discovery import FoundModel
from serving.lifecycle import State
from serving.preparation import Prepared
from serving.settings import Settings
from serving.trial import concluded
from serving.warmup import SECONDS, WarmUp, warm_up

log = logging.getLogger(__name__)

# Of warm-up, where larger batches are run soon after readiness, when it is measured how the model scales.
BRIEF_SECONDS = 0.05


def nothing() -> None:
    """Nobody wants to be told."""


class Loaded(NamedTuple):
    """A model that is ready to answer, with what else is served beside it.

    `others` are the model's other signatures, and those of the further versions and models of the archive.
    """

    prepared: Prepared
    model: Model
    warm_up: WarmUp
    others: tuple["Warmed", ...] = ()


class Warmed(NamedTuple):
    """One signature of one version of a model, ready to answer."""

    found: FoundModel
    model: Model
    warm_up: WarmUp


def load(
    prepared: Prepared,
    settings: Settings,
    report: Callable[[State], None],
    imported: Callable[[], None] = nothing,
    *,
    may_wait: bool = False,
) -> Loaded:
    """Load the model as planned and warm it up, reporting each step. Raises ModelLoadError.

    `imported` is called when the framework has been imported, from when on most of the time is spent without Python's
    lock. `may_wait` leaves to the caller what is better done after readiness (`warmup.conclude`).
    """
    report(State.LOADING)
    started = monotonic()
    log.info("loading %s from %s", prepared.found.name, prepared.found.path)
    backends.module_of(prepared.found.framework, prepared.found.path)
    imported()
    model = backends.load(prepared.found.framework, prepared.found.path, prepared.plan)
    if prepared.plan.bf16_on_trial:
        prepared, model = _settle_bf16(prepared, model, settings)
    log.info("loaded in %.2f s; warming up", monotonic() - started)
    report(State.WARMING)
    seconds = BRIEF_SECONDS if prepared.plan.may_divide else SECONDS
    may_wait = may_wait and prepared.plan.may_divide
    warm = warm_up(model, settings.max_batch if settings.batch else 1, seconds, may_wait=may_wait)
    log.info("warmed up %s", warm.line)
    return Loaded(prepared, model, warm, tuple(_others(prepared, model, settings)))


def _others(prepared: Prepared, model: Model, settings: Settings) -> Iterator[Warmed]:
    """Load and warm up what is served besides the default signature of the default model."""
    yield from _warmed(prepared.found, _signatures(model)[1:], settings)
    for found in prepared.others:
        log.info("loading %s, version %s, from %s", found.name, found.version, found.path)
        loaded = backends.load(found.framework, found.path, prepared.plan)
        yield from _warmed(found, _signatures(loaded), settings)


def _signatures(model: Model) -> Sequence[Model]:
    """The model's signatures, itself first."""
    return [model, *(other for other in model.alternatives.values() if other is not model)]


def _warmed(found: FoundModel, models: Sequence[Model], settings: Settings) -> Iterator[Warmed]:
    for model in models:
        # Two rows tell whether requests may be joined; what is rarely asked for need not hold readiness up.
        yield Warmed(found, model, warm_up(model, settings.max_batch if settings.batch else 1, seconds=0))


def _settle_bf16(prepared: Prepared, model: Model, settings: Settings) -> tuple[Prepared, Model]:
    """Load the model in float32 too, compare, and keep one of both; the plan then says which and why."""
    # With the codecs and what holds requests against a signature, which are imported while the model is loaded.
    from serving.precision import try_bf16  # noqa: PLC0415 (only where bf16 is on trial)
    from serving.samples import places, samples_for  # noqa: PLC0415 (as above)

    found = prepared.found
    strict = backends.load(
        found.framework, found.path, prepared.plan.with_bf16(on=False, reason="the reference of bf16's trial")
    )
    samples = samples_for(strict, places(found, settings.model_dir))
    trial = try_bf16(model, strict, samples, settings.fpmath_tolerance)
    return concluded(prepared, trial), model if trial.kept else strict
