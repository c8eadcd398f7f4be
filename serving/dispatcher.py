"""The asyncio shell around the batcher: takes requests, keeps the lanes busy, hands answers back.

Everything here runs on the event loop but the runs themselves, which lanes' threads make unless they are short (the
runtime releases the GIL while it computes). All state belongs to the loop, so there are no locks; what runs take
is shared with them (`serving.runs`), one dict operation each.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any, TypeVar

from serving.answer import Answer
from serving.backends import Model
from serving.batch import ride_key, split
from serving.batcher import Batch, Batcher, Entry
from serving.errors import DeadlineExceededError, ModelFailedError, ServingError
from serving.formation import Formation, Run
from serving.lane import Lane, Lanes
from serving.lookout import Lookout
from serving.metrics import Metrics
from serving.parts import Outcome, Part, Tell, cut
from serving.runs import Attempt, Runs, Split
from serving.signature import Inputs, Outputs, row_count
from serving.ticket import Ticket, entry_for, splitting_of
from serving.waiting import Waiting

log = logging.getLogger(__name__)

# Runs that are expected to be shorter are made on the loop itself. To hand one to a lane and back costs 50 to
# 100 us and a fight for the GIL, which for a small model is several times its own cost; and 2 ms is what the loop
# takes for many other things.
INLINE_SECONDS = 0.002
# The same for a lone request: meanwhile nothing could be run, for it has all cores. To have its threads, the loop's
# and a lane's on as many cores makes a run of 3 ms one of 4; and /ping and those who come meanwhile wait no longer.
LONE_SECONDS = 0.010

T = TypeVar("T")


class Dispatcher:
    """Runs requests on a model, several together where that is sound.

    A batch leaves when the loop has gone quiet: a request that finds a lane free has the loop look once more
    for others that have arrived in the same moment, and again as long as some have (`serving.lookout`).

    It begins with runs of one kind, on all cores. Once it has been measured how the model scales, `divide` gives it
    another formation (`serving.formation`), with runs on single cores.

    Args:
        model: what runs them all, until `divide`; its `run` is called from the lanes' threads.
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
        self._narrow: Model | None = None
        self._formation = Formation(lanes, max_rows)
        self._timeout = timeout
        self._runs = Runs(metrics)
        self._batcher: Batcher[Ticket] = Batcher(max_rows, max_waiting)
        self._lanes = Lanes(lanes)
        self._running_wide = False
        self._under_way = 0  # requests that are being run
        self._loop = asyncio.get_running_loop()
        self._open: Waiting[Entry[Ticket]] = Waiting(self._give_up)
        self._lookout = Lookout(self._has_room, self._fill_lanes)
        metrics.queue(lambda: self._batcher.waiting)

    async def run(self, inputs: Inputs) -> Outputs:
        """Admit a validated request, have it run, and return its own part of the answer.

        Cancelling the call drops the request if it has not been started.

        Raises:
            OverloadedError: too many wait already.
            DeadlineExceededError: no answer within the time limit.
            ServingError: what the model made of it.
        """
        answer: asyncio.Future[Outcome] = self._loop.create_future()

        def tell(outcome: Outcome) -> None:
            # The one who awaits it may have been cancelled in this moment.
            if not answer.done():
                answer.set_result(outcome)

        self.announce()
        entries = self.submit(inputs, tell)
        try:
            outcome = await answer
        except asyncio.CancelledError:
            self.cancel(entries)
            raise
        if isinstance(outcome, ServingError):
            raise outcome
        assert not isinstance(outcome, Answer)  # it has been asked for arrays  # noqa: S101
        return outcome

    @property
    def is_looking(self) -> bool:
        """Whether requests have come in this turn of the loop, or the last, that may leave in its next."""
        return self._lookout.is_looking

    def announce(self) -> None:
        """A request has come, which is submitted now or in the loop's next turn: a batch may wait for it till then."""
        self._lookout.saw()
        self._look()

    def submit(self, inputs: Inputs, tell: Tell, splitting: Split = split) -> Sequence[Entry[Ticket]]:
        """Admit a validated request that was announced; `tell` is called once, on the loop, unless it is cancelled.

        What it is told is what `splitting` makes of the outputs of a run, if all that were run together have the same;
        else its own part of them. Gives what is to be cancelled then, the request or its parts.

        Raises OverloadedError when too many wait already.
        """
        whole = Part(inputs, row_count(inputs), tell)
        deadline = monotonic() + self._timeout
        if whole.rows > self._formation.rows and self._may_cut and ride_key(inputs) is not None:
            parts = cut(whole, self._formation.rows)
            entries = [entry_for(part, deadline, split, joins=True) for part in parts]
        else:
            entries = [entry_for(whole, deadline, splitting, joins=self._batcher.max_rows > 1)]
        self._batcher.submit(*entries)
        for entry in entries:
            self._open.add(entry)
        self._soon()
        return entries

    @property
    def _may_cut(self) -> bool:
        """Whether a run is to have no more rows than the formation's, and rows that are answered apart fit together."""
        return self._formation.rows < self._batcher.max_rows and self._model.signature.sizes_follow

    async def alone(self, work: Callable[[], T]) -> T:
        """Run this in a lane while nothing else runs, and give what it returns; requests wait meanwhile."""
        result: asyncio.Future[T] = self._loop.create_future()

        def job() -> None:
            try:
                told = partial(result.set_result, work())
            except Exception as error:  # noqa: BLE001 (whatever it is, the one who awaits it is told)
                told = partial(result.set_exception, error)
            self._report(self._measured, result, told)

        self._lanes.reserve(job)
        self._soon()
        return await result

    def join(self, max_rows: int) -> None:
        """Have requests that come from now on ride together, in batches of at most so many rows."""
        self._batcher.max_rows = max_rows
        self._formation = Formation(self._formation.lanes, max_rows)

    def divide(self, wide: Model, narrow: Model | None, formation: Formation) -> None:
        """Run in another formation from now on, with these models for its runs."""
        self._model, self._narrow, self._formation = wide, narrow, formation
        self._lanes.grow(formation.lanes)
        self._soon()

    def cancel(self, entries: Sequence[Entry[Ticket]]) -> None:
        """Nobody wants the answer to this request, or its parts, any more; it is not told."""
        for entry in entries:
            self._open.remove(entry)
            self._batcher.cancel(entry)

    def close(self) -> None:
        """Let the lanes' threads end; to be called when nothing waits any more."""
        self._lanes.close()

    def _soon(self) -> None:
        """Have what waits run as soon as the loop is quiet, if a lane is free."""
        if self._lanes.wait_for_all or self._batcher.has_work:
            self._look()

    def _look(self) -> None:
        if self._lanes.wait_for_all or self._lanes.may_start:
            self._lookout.look()

    def _has_room(self) -> bool:
        """Whether more that come may ride in the next batch."""
        return 1 < self._batcher.max_rows > self._batcher.waiting

    def _fill_lanes(self) -> None:
        self._lanes.start_reserved()
        while self._batcher.has_work and self._lanes.may_start:
            run = self._next_run()
            batch = self._batcher.next_batch(monotonic(), run.rows) if run else None
            if run is None or batch is None:
                return
            self._start(self._lanes.take(), batch, is_wide=run.is_wide)

    def _next_run(self) -> Run | None:
        waiting, running = self._batcher.waiting, self._lanes.running
        return self._formation.next(waiting, running, under_way=self._under_way, wide_runs=self._running_wide)

    def _measured(self, result: "asyncio.Future[Any]", told: Callable[[], None]) -> None:
        self._lanes.give_back_all()
        if not result.done():  # else nobody awaits it any more
            told()
        self._soon()

    def _start(self, lane: Lane, batch: Batch[Ticket], *, is_wide: bool) -> None:
        """Run a batch, here if it is short, else in the lane's thread; then `_finish`, whatever comes of it."""
        requests = [entry.payload.inputs for entry in batch]
        rows = [entry.rows for entry in batch]
        shape = batch[0].payload.shape
        splitting = splitting_of(batch)
        self._running_wide = is_wide
        self._under_way += len(batch)
        most = LONE_SECONDS if len(batch) == 1 and not self._batcher.waiting else INLINE_SECONDS
        if is_wide and self._model.is_steady and self._runs.is_short(shape, sum(rows), most):
            self._finish(lane, batch, self._runs.attempt(self._model.run, shape, requests, rows, splitting))
            return
        # Runs on one core take longer, and tell nothing of those that the loop may make itself.
        runner = self._model.run if is_wide or self._narrow is None else self._narrow.run
        learned = shape if is_wide else None
        attempt = partial(self._runs.attempt, runner, learned, requests, rows, splitting)
        lane.start(lambda: self._report(self._finish, lane, batch, attempt()))

    def _report(self, function: Callable[..., None], *arguments: object) -> None:
        """Tell the loop, from a lane."""
        # A loop that is closed by now has nobody left who waits.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)

    def _finish(self, lane: Lane, batch: Batch[Ticket], outcome: Attempt) -> None:
        self._lanes.give_back(lane)
        self._running_wide = False
        self._under_way -= len(batch)
        if isinstance(outcome, BaseException):
            self._fail(batch, outcome)
        else:
            for entry, outputs in zip(batch, outcome, strict=True):
                self._tell(entry, outputs)
        self._soon()

    def _tell(self, entry: Entry[Ticket], outcome: Outcome) -> None:
        """Tell the one who awaits it, if he still does."""
        if self._open.remove(entry):
            entry.payload.tell(outcome)

    def _fail(self, batch: Batch[Ticket], error: BaseException) -> None:
        guilty = self._batcher.failed(batch)
        if guilty is None:
            log.warning("a batch of %d requests failed and is run again in halves: %s", len(batch), error)
        else:
            self._tell(guilty, _safe(error))

    def _give_up(self, entry: Entry[Ticket]) -> None:
        """Its time is up."""
        self._batcher.cancel(entry)
        entry.payload.tell(DeadlineExceededError(f"expected an answer within {self._timeout:g} s, got none"))


def _safe(error: BaseException) -> ServingError:
    """What the caller is told; anything that is not in the error table goes to the log alone."""
    if isinstance(error, ServingError):
        if error.__cause__ is not None:
            log.warning("a request failed with %s: %s", error.code, error.__cause__)
        return error
    log.error("the model raised an unexpected error", exc_info=error)
    return ModelFailedError()
