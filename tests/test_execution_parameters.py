"""What Batch Transform is told, by the limit on requests."""

import pytest

from serving.execution_parameters import execution_parameters
from serving.settings import from_environment


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, 6),
        ({"MAX_CONTENT_LENGTH": "20971520"}, 20),
        ({"MAX_CONTENT_LENGTH": "4200000"}, 4),
        ({"SERVING_MAX_PAYLOAD_MB": "0.5"}, 1),
        ({"SERVING_MAX_PAYLOAD_MB": "50"}, 50),
        ({"SERVING_MAX_PAYLOAD_MB": "2048"}, 100),
    ],
)
def test_the_payload_is_the_limit_where_one_is_set_and_else_the_usual_one(
    environment: dict[str, str], wanted: int
) -> None:
    told = execution_parameters(from_environment(environment))
    assert told["MaxPayloadInMB"] == wanted
    assert told["BatchStrategy"] == "MULTI_RECORD"
    assert told["MaxConcurrentTransforms"] >= 1
