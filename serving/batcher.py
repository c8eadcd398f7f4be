"""Which requests ride together: the pure core of batching, without I/O and without a clock of its own.

Theory of operation
-------------------
Rule 1. Requests wait in the order in which they came. When a lane is free, the batch that leaves is made
        of the oldest request and of those behind it that may ride with it: same `key` (equal shapes of
        a row, equal dtypes), as long as all their rows together stay within `max_rows`. Nothing is ever
        held back for a timer: under load a batch fills while the lanes are busy.
Rule 2. A request without a key rides alone; so does one that by itself has more than `max_rows` rows.
Rule 3. A request that is cancelled, or whose deadline has passed, is not started.
Rule 4. When a batch of several fails, no request is blamed for another's fault: the batch is run again
        in halves, before anything else, until the one that fails alone is found. Its error is its own.

The shell (`serving.dispatcher`) tells the core what happened and when (`now`, monotonic seconds), and
runs what the core hands out.
"""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from serving.errors import OverloadedError

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Entry(Generic[T]):
    """One request in the queue: `rows` rows, to be started before `deadline` (monotonic seconds)."""

    payload: T
    rows: int
    key: Hashable | None
    deadline: float
    waiting: bool = True
    cancelled: bool = False


Batch = list[Entry[T]]


class Batcher(Generic[T]):
    """The queue; see the module's theory of operation.

    Args:
        max_rows: the most rows that a batch of several requests may have; at least 1.
        max_waiting: the most requests that may wait; one more is refused.
    """

    def __init__(self, max_rows: int, max_waiting: int) -> None:
        self.max_rows = max_rows
        """May change, for the batches to come."""
        self._max_waiting = max_waiting
        self._queue: deque[Entry[T]] = deque()
        self._again: deque[Batch[T]] = deque()
        self._waiting = 0  # the queue's length while nothing is being taken out of it

    @property
    def waiting(self) -> int:
        """How many requests wait to be run for the first time."""
        return self._waiting

    @property
    def has_work(self) -> bool:
        """Whether `next_batch` may have something to run."""
        return bool(self._waiting or self._again)

    def submit(self, *entries: Entry[T]) -> None:
        """Queue a request, or all of its parts. Raises OverloadedError when `max_waiting` wait already."""
        if self._waiting >= self._max_waiting:
            raise OverloadedError(
                f"{self._waiting} requests wait already: expected fewer than {self._max_waiting}; try again later"
            )
        self._queue.extend(entries)
        self._waiting += len(entries)

    def cancel(self, entry: Entry[T]) -> None:
        """Nobody waits for this request any more; it is dropped unless it is being run already."""
        entry.cancelled = True
        if entry.waiting:
            self._queue.remove(entry)
            self._leave(entry)

    def next_batch(self, now: float, rows: int | None = None) -> Batch[T] | None:
        """The batch to run now that a lane is free, of at most `rows` rows if joined; None when nothing waits."""
        while self._again:
            batch = [entry for entry in self._again.popleft() if _is_wanted(entry, now)]
            if batch:
                return batch
        while self._queue:
            head = self._queue.popleft()
            self._leave(head)
            if _is_wanted(head, now):
                return [head, *self._companions(head, now, min(rows or self.max_rows, self.max_rows))]
        return None

    def failed(self, batch: Batch[T]) -> Entry[T] | None:
        """A batch failed: the request whose own fault it is, or None when the batch will be run in halves."""
        if len(batch) == 1:
            return batch[0]
        middle = len(batch) // 2
        self._again.append(batch[:middle])
        self._again.append(batch[middle:])
        return None

    def _companions(self, head: Entry[T], now: float, rows: int) -> Batch[T]:
        """Take those behind `head` that ride with it out of the queue; the others keep their order."""
        room = rows - head.rows
        if head.key is None or room <= 0:
            return []
        taken: Batch[T] = []
        left: deque[Entry[T]] = deque()
        while self._queue and room > 0:
            entry = self._queue.popleft()
            if not _is_wanted(entry, now):
                self._leave(entry)
            elif entry.key == head.key and entry.rows <= room:
                self._leave(entry)
                taken.append(entry)
                room -= entry.rows
            else:
                left.append(entry)
        self._queue.extendleft(reversed(left))
        return taken

    def _leave(self, entry: Entry[T]) -> None:
        """The entry is out of the queue, to be run or dropped."""
        entry.waiting = False
        self._waiting -= 1


def _is_wanted(entry: Entry[T], now: float) -> bool:
    return not entry.cancelled and now < entry.deadline
