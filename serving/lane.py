"""A lane: a thread that runs batches, one at a time, so that the event loop never waits for a model."""

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
