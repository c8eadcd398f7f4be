"""A tally counts as prometheus_client's own histogram does."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.utils import floatToGoString

from properties import MODERATE
from serving.metrics import LATENCY_BUCKETS
from serving.tally import Tally

seconds = st.floats(0, 100) | st.sampled_from(LATENCY_BUCKETS)


@MODERATE
@given(values=st.lists(seconds))
def test_it_counts_as_the_library_does(values: list[float]) -> None:
    registry = CollectorRegistry()
    histogram = Histogram("seconds", "Seconds", buckets=LATENCY_BUCKETS, registry=registry)
    tally = Tally(LATENCY_BUCKETS)
    for value in values:
        histogram.observe(value)
        tally.add(value)
    assert tally.sum == registry.get_sample_value("seconds_sum")
    for bound, count in tally.up_to():
        name = floatToGoString(bound)  # type: ignore[no-untyped-call]  # prometheus-client's own omission
        assert count == registry.get_sample_value("seconds_bucket", {"le": name})
