"""The page of `GET /metrics`, in Prometheus text.

SageMaker's detailed observability, on by default for endpoint configurations made since June 2026,
scrapes this path and bills what it stores, so labels have few values and never hold a caller's text.

It is imported when the page is first asked for (`serving.metrics` says why).
"""

from collections.abc import Iterator
from math import nan

from prometheus_client import generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from serving.lifecycle import State
from serving.metrics import Metrics
from serving.tally import Tally


def page(metrics: Metrics) -> bytes:
    """The page; to be made where requests are counted, which is the event loop."""
    return generate_latest(_Families(metrics))


class _Families(Collector):
    """The numbers as the library's families."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """All of them, in the order of the page."""
        metrics = self._metrics
        requests = CounterMetricFamily("serving_requests", "Answered invocations, by status", labels=["status"])
        for status, count in metrics.requests.items():
            requests.add_metric([str(status)], count)
        yield requests
        yield _histogram(
            "serving_request_seconds", "Seconds from an invocation's head to its answer", metrics.request_seconds
        )
        yield _histogram("serving_batch_rows", "Rows of each run of the model", metrics.batch_rows)
        yield _histogram("serving_batch_seconds", "Seconds of each run of the model", metrics.batch_seconds)
        yield GaugeMetricFamily("serving_lanes", "Runs of the default model that may be made at once", metrics.lanes)
        yield GaugeMetricFamily(
            "serving_waiting_requests",
            "Requests, or parts of large ones, waiting for a lane, or for room to be read",
            metrics.waiting,
        )
        yield GaugeMetricFamily(
            "serving_body_bytes", "Bytes of large bodies in hand, of SERVING_MAX_BODIES_MB", metrics.body_bytes()
        )
        yield GaugeMetricFamily(
            "serving_script_waiting_requests", "Requests waiting for the archive's script", metrics.script_waiting
        )
        yield _states(metrics.state)
        yield GaugeMetricFamily("serving_bf16", "1 if the model computes in bf16", metrics.bf16)
        yield GaugeMetricFamily(
            "serving_bf16_deviation",
            "What bf16 changes in the model's outputs, relative to their largest value; NaN where it was not tried",
            nan if metrics.bf16_deviation is None else metrics.bf16_deviation,
        )


def _histogram(name: str, about: str, tally: Tally) -> Metric:
    up_to = [(_bound(bound), float(count)) for bound, count in tally.up_to()]
    return HistogramMetricFamily(name, about, up_to, tally.sum)


def _bound(bound: float) -> str:
    """As the library's own histograms have it."""
    text: str = floatToGoString(bound)  # type: ignore[no-untyped-call]  # prometheus-client's own omission
    return text


def _states(current: State) -> Metric:
    """Every state has its series at all times, so that no alarm lacks data."""
    states = GaugeMetricFamily("serving_state", "1 for the server's state, 0 for the others", labels=["state"])
    for state in State:
        states.add_metric([state.value], state is current)
    return states
