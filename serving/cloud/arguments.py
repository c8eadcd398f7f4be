"""The arguments of `pack`; what it does is in `packing`."""

import argparse
import logging
from pathlib import Path

from serving.settings import Settings


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands for the way to SageMaker."""
    _add_pack(commands.add_parser("pack", help="make a model.tar.gz as SageMaker wants it, and try it out"))


def _add_pack(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, metavar="DIR", help="the model's folder, which becomes the root")
    parser.add_argument("-o", "--output", type=Path, default=Path("model.tar.gz"), metavar="FILE")
    parser.add_argument(
        "--load", action=argparse.BooleanOptionalAction, default=True, help="load the model and run it, to see it work"
    )
    parser.set_defaults(command=_pack, quietest=logging.WARNING)


def _pack(options: argparse.Namespace, _settings: Settings) -> int:
    from serving.cloud import packing  # noqa: PLC0415 (each command imports only what it needs)

    return packing.run(options)
