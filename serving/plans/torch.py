"""The plan for PyTorch: threads, and what its libraries read from the environment when they are imported."""

from collections.abc import Mapping

from serving.budget import Budget
from serving.plans.environment import Wanted, fpmath_asked_for, fpmath_variables, threads_for, unless_set
from serving.plans.plan import BF16, Choice, Plan
from serving.processor import Processor
from serving.settings import Settings

# What PyTorch itself takes its number of threads from.
THREAD_VARIABLES = ("OMP_NUM_THREADS",)
INTEROP_THREADS = 1
ARM = "aarch64"


def plan(processor: Processor, budget: Budget, settings: Settings, environment: Mapping[str, str]) -> Plan:
    """PyTorch has no session options; whether oneDNN computes in bf16 is a matter of the whole process."""
    threads, threads_choice = threads_for(budget, environment, THREAD_VARIABLES)
    bf16, on_trial, bf16_choice = _bf16(processor, settings, environment)
    variables, variable_choices = unless_set(_variables(processor, threads), environment)
    modes, mode_choices = fpmath_variables(settings, environment, bf16=bf16)
    choices = (
        Choice("lanes", "1", "one wide run serves a lone request fastest and fills batches under load"),
        threads_choice,
        Choice("inter-op threads", str(INTEROP_THREADS), "the module runs in order; its operators share the threads"),
        bf16_choice,
        # On Arm, oneDNN lays tensors out as ACL wants them; on x86 it could not be told from the machine's own noise.
        Choice("memory format", "as it is", "channels_last was of no measured use, and moves where a module rounds"),
        *variable_choices,
        *mode_choices,
    )
    return Plan(
        "pytorch",
        1,
        threads,
        bf16,
        on_trial,
        variables | modes,
        {},
        choices,
        bf16_variables=modes if on_trial else {},
        settings=settings,
    )


def _bf16(processor: Processor, settings: Settings, environment: Mapping[str, str]) -> tuple[bool, bool, Choice]:
    """Whether oneDNN may compute float32 products in bf16, and whether that is on trial.

    On arm64, whose convolutions are oneDNN's, and products of more than 8 rows unless they are small: with PyTorch 2.10
    on an emulated Neoverse-V1, ONEDNN_VERBOSE shows linear layers of 258 x 64 and 768 x 768 in bf16 on 9 rows, and
    nothing on 8, whose numbers are float32's. Modules are never cast to bf16: PyTorch then takes kernels of oneDNN's
    that are a hundred times slower (pytorch#180447).
    """
    mode, source = fpmath_asked_for(settings, environment)
    if mode == "strict":
        return False, False, Choice(BF16, "off", source)
    if not processor.has_arm_bf16:
        why = "has no bf16 instructions" if processor.architecture == ARM else "is no arm64 with bf16"
        return False, False, Choice(BF16, "off", f"{processor.name} {why}")
    return True, mode == "auto", Choice(BF16, "on", f"{processor.name} has bf16 and {source} allows it")


def _variables(processor: Processor, threads: int) -> tuple[Wanted, ...]:
    openmp = ("OMP_NUM_THREADS", str(threads), "the lane's threads; OpenMP itself sees no CPU quota")
    if processor.architecture != ARM:
        return openmp, ("OPENBLAS_NUM_THREADS", "1", "numpy only moves data here; idle threads cost memory")
    return (
        openmp,
        ("OPENBLAS_NUM_THREADS", str(threads), "PyTorch multiplies with it on arm64 what has up to 8 rows or is small"),
        ("LRU_CACHE_CAPACITY", "1024", "oneDNN's prepared operators are kept for every batch size, as AWS advises"),
        ("THP_MEM_ALLOC_ENABLE", "1", "large tensors in huge pages, where the host allows that"),
    )
