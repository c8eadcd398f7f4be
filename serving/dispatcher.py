"""The asyncio shell around the batcher: takes requests, keeps the lanes busy, hands answers back.

Everything here runs on the event loop but `_run`, which runs in a lane's thread (the runtime releases the
GIL while it computes). All state belongs to the loop, so there are no locks.
"""

import asyncio
import logging
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic

from serving.backends import Model
from serving.batch import join, ride_key, split
from serving.batcher import Batch, Batcher, Entry
from serving.errors import DeadlineExceededError, ModelFailedError, ServingError
from serving.metrics import Metrics
from serving.signature import Inputs, Outputs, row_count

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Ticket:
    """A request's arrays, and where its answer goes."""

    inputs: Inputs
    answer: asyncio.Future[Outputs]


class Dispatcher:
    """Runs requests on a model, several together where that is sound.

    Args:
        model: what runs them; its `run` is called from the lanes' threads.
        lanes: how many batches may run at once.
        max_rows: the most rows of a joint batch; 1 where requests must not be joined.
        max_waiting: the most requests that may wait.
        timeout: seconds from a request's arrival until its answer is given up.
        metrics: told of every batch.
    """

    def __init__(
        self, model: Model, *, lanes: int, max_rows: int, max_waiting: int, timeout: float, metrics: Metrics
    ) -> None:
        self._model = model
        self._joins = max_rows > 1
        self._timeout = timeout
        self._metrics = metrics
        self._batcher: Batcher[Ticket] = Batcher(max_rows, max_waiting)
        self._free_lanes = lanes
        self._threads = ThreadPoolExecutor(lanes, thread_name_prefix="lane")
        self._loop = asyncio.get_running_loop()

    async def run(self, inputs: Inputs) -> Outputs:
        """Admit a validated request, have it run, and return its own part of the answer.

        Cancelling the call drops the request if it has not been started.

        Raises:
            OverloadedError: too many wait already.
            DeadlineExceededError: no answer within the time limit.
            ServingError: what the model made of it.
        """
        ticket = Ticket(inputs, self._loop.create_future())
        entry = Entry(ticket, row_count(inputs), ride_key(inputs) if self._joins else None, monotonic() + self._timeout)
        self._batcher.submit(entry)
        self._fill_lanes()
        try:
            async with asyncio.timeout(self._timeout):
                return await ticket.answer
        except TimeoutError:
            raise DeadlineExceededError(f"expected an answer within {self._timeout:g} s, got none") from None
        finally:
            self._batcher.cancel(entry)
            self._metrics.waiting.set(self._batcher.waiting)

    def close(self) -> None:
        """Let the lanes' threads end; to be called when nothing waits any more."""
        self._threads.shutdown(wait=False)

    def _fill_lanes(self) -> None:
        while self._free_lanes and (batch := self._batcher.next_batch(monotonic())):
            self._free_lanes -= 1
            self._start(batch)
        self._metrics.waiting.set(self._batcher.waiting)

    def _start(self, batch: Batch[Ticket]) -> None:
        """Run a batch in a lane's thread; `_finish` is called on the loop, whatever comes of it."""
        job = self._threads.submit(self._run, [entry.payload.inputs for entry in batch])
        job.add_done_callback(lambda done: self._loop.call_soon_threadsafe(self._finish, batch, done))

    def _run(self, requests: list[Inputs]) -> list[Outputs]:
        """In a lane's thread: join -> run -> split."""
        rows = [row_count(inputs) for inputs in requests]
        started = monotonic()
        outputs = self._model.run(join(requests))
        self._metrics.batch(sum(rows), monotonic() - started)
        return split(outputs, rows)

    def _finish(self, batch: Batch[Ticket], job: Future[list[Outputs]]) -> None:
        self._free_lanes += 1
        error = job.exception()
        if error is None:
            for entry, outputs in zip(batch, job.result(), strict=True):
                if not entry.payload.answer.done():
                    entry.payload.answer.set_result(outputs)
        else:
            self._fail(batch, error)
        self._fill_lanes()

    def _fail(self, batch: Batch[Ticket], error: BaseException) -> None:
        guilty = self._batcher.failed(batch)
        if guilty is None:
            log.warning("a batch of %d requests failed and is run again in halves: %s", len(batch), error)
        elif not guilty.payload.answer.done():
            guilty.payload.answer.set_exception(_safe(error))


def _safe(error: BaseException) -> ServingError:
    """What the caller is told; anything that is not in the error table goes to the log alone."""
    if isinstance(error, ServingError):
        if error.__cause__ is not None:
            log.warning("a request failed with %s: %s", error.code, error.__cause__)
        return error
    log.error("the model raised an unexpected error", exc_info=error)
    return ModelFailedError()
