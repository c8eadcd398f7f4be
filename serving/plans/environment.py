"""What the environment asks for already: threads, a floating-point mode, variables that are kept."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from serving.budget import Budget
from serving.plans.plan import Choice
from serving.settings import Settings

# oneDNN reads either prefix, in this order; AWS documents the second.
FPMATH_VARIABLES = ("ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE")
# Of oneDNN's modes, those that let float32 be computed in bf16.
BF16_FPMATH = frozenset({"BF16", "ANY"})

# A variable's name, its value, and why.
Wanted: TypeAlias = tuple[str, str, str]


def threads_for(budget: Budget, environment: Mapping[str, str], variables: Sequence[str]) -> tuple[int, Choice]:
    """The number of threads: the first of the variables that holds one, else the budget's cores."""
    return number_for("threads", variables, environment, budget.cores, f"physical cores: {budget.reason}")


def number_for(
    name: str, variables: Sequence[str], environment: Mapping[str, str], default: int, reason: str
) -> tuple[int, Choice]:
    """The first number that one of the variables holds, else the default for its reason."""
    for variable in variables:
        if number := _positive(environment.get(variable, "")):
            return number, Choice(name, str(number), f"{variable} is set to it")
    return default, Choice(name, str(default), reason)


def library_variables(threads: int) -> tuple[Wanted, ...]:
    """The thread variables of the libraries beside the framework."""
    return (
        ("OMP_NUM_THREADS", str(threads), "for libraries that use OpenMP: as many as the model's threads"),
        ("OPENBLAS_NUM_THREADS", "1", "numpy only moves data here; idle threads cost memory"),
    )


def _positive(text: str) -> int:
    """The positive number that a variable holds, else 0, which AWS's containers take for "unset" too."""
    # OMP_NUM_THREADS may be a list, one number for each nesting level; the outermost counts.
    first = text.partition(",")[0].strip()
    return int(first) if first.isdecimal() else 0


def fpmath_asked_for(settings: Settings, environment: Mapping[str, str]) -> tuple[str, str]:
    """The mode asked for, "auto" where nobody has, and what asks for it."""
    if settings.fpmath == "auto":
        for variable in FPMATH_VARIABLES:
            if value := environment.get(variable):
                return "bf16" if value.upper() in BF16_FPMATH else "strict", f"{variable}={value} is set"
    return settings.fpmath, f"SERVING_FPMATH={settings.fpmath}"


def unless_set(wanted: Iterable[Wanted], environment: Mapping[str, str]) -> tuple[dict[str, str], list[Choice]]:
    """The variables to set; one that is set already is only told."""
    variables, choices = {}, []
    for name, value, reason in wanted:
        if environment.get(name):
            choices.append(Choice(name, environment[name], "set in the environment already, kept"))
        else:
            variables[name] = value
            choices.append(Choice(name, value, reason))
    return variables, choices


def fpmath_variables(
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
