"""The numbers; their page is tested in test_exposition.py."""

from serving.metrics import Metrics


def test_those_who_wait_are_counted_when_somebody_looks() -> None:
    metrics, lines = Metrics(), [[1, 2], [3]]
    for line in lines:
        metrics.queue(line.__len__)
    assert metrics.waiting == 3
    lines[1].clear()
    assert metrics.waiting == 2


def test_requests_are_counted_by_status() -> None:
    metrics = Metrics()
    for status in (200, 200, 400):
        metrics.request(status, 0.003)
    assert metrics.requests == {200: 2, 400: 1}
    assert metrics.request_seconds.sum == 3 * 0.003
