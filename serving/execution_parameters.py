"""`GET /execution-parameters`: how Batch Transform is to call where its job says nothing, as in AWS's containers."""

from collections.abc import Mapping
from typing import Any

from serving.budget import cpu_budget
from serving.settings import Settings

PATH = "/execution-parameters"
# SageMaker's default for a transform job, which AWS's containers state, too.
USUAL_PAYLOAD_MB = 6


def execution_parameters(settings: Settings) -> Mapping[str, Any]:
    """As many requests at once as cores, each of several records."""
    return {
        "MaxConcurrentTransforms": cpu_budget().cores,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": max(1, min(USUAL_PAYLOAD_MB, int(settings.max_payload_mb))),
    }
