"""Whether padding pays: texts of several lengths in one run, the shorter ones with zeros and a mask that says so.

    PYTHONPATH=tests python -m benchmarks.padding [--rounds 7] [--save]

The bare runtime on the texts of text-mixed (MiniLM, 16 to 64 tokens), which come in random order: one by one; those
of one length together; padded to the longest of each batch, as they come; and padded with those of about their
length, so that at most an eighth of a batch is padding. All of it on one session with all threads (wide) and on a
session of one thread, run by as many callers as there are cores (narrow). All ways take turns; ratios are the
medians of the rounds' ratios to what the server does: the better of narrow runs of one text and of one length.
"""

import argparse
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final

import numpy as np

from assets import minilm
from benchmarks import program
from benchmarks.client import TOLERANCE, BenchmarkError
from benchmarks.limits import session_of
from benchmarks.records import threads_here
from benchmarks.workloads import MAKERS, Inputs, Workload

# Every length so often.
COPIES: Final = 12
SIZES: Final = (2, 4, 8, 16, 32)
# So many texts wait at once, for those of about one length to be found among them.
WAITING: Final = 32
MOST_WASTE: Final = 1 / 8
# No further round begins after so long.
MOST_SECONDS: Final = 180
# What padding must gain to be worth a setting, and the code behind it.
LEAST: Final = 1.05

Plan = Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class Way:
    """How texts were run: texts a second in each round, the share of tokens that was padding, and texts a run."""

    name: str
    wide: bool
    padded: bool
    waste: float
    texts: float
    rates: tuple[float, ...]


def main() -> int:
    """Measure and report."""
    return program.run("padding", __doc__, _add_options, _measure, table, least=LEAST, copies=COPIES, waiting=WAITING)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=7, help="turns that every way takes (default: %(default)s)")


def table(found: Sequence[Way]) -> str:
    """In Markdown, with the verdict."""
    usual = max((one for one in found if not one.wide and not one.padded), key=_rate)
    rows = [
        f"| {one.name} | {'wide' if one.wide else 'narrow'} | {one.texts:.1f} | {one.waste:.0%} | {_rate(one):.0f} | "
        f"{_ratio(one, usual):.2f} |"
        for one in found
    ]
    best = max((one for one in found if one.padded), key=lambda one: _ratio(one, usual))
    pays = _ratio(best, usual) >= LEAST
    told = f"{best.name}, {'wide' if best.wide else 'narrow'}, {_ratio(best, usual):.2f} times {usual.name}, narrow"
    head = ("| texts in a run | on | a run | padding | texts/s | ratio |", "|---" * 6 + "|")
    return "\n".join((*head, *rows, "", f"Padding {'pays' if pays else 'does NOT pay'}: at best {told}."))


def _rate(way: Way) -> float:
    return median(way.rates)


def _ratio(way: Way, other: Way) -> float:
    return median(mine / theirs for mine, theirs in zip(way.rates, other.rates, strict=True))


def alike(lengths: Sequence[int], waiting: int, size: int, most_waste: float) -> Iterator[list[int]]:
    """Texts' numbers in batches of at most `size`, of those that wait together, while so little of it is padding."""
    for start in range(0, len(lengths), waiting):
        batch: list[int] = []
        for text in sorted(range(start, min(start + waiting, len(lengths))), key=lengths.__getitem__):
            if batch and (len(batch) == size or waste([*batch, text], lengths) > most_waste):
                yield batch
                batch = []
            batch.append(text)
        yield batch


def waste(batch: Sequence[int], lengths: Sequence[int]) -> float:
    """The share of a batch's tokens that is padding."""
    return 1 - sum(lengths[text] for text in batch) / (len(batch) * max(lengths[text] for text in batch))


def joined(requests: Sequence[Inputs]) -> Inputs:
    """One batch of all of them, as long as the longest; zeros fill the others."""
    length = max(request[minilm.IDS].shape[1] for request in requests)
    batch = {name: np.zeros((len(requests), length), array.dtype) for name, array in requests[0].items()}
    for row, request in enumerate(requests):
        for name, array in request.items():
            batch[name][row, : array.shape[1]] = array[0]
    return batch


def _plans(lengths: Sequence[int]) -> Iterator[tuple[str, bool, Plan]]:
    texts = range(len(lengths))
    yield "one", False, [[text] for text in texts]
    yield "of one length", False, list(alike(lengths, WAITING, WAITING, 0))
    for size in SIZES:
        yield f"{size} as they come", True, [texts[start : start + size] for start in range(0, len(texts), size)]
    for size in SIZES:
        yield f"{size} of about one length", True, list(alike(lengths, WAITING, size, MOST_WASTE))


def _measure(options: argparse.Namespace, folder: Path) -> list[Way]:
    workload = MAKERS["text-mixed"]("text-mixed", folder)
    order = np.random.default_rng(0).permutation(list(range(len(workload.requests))) * COPIES).tolist()
    lengths = [workload.requests[number][minilm.IDS].shape[1] for number in order]
    threads = threads_here()
    sessions = {True: (session_of(workload, threads), 1), False: (session_of(workload, 1), threads)}
    ways, runs = [], []
    for name, padded, plan in _plans(lengths):
        batches = [joined([workload.requests[order[text]] for text in batch]) for batch in plan]
        for wide, (session, callers) in sessions.items():
            _check(session, batches, plan, order, workload)
            runs.append(_timed(session, callers, batches))
            padding = 1 - sum(lengths) / sum(batch[minilm.IDS].size for batch in batches)
            ways.append((name, wide, padded, padding, len(lengths) / len(plan)))
    rounds: list[list[float]] = []
    started = perf_counter()
    while len(rounds) < options.rounds and perf_counter() - started < MOST_SECONDS:
        print(f"  round {len(rounds) + 1} of {options.rounds}", flush=True)
        rounds.append([len(lengths) / run() for run in runs])
    return [Way(*way, rates) for way, rates in zip(ways, zip(*rounds, strict=True), strict=True)]


def _check(session: Any, batches: Sequence[Inputs], plan: Plan, order: Sequence[int], workload: Workload) -> None:  # noqa: ANN401 (onnxruntime is not typed)
    """Run each batch once, and hold each row against the text's own answer."""
    found = np.concatenate([session.run(None, batch)[0] for batch in batches])
    right = np.concatenate([workload.answers[order[text]] for text in chain(*plan)])
    if not np.allclose(found, right, rtol=0, atol=float(np.abs(right).max()) * TOLERANCE):
        raise BenchmarkError(f"padding changes answers, by up to {np.abs(found - right).max():.2g}")


def _timed(session: Any, callers: int, batches: Sequence[Inputs]) -> Callable[[], float]:  # noqa: ANN401
    """Seconds that all batches take so many callers, each of whom takes the next when he is done.

    Who finds nothing left keeps his core busy, but not the clock, until the others are done, for under load there is
    always more: a run beside an idle core is quicker than it would be.
    """

    def work(waiting: deque[Inputs | None], done: list[float]) -> None:
        started = perf_counter()
        try:
            for batch in iter(waiting.popleft, None):
                session.run(None, batch)
        finally:
            done.append(perf_counter() - started)
        while len(done) < callers:
            session.run(None, batches[0])

    def run() -> float:
        waiting, done = deque([*batches, *[None] * callers]), list[float]()
        with ThreadPoolExecutor(callers) as pool:
            for caller in [pool.submit(work, waiting, done) for _ in range(callers)]:
                caller.result()
        return sum(done) / callers

    return run


if __name__ == "__main__":
    sys.exit(main())
