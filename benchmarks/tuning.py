"""What the plan's tuning is worth here: ResNet-50 through our TensorFlow backend against TensorFlow's defaults.

    .venv/bin/python benchmarks/tuning.py --save

Each side is a process of its own: ours with the environment that the plan sets and the model loaded by our
backend, theirs with an environment that sets nothing and the signature called as a user would. They take
turns, round after round, so that both meet the same noise; a round's figure is the median of its runs, the
result the median of the rounds' ratios. Weights are random (keras.applications), which changes no time.

On processors with bf16 (Graviton3 and later, x86 with AMX) our side computes in bf16 (SERVING_FPMATH=bf16).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Self

# Run by its path, a script does not see the package beside its folder.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from serving.preparation import Machine, apply_environment, look_around, prepare
from serving.settings import Settings

RESULTS = Path(__file__).resolve().parent / "results"
OURS, THEIRS, MAKER = "ours", "theirs", "maker"
BATCHES = (1, 8)
SIDE = 224
# Runs before the first that counts: kernels are chosen and weights laid out in the first.
WARM_RUNS = 3
# What would tune the other side too, if the shell that starts this has it set.
TUNING = ("TF_", "ONEDNN_", "DNNL_", "OMP_", "KMP_", "SERVING_")

Run = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Row:
    """Of one batch size: both sides' milliseconds in each round, and how many times as fast ours was."""

    batch: int
    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios."""
        return median(theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=True))


def main() -> None:
    """Measure and report; or be one of the processes that are measured."""
    options = _parser().parse_args()
    if options.process:
        _be(options.process, options.folder)
        return
    machine = look_around()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print("making ResNet-50 with random weights …", flush=True)
        subprocess.run(_command(MAKER, folder), env=_plain(), check=True)  # noqa: S603 (this script)
        rows = _measured(folder, options.rounds, options.runs)
    for row in rows:
        print(
            f"batch {row.batch}: {median(row.ours):.1f} ms, defaults {median(row.theirs):.1f} ms: {row.ratio:.2f} times"
        )
    if options.save:
        print(f"saved as {_saved(machine, rows)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="turns that both sides take (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=15, help="runs of a turn (default: %(default)s)")
    parser.add_argument("--save", action="store_true", help="keep the figures in benchmarks/results/")
    parser.add_argument("--process", choices=(OURS, THEIRS, MAKER), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser


def _measured(folder: Path, rounds: int, runs: int) -> list[Row]:
    """Both sides in turn, for each batch size."""
    with ExitStack() as stack:
        sides = {name: stack.enter_context(_Side(name, folder)) for name in (OURS, THEIRS)}
        rows = []
        for batch in BATCHES:
            print(f"batch {batch} …", flush=True)
            turns = [{name: side.milliseconds(batch, runs) for name, side in sides.items()} for _ in range(rounds)]
            rows.append(Row(batch, tuple(turn[OURS] for turn in turns), tuple(turn[THEIRS] for turn in turns)))
        return rows


class _Side:
    """A process that runs the model when it is told to, and tells how long it took."""

    def __init__(self, name: str, folder: Path) -> None:
        self._process = subprocess.Popen(  # noqa: S603 (this script)
            _command(name, folder), env=_plain(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def milliseconds(self, batch: int, runs: int) -> float:
        """The median of that many runs of a batch."""
        assert self._process.stdin is not None  # noqa: S101 (opened as pipes above)
        assert self._process.stdout is not None  # noqa: S101
        self._process.stdin.write(f"{batch} {runs}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())


def _command(name: str, folder: Path) -> list[str]:
    return [sys.executable, str(Path(__file__).resolve()), "--process", name, "--folder", str(folder)]


def _plain() -> Mapping[str, str]:
    """The environment without anything that tunes TensorFlow."""
    rest = {name: value for name, value in os.environ.items() if not name.startswith(TUNING)}
    return rest | {"TF_CPP_MIN_LOG_LEVEL": "2"}


def _be(name: str, folder: Path) -> None:
    """A process: make the model, or answer each line `BATCH RUNS` with the median milliseconds of a run."""
    if name == MAKER:
        _make(folder)
        return
    run = _our_run(folder) if name == OURS else _their_run(folder)
    for line in sys.stdin:
        batch, runs = map(int, line.split())
        for _ in range(WARM_RUNS):
            run(batch)
        print(median(_timed(run, batch) for _ in range(runs)), flush=True)


def _timed(run: Run, batch: int) -> float:
    started = perf_counter()
    run(batch)
    return (perf_counter() - started) * 1e3


def _make(folder: Path) -> None:
    import keras  # noqa: PLC0415 (in its own process)

    keras.applications.ResNet50(weights=None).export(folder / "1", verbose=False)


def _our_run(folder: Path) -> Run:
    """The model as the server runs it."""
    prepared = prepare(Settings(model_dir=folder, fpmath="bf16"), os.environ)
    apply_environment(prepared.plan)
    import numpy as np  # noqa: PLC0415 (reads the environment)

    from serving import backends  # noqa: PLC0415

    model = backends.load(prepared.found.framework, prepared.found.path, prepared.plan)
    (name,) = model.signature.input_names
    inputs = {batch: np.random.default_rng(0).random((batch, SIDE, SIDE, 3), np.float32) for batch in BATCHES}

    def run(batch: int) -> None:
        model.run({name: inputs[batch]})

    return run


def _their_run(folder: Path) -> Run:
    """The model as TensorFlow runs it when nobody has tuned anything."""
    import numpy as np  # noqa: PLC0415 (in its own process)
    import tensorflow as tf  # noqa: PLC0415

    function = tf.saved_model.load(str(folder / "1")).signatures["serving_default"]
    (name,) = function.structured_input_signature[1]
    inputs = {batch: np.random.default_rng(0).random((batch, SIDE, SIDE, 3), np.float32) for batch in BATCHES}

    def run(batch: int) -> None:
        for answer in function(**{name: tf.constant(inputs[batch])}).values():
            answer.numpy()

    return run


def _saved(machine: Machine, rows: Sequence[Row]) -> Path:
    """Keep the figures, with the processor that they are of."""
    now = datetime.now(UTC)
    processor, budget = machine.processor, machine.budget
    bf16 = processor.has_arm_bf16 or processor.has_amx_bf16
    document = {
        "benchmark": "tuning: ResNet-50, our TensorFlow backend against TensorFlow's defaults",
        "time": now.isoformat(timespec="seconds"),
        "processor": processor.description,
        "cores": budget.cores,
        "bf16": bf16,
        "rows": [asdict(row) | {"ratio": row.ratio} for row in rows],
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"tuning-{now:%Y-%m-%d}.json"
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    main()
