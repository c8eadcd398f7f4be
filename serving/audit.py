"""`audit`: run the model once and tell which kernels ran.

The run happens in a child, which is this program again with a hidden subcommand: what is to be observed
must be in the environment before the framework is imported, oneDNN writes to the process's own stdout, and
a crash is then a message instead of the end of this command.

What the child does is in `serving.measurement`; it leaves in a folder: `measured.json` (or an error in it),
ONNX Runtime's profile, and what oneDNN printed, with a line of ours before and after the counted run.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from serving import children, kernels, onednn_verbose, ort_profile, verdicts
from serving.kernels import Kernel
from serving.measurement import BEGIN, END, MEASURED, PROFILE, AuditError, Measured
from serving.settings import Settings
from serving.verdicts import Circumstances, Fallback

CHILD_COMMAND = "_audit-run"
# Both names, for oneDNN reads the first and its older versions only the second; 1 is a line for each primitive.
VERBOSE = {"ONEDNN_VERBOSE": "1", "DNNL_VERBOSE": "1"}
PRINTED, COMPLAINTS = "stdout", "stderr"
# A run that takes longer is announced, lest it seem to hang.
PATIENCE_SECONDS = 3.0
REST = {"onnx": "ONNX Runtime itself", "pytorch": "PyTorch and the rest"}
OTHER_REST = "Eigen and the rest"
COLUMNS = ("operation", "implementation", "dtype", "bf16", "calls", "ms", "share")


@dataclass(frozen=True, slots=True)
class Report:
    """What ran, `milliseconds` in all, of which `rest` (named `rest_name`) was in no kernel."""

    measured: Measured
    kernels: tuple[Kernel, ...]
    milliseconds: float
    rest_name: str
    fallbacks: tuple[Fallback, ...]
    shortfalls: tuple[str, ...]

    @property
    def rest(self) -> float:
        """Milliseconds outside of all kernels; none where kernels that ran side by side took more than the run."""
        return max(0.0, self.milliseconds - sum(kernel.milliseconds for kernel in self.kernels))

    def share(self, milliseconds: float) -> float:
        """As a share of the whole, from 0 to 1."""
        whole = self.rest + sum(kernel.milliseconds for kernel in self.kernels)
        return milliseconds / whole if whole else 0.0


def audit(settings: Settings, batch: int, given: Path | None, expected: Sequence[str]) -> Report:
    """Run the model in `settings.model_dir` once, on `batch` synthetic rows or on a file's. Raises AuditError."""
    with tempfile.TemporaryDirectory(prefix="audit-") as name:
        folder = Path(name)
        _run_child(folder, settings, batch, given)
        measured = _measured(folder)
        printed = (folder / PRINTED).read_text(encoding="utf-8", errors="replace")
        try:
            profile = next((path.read_text(encoding="utf-8") for path in folder.glob(f"{PROFILE}*.json")), None)
            return report(measured, printed, profile, expected)
        except ValueError as error:
            raise AuditError(f"ONNX Runtime's profile could not be read: {error}.") from error


def report(measured: Measured, printed: str, profile: str | None, expected: Sequence[str]) -> Report:
    """Put together what the child left. Raises ValueError for a profile that is none."""
    circumstances = measured.circumstances
    milliseconds = measured.milliseconds
    if circumstances.framework == "onnx":
        run = ort_profile.last_run(profile or "")
        found = kernels.of_onnx_runtime(run.nodes, bf16=circumstances.bf16)
        milliseconds = run.milliseconds
    else:
        found = kernels.of_onednn(onednn_verbose.parse(_counted_lines(printed)))
    return Report(
        measured,
        found,
        milliseconds,
        REST.get(circumstances.framework, OTHER_REST),
        tuple(verdicts.fallbacks(found, circumstances)),
        tuple(verdicts.shortfalls(expected, found, circumstances)),
    )


