"""The commands and their options; what they do is imported when they are called."""

import argparse
import logging
import os
import sys
from pathlib import Path

from serving import __version__
from serving.cli import serve
from serving.cloud import arguments as cloud
from serving.errors import ModelLoadError
from serving.settings import Settings, markdown_table


def parser() -> argparse.ArgumentParser:
    """Of all commands."""
    whole = argparse.ArgumentParser(
        prog="graviton-serving",
        description="Serve a trained model on Amazon SageMaker, tuned to the processor it landed on.",
        epilog="All settings are environment variables; `graviton-serving settings` lists them.",
    )
    whole.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = whole.add_subparsers(title="commands", required=True, metavar="COMMAND")
    commands.add_parser("serve", help="serve the model in SERVING_MODEL_DIR (what SageMaker runs)").set_defaults(
        command=serve, quietest=logging.NOTSET
    )
    inspect = commands.add_parser(
        "inspect",
        help="print the processor, the CPU budget, the plan with reasons, the model and its signature",
    )
    inspect.add_argument("directory", nargs="?", type=Path, metavar="DIR", help="model directory")
    inspect.add_argument("--json", action="store_true", help="print JSON")
    inspect.set_defaults(command=_inspect, quietest=logging.WARNING)
    _add_audit(commands)
    _add_script_worker(commands)
    cloud.add(commands)
    settings = commands.add_parser("settings", help="list the settings as a Markdown table")
    settings.set_defaults(command=_settings, quietest=logging.NOTSET)
    return whole


def _add_audit(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    audit = commands.add_parser(
        "audit", help="run the model once and tell which kernels ran, and what would cure slow ones"
    )
    audit.add_argument("directory", nargs="?", type=Path, metavar="DIR", help="model directory")
    audit.add_argument("--json", action="store_true", help="print JSON")
    audit.add_argument(
        "--expect",
        type=_expected,
        default=(),
        metavar="WORDS",
        help="exit with status 1 unless all of these hold: acl, bf16, onednn, no-ref, mlas (comma between them)",
    )
    _add_audit_input(audit)
    audit.set_defaults(command=_audit, quietest=logging.WARNING)
    # What `audit` runs in a process of its own: no help, so that no list shows it.
    child = commands.add_parser("_audit-run")
    child.add_argument("folder", type=Path)
    child.add_argument("directory", type=Path)
    _add_audit_input(child)
    child.set_defaults(command=_audit_run, quietest=logging.WARNING)
    # What a trial of bf16 runs in processes of their own.
    trial = commands.add_parser("_trial-run")
    trial.add_argument("folder", type=Path)
    trial.add_argument("directory", type=Path)
    trial.add_argument("mode", choices=("bf16", "strict"))
    trial.set_defaults(command=_trial_run, quietest=logging.WARNING)


def _add_audit_input(parser: argparse.ArgumentParser) -> None:
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--batch", type=_rows, default=1, metavar="N", help="rows of the synthetic input (default: 1)")
    either.add_argument("--input", type=_input_file, metavar="FILE", help="run on this .npy, .npz, .json or .csv file")


def _add_script_worker(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """What `serve` runs for an archive with a script: no help, so that no list shows it."""
    worker = commands.add_parser("_script-worker")
    worker.add_argument("descriptor", type=int)
    worker.add_argument("file", type=Path)
    worker.add_argument("module_path", nargs="*")
    worker.set_defaults(command=_script_worker, quietest=logging.NOTSET)


def _rows(text: str) -> int:
    rows = int(text)
    if rows < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {rows}")
    return rows


def _input_file(text: str) -> Path:
    from serving.measurement import INPUT_TYPES  # noqa: PLC0415 (each command imports only what it needs)

    path = Path(text)
    if path.suffix.lower() not in INPUT_TYPES:
        raise argparse.ArgumentTypeError(f"expected a file named {', '.join('*' + s for s in INPUT_TYPES)}, got {text}")
    return path


def _expected(text: str) -> tuple[str, ...]:
    from serving.verdicts import EXPECTATIONS  # noqa: PLC0415 (each command imports only what it needs)

    words = tuple(word.strip().lower() for word in text.split(","))
    unknown = [word for word in words if word not in EXPECTATIONS]
    if unknown:
        known = "; ".join(f"{word}: {meaning}" for word, (meaning, _) in EXPECTATIONS.items())
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(map(repr, unknown))}. Expected some of these: {known}")
    return words


def _inspect(options: argparse.Namespace, settings: Settings) -> int:
    from serving.preparation import apply_environment, look_around, prepare  # noqa: PLC0415
    from serving.trial import settle  # noqa: PLC0415

    if options.directory:
        settings = settings._replace(model_dir=options.directory)
    try:
        prepared = settle(prepare(settings, os.environ), settings, os.environ)
        apply_environment(prepared.plan)
        from serving import inspection, loader  # noqa: PLC0415 (numpy may be imported only now)

        loaded = loader.load(prepared, settings, lambda _state: None)
    except ModelLoadError as error:
        from serving import inspection  # noqa: PLC0415

        _print(inspection.machine_as_text(look_around()))
        sys.stderr.write(f"\n{error}\n")
        return 1
    _print(inspection.as_json(loaded) if options.json else inspection.as_text(loaded))
    return 0


def _audit(options: argparse.Namespace, settings: Settings) -> int:
    from serving import audit  # noqa: PLC0415
    from serving.measurement import AuditError  # noqa: PLC0415

    if options.directory:
        settings = settings._replace(model_dir=options.directory)
    try:
        report = audit.audit(settings, options.batch, options.input, options.expect)
    except AuditError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    _print(audit.as_json(report) if options.json else audit.as_text(report))
    for shortfall in report.shortfalls:
        sys.stderr.write(f"{shortfall}\n")
    return 1 if report.shortfalls else 0


def _audit_run(options: argparse.Namespace, settings: Settings) -> int:
    from serving.measurement import run_in_child  # noqa: PLC0415

    run_in_child(options.folder, settings._replace(model_dir=options.directory), options.batch, options.input)
    return 0


def _trial_run(options: argparse.Namespace, settings: Settings) -> int:
    from serving.trial_run import run_in_child  # noqa: PLC0415

    run_in_child(options.folder, settings._replace(model_dir=options.directory), options.mode)
    return 0


def _script_worker(options: argparse.Namespace, _settings: Settings) -> int:
    from serving.scripts.worker import run  # noqa: PLC0415

    run(options.descriptor, options.file, options.module_path)


def _settings(_options: argparse.Namespace, _current: Settings) -> int:
    _print(markdown_table())
    return 0


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
