"""The command line: `python -m serving COMMAND`, also installed as `graviton-serving COMMAND`."""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType

from serving import __version__, logs
from serving.errors import ModelLoadError
from serving.settings import SettingError, Settings, from_environment, markdown_table

USAGE_STATUS = 2


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, 1 when it failed, 2 when it was called wrongly."""
    options = _parser().parse_args(arguments)
    try:
        settings = from_environment(os.environ)
    except SettingError as error:
        sys.stderr.write(f"{error}.\n")
        return USAGE_STATUS
    logs.configure(max(settings.log_level, options.quietest))
    status: int = options.command(options, settings)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="graviton-serving",
        description="Serve a trained model on Amazon SageMaker, tuned to the processor it landed on.",
        epilog="All settings are environment variables; `graviton-serving settings` lists them.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="serve the model in SERVING_MODEL_DIR (what SageMaker runs)")
    serve.set_defaults(command=_serve, quietest=logging.NOTSET)
    inspect = commands.add_parser(
        "inspect",
        help="print the processor, the CPU budget, the plan with reasons, the model and its signature",
    )
    inspect.add_argument("directory", nargs="?", type=Path, metavar="DIR", help="model directory")
    inspect.add_argument("--json", action="store_true", help="print JSON")
    inspect.set_defaults(command=_inspect, quietest=logging.WARNING)
    settings = commands.add_parser("settings", help="list the settings as a Markdown table")
    settings.set_defaults(command=_settings, quietest=logging.NOTSET)
    return parser


def _serve(_options: argparse.Namespace, settings: Settings) -> int:
    # Until the server has its own handlers: the kernel keeps from process 1 every signal that it does not handle.
    signal.signal(signal.SIGTERM, _exit_before_the_start)
    from serving.server import serve  # noqa: PLC0415 (each command imports only what it needs)

    return serve(settings)


def _exit_before_the_start(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _inspect(options: argparse.Namespace, settings: Settings) -> int:
    from serving.preparation import apply_environment, look_around, prepare  # noqa: PLC0415

    if options.directory:
        settings = replace(settings, model_dir=options.directory)
    try:
        prepared = prepare(settings, os.environ)
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


def _settings(_options: argparse.Namespace, _current: Settings) -> int:
    _print(markdown_table())
    return 0


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
