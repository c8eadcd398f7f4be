"""The workers together: who gets the next request, who is replaced, and who is given up.

Requests wait in one line and each goes to the worker that has been free for longest. A worker that ends, or
has not answered by a request's deadline and is therefore killed, is replaced. Nothing polls: a worker's
answer, its end and a deadline are what happens here. All of it is on the event loop.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from serving.errors import (
    DeadlineExceededError,
    InvalidAttributeError,
    ModelLoadError,
    NotReadyError,
    OverloadedError,
    ScriptFailedError,
    ServingError,
)
from serving.scripts.frames import Frame, FrameError
from serving.scripts.process import Worker, WorkerError, described

log = logging.getLogger(__name__)
T = TypeVar("T")

# Between attempts to replace a worker: doubled from the first to the last.
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 0.5, 30.0


@dataclass(slots=True, eq=False)
class Job:
    """A request that waits or runs, with its deadline's timer and, while it runs, its worker."""

    question: Frame
    answer: asyncio.Future[Frame]
    timer: asyncio.TimerHandle | None = None
    worker: Worker | None = None

    def fail(self, error: ServingError) -> None:
        """Tell whoever waits for the answer, if anybody still does."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Pool:
    """Runs requests in workers.

    Args:
        start: starts a worker and waits until it has loaded the script; raises WorkerError and OSError.
        workers: how many there are to be.
        max_waiting: the most requests that may wait.
        timeout: seconds from a request's arrival until it is given up and its worker killed.
        waiting: told how many wait, whenever that changes.
        report: told False when the last worker is gone and another cannot be started, True when one is there again.
    """

    def __init__(
        self,
        start: Callable[[], Coroutine[Any, Any, Worker]],
        *,
        workers: int,
        max_waiting: int,
        timeout: float,
        waiting: Callable[[int], None],
        report: Callable[[bool], None],
    ) -> None:
        self._start = start
        self._workers = workers
        self._max_waiting = max_waiting
        self._timeout = timeout
        self._count = waiting
        self._report = report
        self._alive: set[Worker] = set()
        self._idle: deque[Worker] = deque()  # the longest free first
        self._waiting: deque[Job] = deque()
        self._running: set[Job] = set()
        self._all_answered = asyncio.Event()
        self._starting: set[asyncio.Task[Any]] = set()
        self._working: set[asyncio.Task[Any]] = set()
        self._broken = False
        self._stopping = False  # takes no more
        self._ending = False  # replaces no more

    async def open(self) -> None:
        """Start all workers at once. Raises ModelLoadError when one of them cannot load the script."""
        starting = [_kept(self._start(), self._starting) for _ in range(self._workers)]
        started = await asyncio.gather(*starting, return_exceptions=True)
        for worker in started:
            if isinstance(worker, Worker):
                self._add(worker)
        for error in started:
            if isinstance(error, WorkerError | OSError):
                _log_failure(error)
                raise ModelLoadError(f"The script cannot be run: {error}") from error
            if isinstance(error, BaseException):
                raise error

    async def run(self, question: Frame) -> Frame:
        """Have a worker answer a request.

        Cancelling the call drops a request that waits; one that runs is left to its worker and its deadline.

        Raises:
            NotReadyError: there are no workers, or no longer.
            OverloadedError: too many wait already.
            DeadlineExceededError: no answer within the time limit.
            ScriptFailedError: the worker ended.
            InvalidAttributeError: the request's headers are too large.
        """
        if self._stopping or self._broken:
            why = "the server is stopping" if self._stopping else "its processes cannot be started"
            raise NotReadyError(f"expected a script that runs; {why}")
        if len(self._waiting) >= self._max_waiting and not self._idle:
            raise OverloadedError(f"expected at most {self._max_waiting} requests to wait for the script")
        loop = asyncio.get_running_loop()
        job = Job(question, loop.create_future())
        job.timer = loop.call_later(self._timeout, self._expire, job)
        self._waiting.append(job)
        self._hand_out()
        try:
            return await job.answer
        finally:
            self._leave(job)

    async def stop(self, seconds: float) -> None:
        """Take no more requests, give those taken so many seconds to be answered, and end all workers."""
        self._stopping = True
        self._note_answered()
        try:
            async with asyncio.timeout(seconds):
                await self._all_answered.wait()
        except TimeoutError:
            log.warning("%d requests are still with the script after %.0f s; it is ended", len(self._running), seconds)
        self._ending = True
        for task in self._starting:
            task.cancel()
        for job in list(self._waiting):
            job.fail(NotReadyError("expected a script that runs; the server is stopping"))
        for job in self._running:
            if job.worker:
                job.worker.kill()
        ending = (worker.close() for worker in self._alive)
        await asyncio.gather(*self._starting, *self._working, *ending, return_exceptions=True)

    def _hand_out(self) -> None:
        """Give what waits to the workers that are free."""
        while self._waiting and self._idle:
            job, worker = self._waiting.popleft(), self._idle.popleft()
            job.worker = worker
            self._running.add(job)
            _kept(self._work(worker, job), self._working)
        self._count(len(self._waiting))

    async def _work(self, worker: Worker, job: Job) -> None:
        try:
            answer = await worker.ask(job.question)
        except WorkerError as error:
            log.warning("a request to the script failed: %s", error)
            job.fail(ScriptFailedError())
        except FrameError as error:
            # The body has been held against its limit, so its headers it is.
            job.fail(InvalidAttributeError(f"headers: {error}"))
        else:
            if not job.answer.done():
                job.answer.set_result(answer)
        finally:
            if worker.is_alive:
                self._idle.append(worker)
            self._running.discard(job)
            self._leave(job)
        self._hand_out()

    def _leave(self, job: Job) -> None:
        """A request is answered, or nobody waits for its answer any more."""
        if job in self._running:
            return  # its worker has still to be watched
        if job.timer:
            job.timer.cancel()
        if job in self._waiting:
            self._waiting.remove(job)
            self._count(len(self._waiting))
        self._note_answered()

    def _expire(self, job: Job) -> None:
        """At a request's deadline: give it up, and the worker that hangs on it."""
        job.fail(DeadlineExceededError(f"expected an answer from the script within {self._timeout:g} s, got none"))
        if job.worker:
            log.warning("the script did not answer within %g s; its process is ended", self._timeout)
            job.worker.kill()

    def _add(self, worker: Worker) -> None:
        self._alive.add(worker)
        self._idle.append(worker)
        worker.ended.add_done_callback(lambda _: self._lose(worker))
        if self._broken:
            self._broken = False
            self._report(True)  # noqa: FBT003 (a callback's one argument)
        self._hand_out()

    def _lose(self, worker: Worker) -> None:
        """A worker has ended."""
        self._alive.discard(worker)
        if worker in self._idle:
            self._idle.remove(worker)
        if not self._ending:
            log.warning("a process of the script ended with %s and is replaced", described(worker.ended.result()))
            _kept(self._replace(), self._starting)

    async def _replace(self) -> None:
        """Start a worker, however often it takes."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                self._add(await self._start())
            except (WorkerError, OSError) as error:
                _log_failure(error)
                self._note_broken()
            else:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_PAUSE_SECONDS)

    def _note_broken(self) -> None:
        if self._alive or self._broken:
            return
        self._broken = True
        self._report(False)  # noqa: FBT003 (a callback's one argument)
        for job in list(self._waiting):
            job.fail(NotReadyError("expected a script that runs; its processes cannot be started"))

    def _note_answered(self) -> None:
        if self._stopping and not self._waiting and not self._running:
            self._all_answered.set()


def _kept(work: Coroutine[Any, Any, T], tasks: set[asyncio.Task[Any]]) -> "asyncio.Task[T]":
    """A task that is kept in the set until it is done."""
    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task


def _log_failure(error: WorkerError | OSError) -> None:
    trace = error.traceback if isinstance(error, WorkerError) else ""
    log.error("the script cannot be run: %s%s", error, f"\n{trace}" if trace else "")
