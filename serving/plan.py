"""The plan: how a model is run on this processor, each choice with its reason.

A pure function of the processor, the CPU budget, the settings and the environment. It is logged as one
line at start and printed whole by `python -m serving inspect`. Variables that a library reads when it is
imported are in `Plan.environment`, to be set before that import; what the user has set is kept, and the
plan follows it and says so.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from serving.budget import Budget
from serving.processor import Processor
from serving.settings import Settings

# Number of threads, the most specific first: ONNX Runtime's own variable, then OpenMP's.
THREAD_VARIABLES = ("ORT_INTRA_OP_NUM_THREADS", "OMP_NUM_THREADS")
# TensorFlow's own variable, then that of AWS's TensorFlow Serving container, then OpenMP's.
TF_THREAD_VARIABLES = ("TF_NUM_INTRAOP_THREADS", "SAGEMAKER_TFS_INTRA_OP_PARALLELISM", "OMP_NUM_THREADS")
TF_INTEROP_VARIABLES = ("TF_NUM_INTEROP_THREADS", "SAGEMAKER_TFS_INTER_OP_PARALLELISM")
# oneDNN reads either prefix, in this order; AWS documents the second.
FPMATH_VARIABLES = ("ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE")
# Whether TensorFlow uses oneDNN at all; these values, in any case, say no (tsl's ReadBoolFromEnvVar).
ONEDNN_SWITCH = "TF_ENABLE_ONEDNN_OPTS"
SWITCHED_OFF = frozenset({"0", "false"})
FROZEN_WEIGHTS = "TF_ONEDNN_ASSUME_FROZEN_WEIGHTS"
# Of oneDNN's modes, those that let float32 be computed in bf16.
BF16_FPMATH = frozenset({"BF16", "ANY"})
# ONNX Runtime's key for bf16 kernels in float32 matrix products on arm64, off by default (since 1.17).
ORT_FASTMATH = "mlas.enable_gemm_fastmath_arm64_bfloat16"
ORT_SPINNING = "session.intra_op.allow_spinning"


# The name of the choice that the trial at load may change.
BF16 = "bf16"


@dataclass(frozen=True, slots=True)
class Choice:
    """One decision, for people."""

    name: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """How to run a model.

    `lanes` batches run at once with `threads` threads each. `bf16_on_trial` says that nobody has asked for
    bf16: whether the model stands it is to be tried at load. `environment` is to be set before the
    framework is imported; `session` are ONNX Runtime's session configuration entries. `profile` is how the
    file of its profile is to begin, empty for none.
    """

    framework: str
    lanes: int
    threads: int
    bf16: bool
    bf16_on_trial: bool
    environment: Mapping[str, str]
    session: Mapping[str, str]
    choices: tuple[Choice, ...]
    profile: str = ""

    def with_bf16(self, *, on: bool, reason: str) -> "Plan":
        """The plan after bf16 was tried on the model: kept or given up, for this reason."""
        verdict = Choice(BF16, "on" if on else "off", reason)
        choices = tuple(verdict if choice.name == BF16 else choice for choice in self.choices)
        session = dict(self.session) | {ORT_FASTMATH: str(int(on))}
        return replace(self, bf16=on, bf16_on_trial=False, session=session, choices=choices)

    @property
    def line(self) -> str:
        """The plan in one line, for the log."""
        return f"{self.framework}: " + "; ".join(f"{c.name}={c.value} ({c.reason})" for c in self.choices)


def make_plan(
    framework: str,
    processor: Processor,
    budget: Budget,
    settings: Settings,
    environment: Mapping[str, str],
) -> Plan:
    """Decide everything; `environment` is the process's, as the user set it."""
    if framework == "tensorflow":
        return _tensorflow_plan(processor, budget, settings, environment)
    threads, threads_choice = _threads(budget, environment)
    bf16, on_trial, bf16_choice = _bf16(processor, settings, environment)
    variables, variable_choices = _variables(threads, environment)
    spins = threads > 1 and threads <= budget.cores
    session = {ORT_FASTMATH: str(int(bf16)), ORT_SPINNING: str(int(spins))}
    choices = (
        Choice("lanes", "1", "one wide session serves a lone request fastest and fills batches under load"),
        threads_choice,
        Choice("inter-op threads", "1", "the graph runs in order; its operators share the lane's threads"),
        bf16_choice,
        _spinning(threads, budget),
        Choice("allocator", "arena", "warm-up sizes it, so that no request pays for growing it"),
        *variable_choices,
    )
    return Plan(framework, 1, threads, bf16, on_trial, variables, session, choices)


def _threads(
    budget: Budget, environment: Mapping[str, str], variables: Sequence[str] = THREAD_VARIABLES
) -> tuple[int, Choice]:
    for variable in variables:
        if number := _positive(environment.get(variable, "")):
            return number, Choice("threads", str(number), f"{variable} is set to it")
    return budget.cores, Choice("threads", str(budget.cores), f"physical cores: {budget.reason}")


def _positive(text: str) -> int:
    """The positive number that a variable holds, else 0, which AWS's containers take for "unset" too."""
    # OMP_NUM_THREADS may be a list, one number for each nesting level; the outermost counts.
    first = text.partition(",")[0].strip()
    return int(first) if first.isdecimal() else 0


def _fpmath(settings: Settings, environment: Mapping[str, str]) -> tuple[str, str]:
    """The mode asked for, "auto" where nobody has, and what asks for it."""
    if settings.fpmath == "auto":
        for variable in FPMATH_VARIABLES:
            if value := environment.get(variable):
                return "bf16" if value.upper() in BF16_FPMATH else "strict", f"{variable}={value} is set"
    return settings.fpmath, f"SERVING_FPMATH={settings.fpmath}"


