"""The plan: how a model is run on this processor, each choice with its reason.

A pure function of the processor, the CPU budget, the settings and the environment; one module for each
framework. It is logged as one line at start and printed whole by `python -m serving inspect`. Variables that
a library reads when it is imported are in `Plan.environment`, to be set before that import; what the user
has set is kept, and the plan follows it and says so.
"""

from collections.abc import Mapping

from serving.budget import Budget
from serving.plans import onnx, openmp, tensorflow, torch
from serving.plans.plan import Choice, Plan
from serving.processor import Processor
from serving.settings import Settings

__all__ = ["Choice", "Plan", "make_plan"]

OPENMP = frozenset({"scikit-learn", "xgboost", "lightgbm"})


def make_plan(
    framework: str,
    processor: Processor,
    budget: Budget,
    settings: Settings,
    environment: Mapping[str, str],
) -> Plan:
    """Decide everything; `environment` is the process's, as the user set it."""
    if framework in OPENMP:
        return openmp.plan(framework, budget, settings, environment)
    planners = {"tensorflow": tensorflow.plan, "pytorch": torch.plan, "onnx": onnx.plan}
    return planners[framework](processor, budget, settings, environment)
