"""A lane: a thread that runs batches, one at a time, so that the event loop never waits for a model."""

from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

Job = Callable[[], object]


class Lane:
    """Runs what it is given, in order.

    Half of what an executor costs to hand a job over, which for a model of 20 us is what counts: no future, no
    lock of our own, one wake-up. A job reports its own end and must not raise.
    """

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        # A daemon: a run that never ends must not keep the process from ending.
        Thread(target=self._work, name=name, daemon=True).start()

    def start(self, job: Job) -> None:
        """Run this as soon as what was given before has ended."""
        self._jobs.put(job)

    def close(self) -> None:
        """Let the thread end when it has run what it was given."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            del job  # else its arrays would be kept until the next one comes


class Lanes:
    """All of them: which are free, and the jobs that want to run while nothing else does.

    Its state belongs to the event loop.
    """

    def __init__(self, number: int) -> None:
        self._all: list[Lane] = []
        self._free: list[Lane] = []
        self._reserved: deque[Job] = deque()
        self.grow(number)

    @property
    def running(self) -> int:
        """How many are taken."""
        return len(self._all) - len(self._free)

    @property
    def may_start(self) -> bool:
        """Whether a batch may start: a lane is free, and no job waits for all of them."""
        return bool(self._free) and not self._reserved

    @property
    def wait_for_all(self) -> bool:
        """Whether a job waits for all of them."""
        return bool(self._reserved)

    def grow(self, number: int) -> None:
        """Have so many at least."""
        while len(self._all) < number:
            self._all.append(Lane(f"lane-{len(self._all)}"))
            self._free.append(self._all[-1])

    def take(self) -> Lane:
        """A free one, which is its caller's until `give_back`."""
        return self._free.pop()

    def give_back(self, lane: Lane) -> None:
        """It is free again."""
        self._free.append(lane)

    def reserve(self, job: Job) -> None:
        """Have a job run while nothing else does; `give_back_all` when it has ended."""
        self._reserved.append(job)

    def start_reserved(self) -> None:
        """Start the next job that wants all of them, if all are free."""
        if self._reserved and not self.running:
            # All lanes are taken while it runs, one of them by itself.
            self._free.clear()
            self._all[0].start(self._reserved.popleft())

    def give_back_all(self) -> None:
        """The job that had all of them has ended."""
        self._free.extend(self._all)

    def close(self) -> None:
        """Let the threads end when they have run what they were given."""
        for lane in self._all:
            lane.close()
