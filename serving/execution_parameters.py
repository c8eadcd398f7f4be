"""`GET /execution-parameters`: how Batch Transform is to call where its job says nothing, as in AWS's containers."""

from collections.abc import Mapping
from typing import Any

from serving.budget import cpu_budget
from serving.settings import DEFAULT_PAYLOAD_MB, Settings

PATH = "/execution-parameters"
# SageMaker's default for a transform job, which AWS's containers state, too, and the most that it takes.
USUAL_PAYLOAD_MB, MOST_PAYLOAD_MB = 6, 100


def execution_parameters(settings: Settings) -> Mapping[str, Any]:
    """As many requests at once as cores, each of several records; as large as the limit on them, if one is set."""
    chosen = settings.max_payload_mb != DEFAULT_PAYLOAD_MB
    largest = min(settings.max_payload_mb, MOST_PAYLOAD_MB) if chosen else USUAL_PAYLOAD_MB
    return {
        "MaxConcurrentTransforms": cpu_budget().cores,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": max(1, int(largest)),
    }
