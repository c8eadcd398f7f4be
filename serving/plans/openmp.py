"""The plan for scikit-learn, XGBoost and LightGBM, which share their work among OpenMP's threads."""

from collections.abc import Mapping

from serving.budget import Budget
from serving.plans.environment import Wanted, threads_for, unless_set
from serving.plans.plan import BF16, Choice, Plan
from serving.settings import Settings

THREAD_VARIABLES = ("OMP_NUM_THREADS",)


def plan(framework: str, budget: Budget, settings: Settings, environment: Mapping[str, str]) -> Plan:
    """OpenMP reads its variables when the framework is imported; the processor's kind makes no difference."""
    threads, threads_choice = threads_for(budget, environment, THREAD_VARIABLES)
    variables, variable_choices = unless_set(_variables(framework, threads), environment)
    choices = (
        Choice("lanes", "1", "one wide run serves a lone request fastest and fills batches under load"),
        threads_choice,
        Choice(BF16, "off", f"{framework} computes in the types that the model was trained in"),
        *variable_choices,
    )
    return Plan(framework, 1, threads, False, False, variables, {}, choices, settings=settings)  # noqa: FBT003 (bf16)


def _variables(framework: str, threads: int) -> tuple[Wanted, ...]:
    openmp = ("OMP_NUM_THREADS", str(threads), "as many as the model's threads; OpenMP itself sees no CPU quota")
    if framework != "scikit-learn":
        return openmp, ("OPENBLAS_NUM_THREADS", "1", "numpy only moves data here; idle threads cost memory")
    return (
        openmp,
        ("OPENBLAS_NUM_THREADS", str(threads), "linear models and kernels are products of matrices"),
        ("LOKY_MAX_CPU_COUNT", str(threads), "what joblib takes n_jobs=-1 for, in forests and the like"),
    )
