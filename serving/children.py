"""This program again, in a process of its own, with a subcommand that no help text shows.

For what must be in the environment before a framework is imported, and for what may crash. A subprocess and
not `multiprocessing`, which would import the program's main module anew in a child that must import nothing yet.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Thread

# Of what a child that died wrote, the end tells why.
TAIL_LINES = 15


def command(*arguments: str) -> list[str]:
    """The command line that runs this program with these arguments."""
    # -P keeps the current directory off the module path; `environment` puts there where this program comes from.
    return [sys.executable, "-P", "-m", "serving", *arguments]


def environment(given: Mapping[str, str], **more: str) -> dict[str, str]:
    """A child's environment: what is given, and more, and where this program comes from."""
    paths = [str(Path(__file__).resolve().parents[1]), given.get("PYTHONPATH", "")]
    return {**given, **more, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def last_words(output: Path) -> list[str]:
    """The last lines of what a child wrote to a file."""
    return output.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]


def end_with_parent() -> None:
    """In a child whose standard input is its parent's pipe: end when the parent does, whatever the framework is at."""
    Thread(target=_await_end, name="parent", daemon=True).start()


def _await_end() -> None:
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)
