"""The paths of the SageMaker contract, and what is around them."""

import pytest

from harness.bodies import JSON, as_json, document, refusal
from harness.crowd import metric
from harness.servers import Server

pytestmark = pytest.mark.any_graviton


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_ping_is_200_when_ready(echo: Server, method: str) -> None:
    answer = echo.client.request(method, "/ping")
    assert answer.status_code == 200
    assert answer.text == ("" if method == "HEAD" else '{"state": "ready"}')


@pytest.mark.parametrize(("method", "path"), [("GET", "/invocations"), ("PUT", "/invocations"), ("DELETE", "/ping")])
def test_a_wrong_method_is_405_and_names_the_right_one(echo: Server, method: str, path: str) -> None:
    answer = echo.client.request(method, path)
    assert refusal(answer) == (405, "method_not_allowed")
    assert "POST" in answer.headers["allow"]


def test_an_unknown_path_is_404(echo: Server) -> None:
    assert refusal(echo.client.get("/invocation")) == (404, "not_found")


def test_metrics_count_requests_by_status_latency_and_batches(echo: Server) -> None:
    assert echo.client.get("/metrics").headers["content-type"].startswith("text/plain; version=0.0.4")
    names = ('serving_requests_total{status="200"}', "serving_request_seconds_count", "serving_batch_rows_sum")
    before = [metric(echo, name) for name in names]
    assert echo.post(as_json([[1.0, 2.0], [3.0, 4.0]])).status_code == 200
    assert [metric(echo, name) for name in names] == [before[0] + 1, before[1] + 1, before[2] + 2]
    bad = metric(echo, 'serving_requests_total{status="400"}')
    assert echo.post(b"[").status_code == 400
    assert metric(echo, 'serving_requests_total{status="400"}') == bad + 1
    assert metric(echo, 'serving_state{state="ready"}') == 1
    assert metric(echo, 'serving_state{state="loading"}') == 0


def test_the_openapi_page_shows_the_model_and_an_example_that_works(two: Server) -> None:
    page = two.client.get("/openapi.json").json()
    post = page["paths"]["/invocations"]["post"]
    assert "`a`: float32 [N, 3]" in post["description"]
    assert {"/ping", "/metrics"} <= set(page["paths"])
    example = post["requestBody"]["content"][JSON]["example"]
    assert len(document(two.post(as_json(example)))["predictions"]) == 1
    assert two.client.get("/docs").status_code == 200


def test_unknown_headers_are_ignored(echo: Server) -> None:
    headers = {
        b"content-type": JSON.encode(),
        b"x-amzn-sagemaker-custom-attributes": b"a=b",
        b"x-amzn-sagemaker-inference-id": b"7",
        b"x-trace": "é".encode(),
    }
    answer = echo.client.post("/invocations", content=b"[[1.5]]", headers=headers)
    assert document(answer) == {"predictions": [[1.5]]}


def test_a_chunked_body_is_read_whole(echo: Server) -> None:
    parts = (part for part in (b"[[1.0,", b"2.0],", b"[3.0,4.0]]"))
    answer = echo.client.post("/invocations", content=parts, headers={"content-type": JSON})
    assert document(answer) == {"predictions": [[1.0, 2.0], [3.0, 4.0]]}
