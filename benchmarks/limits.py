"""What the bare runtime can do in this process: the rate that no server in front of it can pass."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import onnxruntime as ort

from benchmarks.stream import ORDERS, Stream
from benchmarks.workloads import Inputs, Workload

BATCHES = (1, 2, 4, 8, 16, 32)
WARM_SECONDS = 0.1

# Runs until a time, and tells how many rows that were.
Turns = Callable[[float], int]


@dataclass(frozen=True, slots=True)
class Limit:
    """Rows a second of the bare runtime: one row at a time, and by rows at hand, with the better threads."""

    single: float
    rates: dict[int, float]

    def best(self, rows: int) -> float:
        """The most rows a second with at most so many at hand."""
        return max(rate for at_hand, rate in self.rates.items() if at_hand <= rows)


def limit_of(workload: Workload, threads: int, seconds: float) -> Limit:
    """Measure both shapes: one wide session, and a session of one thread run from as many threads.

    Requests of one shape are run in batches of each size. Of those of several shapes as many are at hand as there
    would be connections, so that a batch can only be made of those that happen to be alike.
    """
    wide, narrow = session_of(workload, threads), session_of(workload, 1)
    shapes = ((wide, 1), (narrow, threads))
    rate = _rate_of_stream if workload.is_mixed else _rate_of_batch
    rates = {
        rows: max(rate(session, workload, rows, callers, seconds) for session, callers in shapes) for rows in BATCHES
    }
    return Limit(_rate_of_batch(wide, workload, 1, 1, seconds), rates)


def session_of(workload: Workload, threads: int) -> Any:  # noqa: ANN401 (onnxruntime is not typed)
    """The bare runtime with the workload's model and so many threads."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    return ort.InferenceSession(workload.model, options, providers=["CPUExecutionProvider"])


def _rate_of_batch(session: Any, workload: Workload, rows: int, callers: int, seconds: float) -> float:  # noqa: ANN401
    """Rows a second in batches of so many; requests of several shapes take turns, each in batches of its own."""
    batches = workload.batches(rows)

    def turns(until: float) -> int:
        done = 0
        while done == 0 or perf_counter() < until:
            for inputs in batches:
                session.run(None, inputs)
            done += rows * len(batches)
        return done

    return _rate(turns, callers, seconds)


def _rate_of_stream(session: Any, workload: Workload, at_hand: int, callers: int, seconds: float) -> float:  # noqa: ANN401
    """Rows a second where so many requests are at hand, in the better order."""
    # Made before, for joining is not the runtime's work.
    batches = {rows: workload.batches(rows) for rows in range(1, at_hand + 1)}
    return max(
        _rate(partial(_turns_of_stream, session, batches, Stream(workload.kinds, at_hand, order)), callers, seconds)
        for order in ORDERS
    )


def _turns_of_stream(session: Any, batches: dict[int, list[Inputs]], stream: Stream, until: float) -> int:  # noqa: ANN401
    done = 0
    while done == 0 or perf_counter() < until:
        kind, rows = stream.take()
        session.run(None, batches[rows][kind])
        stream.give_back(rows)
        done += rows
    return done


def _rate(turns: Turns, callers: int, seconds: float) -> float:
    with ThreadPoolExecutor(callers) as pool:
        # Arrays of a new size make the runtime reserve memory in the first run.
        turns(perf_counter() + min(WARM_SECONDS, seconds))
        started = perf_counter()
        done = sum(pool.map(turns, [started + seconds] * callers))
        return done / (perf_counter() - started)
