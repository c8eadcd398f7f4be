"""Trying bf16 on a model whose framework reads the mode once, when it is imported (TensorFlow, through oneDNN).

bf16 and float32 then take a process each, so they are tried in children, this program again with a hidden
subcommand, before this process imports anything:

    the bf16 child     loads the model, runs the sample; done, if golden.npz has all outputs expected of it
    the strict child   loads the model, runs the sample, holds the bf16 child's outputs against its own

They run one after the other, for two at once would hold the model in memory twice, and a container whose
memory is just enough for it would be killed. Whatever goes wrong in a child means float32, never a server
that does not start; only a golden.npz that does not fit the model is an error, as it is for every framework.

What a child does is in `serving.trial_run`; what it leaves in a folder is a verdict or the outputs.
"""

import json
import logging
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from serving import children
from serving.errors import ModelLoadError
from serving.preparation import Prepared
from serving.settings import Settings

log = logging.getLogger(__name__)

CHILD_COMMAND = "_trial-run"
BF16, STRICT = "bf16", "strict"
VERDICT = "verdict.json"
COMPLAINTS = "stderr"
# For a child; a large model on a slow disk takes a minute, and SageMaker waits eight for the server.
CHILD_SECONDS = 150.0


class Trial(NamedTuple):
    """What came of trying bf16: whether it is kept, and why. `deviation` is None where it could not be tried."""

    kept: bool
    deviation: float | None
    reason: str


def settle(
    prepared: Prepared, settings: Settings, environment: Mapping[str, str], seconds: float = CHILD_SECONDS
) -> Prepared:
    """Try bf16 if the plan leaves it to a trial in children; the plan that comes of it has nothing on trial.

    `environment` is what the plan was made of; the children make it anew. Raises ModelLoadError for a
    golden.npz that does not fit.
    """
    if not (prepared.plan.bf16_on_trial and prepared.plan.bf16_variables):
        return prepared
    from tempfile import TemporaryDirectory  # noqa: PLC0415 (most models are not tried so, and this is 2 ms of a start)

    log.info("trying bf16 on the model, in processes of their own")
    try:
        with TemporaryDirectory(prefix="trial-") as name:
            trial = _tried(Path(name), settings, environment, seconds)
    except OSError as error:
        # No folder that can be written to, no memory for a process.
        trial = Trial(kept=False, deviation=None, reason=f"it could not be tried: {error}")
    return concluded(prepared, trial)


def concluded(prepared: Prepared, trial: Trial) -> Prepared:
    """The plan after the trial, told in the log."""
    level, word = (logging.INFO, "on") if trial.kept else (logging.WARNING, "off")
    log.log(level, "bf16 is %s: %s", word, trial.reason)
    return prepared._replace(plan=prepared.plan.with_bf16(on=trial.kept, reason=trial.reason), trial=trial)


def verdict_of(folder: Path) -> Mapping[str, Any] | None:
    """What a child left: a trial's fields, or `error`; None where it left the matter to the next child."""
    path = folder / VERDICT
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def leave_verdict(folder: Path, trial: Trial) -> None:
    """Say what came of the trial."""
    (folder / VERDICT).write_text(json.dumps(trial._asdict()), encoding="utf-8")


def leave_error(folder: Path, error: Exception) -> None:
    """Say what no server should start with."""
    (folder / VERDICT).write_text(json.dumps({"error": str(error)}), encoding="utf-8")


def _tried(folder: Path, settings: Settings, environment: Mapping[str, str], seconds: float) -> Trial:
    for mode in (BF16, STRICT):
        command = children.command(CHILD_COMMAND, str(folder), str(settings.model_dir), mode)
        obstacle = _run_child(folder, mode, command, environment, seconds)
        if obstacle:
            return Trial(kept=False, deviation=None, reason=f"it could not be tried, as the {mode} run {obstacle}")
        verdict = verdict_of(folder)
        if verdict is not None:
            if "error" in verdict:
                raise ModelLoadError(verdict["error"])
            return Trial(**verdict)
    raise AssertionError("the strict run left no verdict")


def _run_child(folder: Path, mode: str, command: Sequence[str], environment: Mapping[str, str], seconds: float) -> str:
    """Run a child to its end; what kept it from one, empty where nothing did."""
    with (
        (folder / COMPLAINTS).open("wb") as complaints,
        # The pipe is never written to. It closes when this process ends, however it does, and the child then ends too.
        subprocess.Popen(  # noqa: S603 (this program itself)
            command, env=children.environment(environment), stdin=subprocess.PIPE, stdout=complaints, stderr=complaints
        ) as child,
    ):
        try:
            status = child.wait(seconds)
        except subprocess.TimeoutExpired:
            return f"took longer than {seconds:g} s; a golden.npz of few rows takes less"
        finally:
            child.kill()  # nothing happens to a child that has ended
    if status == 0:
        return ""
    log.warning("the %s run's last words: %s", mode, " | ".join(children.last_words(folder / COMPLAINTS)))
    return f"ended with status {status}"