def _bf16(processor: Processor, settings: Settings, environment: Mapping[str, str]) -> tuple[bool, bool, Choice]:
    """Whether float32 products are computed in bf16, which ONNX Runtime can on arm64 alone; and whether on trial."""
    mode, source = _fpmath(settings, environment)
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


def _variables(threads: int, environment: Mapping[str, str]) -> tuple[dict[str, str], list[Choice]]:
    """Variables to set before the imports; those that the user has set are left as they are."""
    wanted = (
        ("ORT_DISABLE_TELEMETRY", "1", "an inference container sends nothing to anybody"),
        ("OMP_NUM_THREADS", str(threads), "for libraries that use OpenMP: as many as the model's threads"),
        ("OPENBLAS_NUM_THREADS", "1", "numpy only moves data here; idle threads cost memory"),
    )
    return _unless_set(wanted, environment)


def _unless_set(
    wanted: Iterable[tuple[str, str, str]], environment: Mapping[str, str]
) -> tuple[dict[str, str], list[Choice]]:
    variables, choices = {}, []
    for name, value, reason in wanted:
        if environment.get(name):
            choices.append(Choice(name, environment[name], "set in the environment already, kept"))
        else:
            variables[name] = value
            choices.append(Choice(name, value, reason))
    return variables, choices


def _tensorflow_plan(processor: Processor, budget: Budget, settings: Settings, environment: Mapping[str, str]) -> Plan:
    """TensorFlow takes all of its options from the environment, so there are no session entries."""
    threads, threads_choice = _threads(budget, environment, TF_THREAD_VARIABLES)
    between, between_choice = _interop(environment)
    bf16, bf16_choice = _tensorflow_bf16(processor, settings, environment)
    variables, variable_choices = _unless_set(_tensorflow_variables(threads, between), environment)
    modes, mode_choices = _fpmath_variables(settings, environment, bf16=bf16)
    choices = (
        Choice("lanes", "1", "one wide function serves a lone request fastest and fills batches under load"),
        threads_choice,
        between_choice,
        bf16_choice,
        *variable_choices,
        *mode_choices,
    )
    # Not on trial: bf16 is a matter of the process here, so two models of one process cannot be compared.
    return Plan("tensorflow", 1, threads, bf16, False, variables | modes, {}, choices)  # noqa: FBT003


def _interop(environment: Mapping[str, str]) -> tuple[int, Choice]:
    for variable in TF_INTEROP_VARIABLES:
        if number := _positive(environment.get(variable, "")):
            return number, Choice("inter-op threads", str(number), f"{variable} is set to it")
    return 1, Choice("inter-op threads", "1", "the graph runs in order; its operators share the lane's threads")


def _tensorflow_bf16(processor: Processor, settings: Settings, environment: Mapping[str, str]) -> tuple[bool, Choice]:
    """Whether oneDNN may compute float32 products in bf16.

    On x86 it does so on AMX alone: on an EPYC with avx512_bf16, convolutions and products of TensorFlow 2.21
    had the same bits with and without the mode, on a Xeon with AMX a deviation of 3.6e-4.
    """
    onednn = environment.get(ONEDNN_SWITCH, "")
    if onednn.lower() in SWITCHED_OFF:
        return False, Choice(BF16, "off", f"{ONEDNN_SWITCH}={onednn} is set, and Eigen computes float32 as it is")
    mode, source = _fpmath(settings, environment)
    if mode == "strict":
        return False, Choice(BF16, "off", source)
    if not (processor.has_arm_bf16 or processor.has_amx_bf16):
        arm = processor.architecture == "aarch64"
        why = "has no bf16 instructions" if arm else "is neither an arm64 nor an AMX processor with bf16"
        return False, Choice(BF16, "off", f"{processor.name} {why}")
    if mode == "auto":
        # Comparing takes two processes, for the mode is the process's. Untried it is not trusted: on an emulated
        # Neoverse-V1 it turned one of twenty pictures of a CIFAR-10 classifier wrong.
        return False, Choice(BF16, "off", "a TensorFlow model is not tried in bf16; SERVING_FPMATH=bf16 insists on it")
    return True, Choice(BF16, "on", f"{processor.name} has bf16 and {source} allows it")


def _tensorflow_variables(threads: int, between: int) -> Iterable[tuple[str, str, str]]:
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
        ("OMP_NUM_THREADS", str(threads), "for libraries that use OpenMP: as many as the model's threads"),
        ("OPENBLAS_NUM_THREADS", "1", "numpy only moves data here; idle threads cost memory"),
    )


def _fpmath_variables(
    settings: Settings, environment: Mapping[str, str], *, bf16: bool
) -> tuple[dict[str, str], list[Choice]]:
    """The mode of oneDNN. What is set already is kept, unless SERVING_FPMATH asks for something else by name."""
    is_set = any(environment.get(name) for name in FPMATH_VARIABLES)
    if settings.fpmath == "auto" and is_set:
        kept = [name for name in FPMATH_VARIABLES if environment.get(name)]
        return {}, [Choice(name, environment[name], "set in the environment already, kept") for name in kept]
    if not bf16 and not is_set:
        return {}, []  # oneDNN's default is strict
    mode = "BF16" if bf16 else "STRICT"
    reason = f"SERVING_FPMATH={settings.fpmath}" + (" counts, not what was set" if is_set else " allows it")
    return dict.fromkeys(FPMATH_VARIABLES, mode), [Choice(name, mode, reason) for name in FPMATH_VARIABLES]
