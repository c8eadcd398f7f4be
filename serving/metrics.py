"""What `GET /metrics` tells, in Prometheus text: requests, latency, batches, queue and state.

SageMaker's detailed observability, on by default for endpoint configurations made since June 2026,
scrapes this path and bills what it stores, so labels have few values and never hold a caller's text.
"""

from collections.abc import Callable
from math import nan

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from serving.lifecycle import State
from serving.tally import Tally

# From a tiny model's fraction of a millisecond to SageMaker's limit of 60 s for an invocation.
LATENCY_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60)
ROW_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
# Nobody receives this status (nginx's "client closed request"); it counts those who left before their answer.
CLIENT_CLOSED = 499


class Metrics:
    """This process's metrics, in a registry of their own."""

    def __init__(self) -> None:
        # Else each counter has a second series, which nobody reads and SageMaker bills.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus-client's own omission
        self._registry = CollectorRegistry()
        self._answered = Tally(LATENCY_BUCKETS)
        self._registry.register(self._answered)
        self._batch_rows = Histogram(
            "serving_batch_rows",
            "Rows of each run of the model",
            buckets=ROW_BUCKETS,
            registry=self._registry,
        )
        self._batch_seconds = Histogram(
            "serving_batch_seconds",
            "Seconds of each run of the model",
            buckets=LATENCY_BUCKETS,
            registry=self._registry,
        )
        self._lanes = Gauge(
            "serving_lanes", "Runs of the default model that may be made at once", registry=self._registry
        )
        self._queues: list[Callable[[], int]] = []
        # Asked when somebody looks: to be told at every request would cost each of them.
        Gauge("serving_waiting_requests", "Requests waiting for a lane", registry=self._registry).set_function(
            lambda: sum(waiting() for waiting in self._queues)
        )
        self.script_waiting = Gauge(
            "serving_script_waiting_requests", "Requests waiting for the archive's script", registry=self._registry
        )
        self._state = Gauge(
            "serving_state", "1 for the server's state, 0 for the others", ["state"], registry=self._registry
        )

        self._bf16 = Gauge("serving_bf16", "1 if the model computes in bf16", registry=self._registry)
        self._deviation = Gauge(
            "serving_bf16_deviation",
            "What bf16 changes in the model's outputs, relative to their largest value; NaN where it was not tried",
            registry=self._registry,
        )
        self._deviation.set(nan)

    def precision(self, *, bf16: bool, deviation: float | None) -> None:
        """Show whether the model computes in bf16, and what its trial found."""
        self._bf16.set(bf16)
        self._deviation.set(nan if deviation is None else deviation)

    def lanes(self, count: int) -> None:
        """Show how many runs of the default model are made at once."""
        self._lanes.set(count)

    def queue(self, waiting: Callable[[], int]) -> None:
        """Count those who wait in one more queue, of whose length `waiting` tells."""
        self._queues.append(waiting)

    def request(self, status: int, seconds: float) -> None:
        """Count an answered invocation; on the event loop alone."""
        self._answered.add(status, seconds)

    def batch(self, rows: int, seconds: float) -> None:
        """Count a run of the model."""
        self._batch_rows.observe(rows)
        self._batch_seconds.observe(seconds)

    def state(self, current: State) -> None:
        """Show the state; every state has its series at all times, so that no alarm lacks data."""
        for state in State:
            self._state.labels(state.value).set(state is current)

    def text(self) -> bytes:
        """The page."""
        return generate_latest(self._registry)
