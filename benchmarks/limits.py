"""What the bare runtime can do in this process: the rate that no server in front of it can pass."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import onnxruntime as ort

from benchmarks.workloads import Workload

BATCHES = (1, 2, 4, 8, 16, 32)
WARM_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Limit:
    """Rows a second of the bare runtime: one row at a time, and by rows in a batch, with the better threads."""

    single: float
    rates: dict[int, float]

    def best(self, rows: int) -> float:
        """The most rows a second in batches of at most so many."""
        return max(rate for batch, rate in self.rates.items() if batch <= rows)


def limit_of(workload: Workload, threads: int, seconds: float) -> Limit:
    """Measure both shapes: one wide session, and a session of one thread run from as many threads."""
    wide, narrow = session_of(workload, threads), session_of(workload, 1)
    rates = {
        batch: max(_rate(wide, workload, batch, 1, seconds), _rate(narrow, workload, batch, threads, seconds))
        for batch in BATCHES
    }
    return Limit(_rate(wide, workload, 1, 1, seconds), rates)


def session_of(workload: Workload, threads: int) -> Any:  # noqa: ANN401 (onnxruntime is not typed)
    """The bare runtime with the workload's model and so many threads."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    return ort.InferenceSession(workload.model, options, providers=["CPUExecutionProvider"])


def _rate(session: Any, workload: Workload, batch: int, callers: int, seconds: float) -> float:  # noqa: ANN401
    """Rows a second; requests of several shapes take turns, each in batches of its own."""
    batches = workload.batches(batch)

    def run(until: float) -> int:
        turns = 0
        while turns == 0 or perf_counter() < until:
            for inputs in batches:
                session.run(None, inputs)
            turns += 1
        return turns

    with ThreadPoolExecutor(callers) as pool:
        # Arrays of a new size make the runtime reserve memory in the first run.
        run(perf_counter() + min(WARM_SECONDS, seconds))
        started = perf_counter()
        turns = sum(pool.map(run, [started + seconds] * callers))
        return turns * batch * len(batches) / (perf_counter() - started)
