"""The plan: how a model is run on this processor, each choice with its reason.

A pure function of the processor, the CPU budget, the settings and the environment. It is logged as one
line at start and printed whole by `python -m serving inspect`. Variables that a library reads when it is
imported are in `Plan.environment`, to be set before that import; what the user has set is kept, and the
plan follows it and says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from serving.budget import Budget
from serving.processor import Processor
from serving.settings import Settings

# Number of threads, the most specific first: ONNX Runtime's own variable, then OpenMP's.
THREAD_VARIABLES = ("ORT_INTRA_OP_NUM_THREADS", "OMP_NUM_THREADS")
# oneDNN reads either prefix; AWS documents the first.
FPMATH_VARIABLES = ("DNNL_DEFAULT_FPMATH_MODE", "ONEDNN_DEFAULT_FPMATH_MODE")
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


def _threads(budget: Budget, environment: Mapping[str, str]) -> tuple[int, Choice]:
    for variable in THREAD_VARIABLES:
        # OMP_NUM_THREADS may be a list, one number for each nesting level; the outermost counts.
        text = environment.get(variable, "").split(",")[0].strip()
        if text.isdecimal() and int(text) > 0:
            return int(text), Choice("threads", text, f"{variable} is set to it")
    return budget.cores, Choice("threads", str(budget.cores), f"physical cores: {budget.reason}")


def _bf16(processor: Processor, settings: Settings, environment: Mapping[str, str]) -> tuple[bool, bool, Choice]:
    """Whether float32 products are computed in bf16, which ONNX Runtime can on arm64 alone; and whether on trial."""
    mode, source = settings.fpmath, f"SERVING_FPMATH={settings.fpmath}"
    if mode == "auto":
        for variable in FPMATH_VARIABLES:
            if environment.get(variable):
                mode = "bf16" if environment[variable].upper() in BF16_FPMATH else "strict"
                source = f"{variable}={environment[variable]} is set"
                break
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
    variables, choices = {}, []
    for name, value, reason in wanted:
        if environment.get(name):
            choices.append(Choice(name, environment[name], "set in the environment already, kept"))
        else:
            variables[name] = value
            choices.append(Choice(name, value, reason))
    return variables, choices