def _counted_lines(printed: str) -> Iterator[str]:
    """What was printed during the counted run, and the templates that tell how to read it."""
    counted = False
    for line in printed.splitlines():
        counted = (counted or line == BEGIN) and line != END
        if counted or onednn_verbose.is_template(line):
            yield line


def _run_child(folder: Path, settings: Settings, batch: int, given: Path | None) -> None:
    """Run the child to its end; what it wrote is in the folder. Raises AuditError if it died."""
    what = ["--input", str(given)] if given else ["--batch", str(batch)]
    command = children.command(CHILD_COMMAND, str(folder), str(settings.model_dir), *what)
    environment = children.environment(os.environ, **VERBOSE)
    with (
        (folder / PRINTED).open("wb") as printed,
        (folder / COMPLAINTS).open("wb") as complaints,
        subprocess.Popen(  # noqa: S603 (this program itself)
            command, env=environment, stdin=subprocess.DEVNULL, stdout=printed, stderr=complaints
        ) as child,
    ):
        try:
            child.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            sys.stderr.write("loading the model and running it twice in a process of its own …\n")
            sys.stderr.flush()
            child.wait()
        finally:
            child.kill()  # if this command was interrupted; nothing happens to a child that has ended
    if child.returncode:
        tail = children.last_words(folder / COMPLAINTS)
        raise AuditError("\n".join((f"The run ended with status {child.returncode}. Its last words:", *tail)))


def _measured(folder: Path) -> Measured:
    document = json.loads((folder / MEASURED).read_text(encoding="utf-8"))
    if "error" in document:
        raise AuditError(document["error"])
    return Measured(**document | {"circumstances": Circumstances(**document["circumstances"])})


def as_json(made: Report) -> str:
    """The report for machines; shares are of 1."""
    measured = made.measured
    document = {
        "model": measured.model,
        "framework": measured.circumstances.framework,
        "rows": measured.rows,
        "milliseconds": made.milliseconds,
        "bf16": {"on": measured.circumstances.bf16, "reason": measured.circumstances.bf16_reason},
        "kernels": [asdict(kernel) | {"share": made.share(kernel.milliseconds)} for kernel in made.kernels],
        "rest": {"name": made.rest_name, "milliseconds": made.rest, "share": made.share(made.rest)},
        "fallbacks": [asdict(fallback) for fallback in made.fallbacks],
        "shortfalls": list(made.shortfalls),
    }
    return json.dumps(document, indent=2)


def as_text(made: Report) -> str:
    """The report for people."""
    return "\n".join(_lines(made))


def _lines(made: Report) -> Iterator[str]:
    measured, circumstances = made.measured, made.measured.circumstances
    yield f"model      {measured.model} ({circumstances.framework})"
    yield f"run        {measured.rows} row{'s' if measured.rows != 1 else ''} in {made.milliseconds:.3f} ms"
    yield f"bf16       {'on' if circumstances.bf16 else 'off'}: {circumstances.bf16_reason}"
    yield ""
    yield from _table([COLUMNS, *(_row(made, kernel) for kernel in made.kernels), _rest_row(made)])
    yield ""
    for fallback in made.fallbacks:
        yield f"fallback   {fallback.what}"
        yield f"  cure     {fallback.cure}"
    if not made.fallbacks:
        yield "fallback   none"


def _row(made: Report, kernel: Kernel) -> Sequence[str]:
    bf16 = {True: "yes", False: "no", None: "-"}[kernel.bf16]
    return (
        kernel.operation,
        kernel.implementation,
        kernel.dtype or "-",
        bf16,
        str(kernel.calls),
        *_cost(made, kernel.milliseconds),
    )


def _rest_row(made: Report) -> Sequence[str]:
    return made.rest_name, "-", "-", "-", "-", *_cost(made, made.rest)


def _cost(made: Report, milliseconds: float) -> tuple[str, str]:
    return f"{milliseconds:.3f}", f"{made.share(milliseconds):.1%}"


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns as wide as their widest cell; words to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    words = COLUMNS.index("calls")
    for row in rows:
        cells = [
            cell.ljust(width) if place < words else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
