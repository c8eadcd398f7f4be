"""What is counted without locks is told as prometheus_client's own counters tell it."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest

from properties import MODERATE
from serving.metrics import LATENCY_BUCKETS
from serving.tally import Tally

seconds = st.floats(0, 100) | st.sampled_from(LATENCY_BUCKETS)


@MODERATE
@given(counted=st.lists(st.tuples(st.sampled_from([200, 400, 499, 503]), seconds)))
def test_the_page_is_the_librarys(counted: list[tuple[int, float]]) -> None:
    disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus-client's own omission
    wanted, found = CollectorRegistry(), CollectorRegistry()
    requests = Counter("serving_requests", "Answered invocations, by status", ["status"], registry=wanted)
    latency = Histogram(
        "serving_request_seconds",
        "Seconds from an invocation's head to its answer",
        buckets=LATENCY_BUCKETS,
        registry=wanted,
    )
    tally = Tally(LATENCY_BUCKETS)
    found.register(tally)
    for status, took in counted:
        requests.labels(str(status)).inc()
        latency.observe(took)
        tally.add(status, took)
    assert generate_latest(found) == generate_latest(wanted)
