"""The plan for TensorFlow: all of it is read from the environment when TensorFlow is imported."""

from collections.abc import Mapping

from serving.budget import Budget
from serving.plans.environment import (
    Wanted,
    fpmath_asked_for,
    fpmath_variables,
    library_variables,
    number_for,
    threads_for,
    unless_set,
)
from serving.plans.plan import BF16, Choice, Plan
from serving.processor import Processor
from serving.settings import Settings

# TensorFlow's own variable, then that of AWS's TensorFlow Serving container, then OpenMP's.
THREAD_VARIABLES = ("TF_NUM_INTRAOP_THREADS", "SAGEMAKER_TFS_INTRA_OP_PARALLELISM", "OMP_NUM_THREADS")
INTEROP_VARIABLES = ("TF_NUM_INTEROP_THREADS", "SAGEMAKER_TFS_INTER_OP_PARALLELISM")
# Whether TensorFlow uses oneDNN at all; these values, in any case, say no (tsl's ReadBoolFromEnvVar).
ONEDNN_SWITCH = "TF_ENABLE_ONEDNN_OPTS"
SWITCHED_OFF = frozenset({"0", "false"})
FROZEN_WEIGHTS = "TF_ONEDNN_ASSUME_FROZEN_WEIGHTS"


def plan(processor: Processor, budget: Budget, settings: Settings, environment: Mapping[str, str]) -> Plan:
    """TensorFlow takes all of its options from the environment, so there are no session entries."""
    threads, threads_choice = threads_for(budget, environment, THREAD_VARIABLES)
    between, between_choice = number_for(
        "inter-op threads",
        INTEROP_VARIABLES,
        environment,
        1,
        "the graph runs in order; its operators share the lane's threads",
    )
    bf16, on_trial, bf16_choice = _bf16(processor, settings, environment)
    variables, variable_choices = unless_set(_variables(threads, between), environment)
    modes, mode_choices = fpmath_variables(settings, environment, bf16=bf16)
    choices = (
        Choice("lanes", "1", "one wide function serves a lone request fastest and fills batches under load"),
        threads_choice,
        between_choice,
        bf16_choice,
        *variable_choices,
        *mode_choices,
    )
    tried = modes if on_trial else {}
    return Plan("tensorflow", 1, threads, bf16, on_trial, variables | modes, {}, choices, bf16_variables=tried)


def _bf16(processor: Processor, settings: Settings, environment: Mapping[str, str]) -> tuple[bool, bool, Choice]:
    """Whether oneDNN may compute float32 products in bf16, and whether that is on trial.

    On x86 it does so on AMX alone: on an EPYC with avx512_bf16, convolutions and products of TensorFlow 2.21
    had the same bits with and without the mode, on a Xeon with AMX a deviation of 3.6e-4.
    """
    onednn = environment.get(ONEDNN_SWITCH, "")
    if onednn.lower() in SWITCHED_OFF:
        return (
            False,
            False,
            Choice(BF16, "off", f"{ONEDNN_SWITCH}={onednn} is set, and Eigen computes float32 as it is"),
        )
    mode, source = fpmath_asked_for(settings, environment)
    if mode == "strict":
        return False, False, Choice(BF16, "off", source)
    if not (processor.has_arm_bf16 or processor.has_amx_bf16):
        arm = processor.architecture == "aarch64"
        why = "has no bf16 instructions" if arm else "is neither an arm64 nor an AMX processor with bf16"
        return False, False, Choice(BF16, "off", f"{processor.name} {why}")
    return True, mode == "auto", Choice(BF16, "on", f"{processor.name} has bf16 and {source} allows it")


def _variables(threads: int, between: int) -> tuple[Wanted, ...]:
    return (
        (ONEDNN_SWITCH, "1", "TensorFlow 2.21 leaves oneDNN and its Arm kernels (ACL) off unless told"),
        (
            FROZEN_WEIGHTS,
            "1",
            "without it convolutions run on a reference kernel; taken back at load if the model computes its weights",
        ),
        ("TF_NUM_INTRAOP_THREADS", str(threads), "the lane's threads; TensorFlow itself sees no CPU quota"),
        ("TF_NUM_INTEROP_THREADS", str(between), "operators run one after the other, each on all threads"),
        ("TF_CPP_MIN_LOG_LEVEL", "2", "errors alone: the rest is TensorFlow's talk about its build"),
        ("KERAS_BACKEND", "tensorflow", "whatever a keras.json may say"),
        *library_variables(threads),
    )
