"""The plan for ONNX Runtime: session options, and bf16 on trial."""

from collections.abc import Mapping

from serving.budget import Budget
from serving.plans.environment import fpmath_asked_for, library_variables, threads_for, unless_set
from serving.plans.plan import BF16, ORT_FASTMATH, ORT_SPINNING, Choice, Plan
from serving.processor import Processor
from serving.settings import Settings

# Number of threads, the most specific first: ONNX Runtime's own variable, then OpenMP's.
THREAD_VARIABLES = ("ORT_INTRA_OP_NUM_THREADS", "OMP_NUM_THREADS")
TELEMETRY_OFF = ("ORT_DISABLE_TELEMETRY", "1", "an inference container sends nothing to anybody")


def plan(processor: Processor, budget: Budget, settings: Settings, environment: Mapping[str, str]) -> Plan:
    """ONNX Runtime's options are the session's, so that two sessions of one process may differ in them."""
    cores, threads_choice = threads_for(budget, environment, THREAD_VARIABLES)
    lanes, threads, lanes_choice = _lanes(cores, settings)
    if lanes > 1:
        threads_choice = Choice("threads", str(threads), f"of {cores} for each lane")
    bf16, on_trial, bf16_choice = _bf16(processor, settings, environment)
    variables, variable_choices = unless_set((TELEMETRY_OFF, *library_variables(threads)), environment)
    spins = threads > 1 and threads <= budget.cores
    session = {ORT_FASTMATH: str(int(bf16)), ORT_SPINNING: str(int(spins))}
    choices = (
        lanes_choice,
        threads_choice,
        Choice("inter-op threads", "1", "the graph runs in order; its operators share the lane's threads"),
        bf16_choice,
        _spinning(threads, budget),
        Choice("allocator", "arena", "warm-up sizes it, so that no request pays for growing it"),
        *variable_choices,
    )
    divides = not settings.lanes and threads > 1
    return Plan("onnx", lanes, threads, bf16, on_trial, variables, session, choices, may_divide=divides)


def _lanes(cores: int, settings: Settings) -> tuple[int, int, Choice]:
    """How many runs at once to begin with, the threads of each, and why."""
    if settings.lanes:
        return (
            settings.lanes,
            max(1, cores // settings.lanes),
            Choice("lanes", str(settings.lanes), "SERVING_LANES is set"),
        )
    if cores == 1:
        return 1, 1, Choice("lanes", "1", "there is one core")
    return (
        1,
        cores,
        Choice("lanes", "1", f"on all cores; under load {cores} on one core each, if measured to be better"),
    )


def _bf16(processor: Processor, settings: Settings, environment: Mapping[str, str]) -> tuple[bool, bool, Choice]:
    """Whether float32 products are computed in bf16, which ONNX Runtime can on arm64 alone; and whether on trial."""
    mode, source = fpmath_asked_for(settings, environment)
    if mode == "strict":
        return False, False, Choice(BF16, "off", source)
    if not processor.has_arm_bf16:
        why = "has no bf16 instructions" if processor.architecture == "aarch64" else "is no arm64 with bf16"
        return False, False, Choice(BF16, "off", f"{processor.name} {why}")
    return True, mode == "auto", Choice(BF16, "on", f"{processor.name} has bf16 and {source} allows it")


def _spinning(threads: int, budget: Budget) -> Choice:
    if threads == 1:
        return Choice("spinning", "off", "one thread has nobody to wait for")
    if threads > budget.cores:
        return Choice("spinning", "off", f"{threads} threads share {budget.cores} cores")
    return Choice("spinning", "on", "every thread has a core of its own, and waking it costs more than it spins")
