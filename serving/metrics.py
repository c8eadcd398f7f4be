"""What `GET /metrics` tells: requests, latency, batches, queue and state, as plain numbers.

`serving.exposition` writes them as a page. Counting is apart from it for two reasons: prometheus_client takes 30 ms to
import, which is a tenth of a small model's way to readiness, and its counters take a lock for each of a request's
three values, though the event loop alone counts requests.
"""

from collections.abc import Callable
from threading import Lock

from serving.lifecycle import State
from serving.tally import Tally

# From a tiny model's fraction of a millisecond to SageMaker's limit of 60 s for an invocation.
LATENCY_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60)
ROW_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
# Nobody receives this status (nginx's "client closed request"); it counts those who left before their answer.
CLIENT_CLOSED = 499


class Metrics:
    """This process's numbers; they belong to the event loop, but for those of batches, which lanes count, too."""

    def __init__(self) -> None:
        self.requests: dict[int, int] = {}
        """Answered invocations, by status."""
        self.request_seconds = Tally(LATENCY_BUCKETS)
        self.batch_rows = Tally(ROW_BUCKETS)
        self.batch_seconds = Tally(LATENCY_BUCKETS)
        self.lanes = 0
        """How many runs of the default model may be made at once."""
        self.script_waiting = 0
        """Requests waiting for the archive's script."""
        self.state = State.STARTING
        self.bf16 = False
        """Whether the model computes in bf16."""
        self.bf16_deviation: float | None = None
        """What its trial found; None where it was not tried."""
        self.body_bytes: Callable[[], int] = lambda: 0
        """Bytes of large bodies in hand, asked when somebody looks."""
        self._queues: list[Callable[[], int]] = []
        self._batches = Lock()

    @property
    def waiting(self) -> int:
        """Requests waiting for a lane, asked when somebody looks: to be told at every request would cost each."""
        return sum(waiting() for waiting in self._queues)

    def queue(self, waiting: Callable[[], int]) -> None:
        """Count those who wait in one more queue, of whose length `waiting` tells."""
        self._queues.append(waiting)

    def script_queue(self, waiting: int) -> None:
        """Tell how many requests wait for the script now."""
        self.script_waiting = waiting

    def request(self, status: int, seconds: float) -> None:
        """Count an answered invocation; on the event loop alone."""
        self.requests[status] = self.requests.get(status, 0) + 1
        self.request_seconds.add(seconds)

    def batch(self, rows: int, seconds: float) -> None:
        """Count a run of the model."""
        with self._batches:
            self.batch_rows.add(rows)
            self.batch_seconds.add(seconds)

    def enter(self, state: State) -> None:
        """Show the state."""
        self.state = state
