"""The metrics page, read by Prometheus's own parser."""

from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from properties import MODERATE
from serving.exposition import page
from serving.lifecycle import State
from serving.metrics import LATENCY_BUCKETS, ROW_BUCKETS, Metrics
from serving.ping import METRICS_TYPE

seconds = st.floats(0, 100) | st.sampled_from(LATENCY_BUCKETS)
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(metrics: Metrics) -> Samples:
    """Every series of the page with its value."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page(metrics).decode())
        for sample in family.samples
    }


@MODERATE
@given(counted=st.lists(st.tuples(st.sampled_from([200, 400, 499, 503]), seconds)))
def test_the_page_is_the_librarys(counted: list[tuple[int, float]]) -> None:
    disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus-client's own omission
    wanted, metrics = CollectorRegistry(), Metrics()
    requests = Counter("serving_requests", "Answered invocations, by status", ["status"], registry=wanted)
    latency = Histogram(
        "serving_request_seconds",
        "Seconds from an invocation's head to its answer",
        buckets=LATENCY_BUCKETS,
        registry=wanted,
    )
    for status, took in counted:
        requests.labels(str(status)).inc()
        latency.observe(took)
        metrics.request(status, took)
    assert page(metrics).startswith(generate_latest(wanted))


def test_requests_are_counted_by_status() -> None:
    metrics = Metrics()
    for status in (200, 200, 400):
        metrics.request(status, 0.003)
    found = samples(metrics)
    assert found["serving_requests_total", (("status", "200"),)] == 2
    assert found["serving_requests_total", (("status", "400"),)] == 1
    assert found["serving_request_seconds_count", ()] == 3
    assert found["serving_request_seconds_sum", ()] == pytest.approx(0.009)
    assert found["serving_request_seconds_bucket", (("le", "0.002"),)] == 0
    assert found["serving_request_seconds_bucket", (("le", "0.005"),)] == 3


def test_runs_of_the_model_are_counted_with_rows_and_seconds() -> None:
    metrics = Metrics()
    metrics.batch(5, 0.5)
    found = samples(metrics)
    assert found["serving_batch_rows_sum", ()] == 5
    assert found["serving_batch_rows_bucket", (("le", "4.0"),)] == 0
    assert found["serving_batch_rows_bucket", (("le", "8.0"),)] == 1
    assert found["serving_batch_seconds_sum", ()] == 0.5


def test_what_bf16_does_is_told() -> None:
    metrics = Metrics()
    assert isnan(samples(metrics)["serving_bf16_deviation", ()])
    metrics.bf16, metrics.bf16_deviation = True, 0.003
    assert samples(metrics)["serving_bf16", ()] == 1
    assert samples(metrics)["serving_bf16_deviation", ()] == 0.003
    metrics.bf16, metrics.bf16_deviation = False, None
    assert samples(metrics)["serving_bf16", ()] == 0
    assert isnan(samples(metrics)["serving_bf16_deviation", ()])


@pytest.mark.parametrize("current", State)
def test_every_state_has_a_series_and_the_current_one_is_1(current: State) -> None:
    metrics = Metrics()
    metrics.enter(State.STARTING)
    metrics.enter(current)
    found = samples(metrics)
    assert {state: found["serving_state", (("state", state.value),)] for state in State} == {
        state: float(state is current) for state in State
    }


def test_an_untouched_page_is_there_and_each_page_stands_alone() -> None:
    other = Metrics()
    other.request(200, 1.0)
    assert samples(Metrics())["serving_request_seconds_count", ()] == 0


def test_there_is_no_series_that_nobody_reads() -> None:
    metrics = Metrics()
    metrics.request(200, 1.0)
    metrics.batch(1, 1.0)
    metrics.queue(lambda: 3)
    metrics.enter(State.READY)
    found = samples(metrics)
    assert not [name for name, _ in found if name.endswith("_created")]
    buckets = 2 * len(LATENCY_BUCKETS) + len(ROW_BUCKETS) + 3
    assert len(found) == 1 + len(State) + 1 + buckets + 2 * 3 + 5


def test_the_page_says_which_format_it_has() -> None:
    assert METRICS_TYPE.startswith("text/plain; version=0.0.4")
