"""Temporary folders that do not outlive the process.

A container's go with it, but another machine would keep them, each as large as a model. `with TemporaryDirectory()`
is not enough: a server that is told to stop while a framework is inside of its own code ends without waiting for it
(`serving.server`), and a script's files are wanted for as long as the process lives.
"""

import atexit
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from serving.errors import ModelLoadError

PREFIX = "graviton-serving-"

_folders: set[Path] = set()


def scratch_folder() -> Path:
    """A new folder, which is there until the process ends.

    Raises:
        OSError: there is no writable place for temporary files.
    """
    from tempfile import mkdtemp  # noqa: PLC0415 (most servers have no such folder, and this is 2 ms of every start)

    folder = Path(mkdtemp(prefix=PREFIX))
    if not _folders:
        atexit.register(remove_all)  # nothing happens if it is called several times
    _folders.add(folder)
    return folder


def folder_for(what: str, instead: str) -> Path:
    """The same for a part of a script, without which nothing can be served.

    Args:
        what: needs it, as the message begins.
        instead: what else may be done, as the message ends.

    Raises:
        ModelLoadError: there is no writable place for temporary files.
    """
    try:
        return scratch_folder()
    except OSError as error:
        raise ModelLoadError(
            f"{what} needs a writable folder for temporary files ({error}). Give the container one "
            f"(docker run --tmpfs /tmp, or TMPDIR){instead}"
        ) from error


@contextmanager
def scratch() -> Iterator[Path]:
    """A new folder for the length of a `with`. Raises OSError as `scratch_folder` does."""
    folder = scratch_folder()
    try:
        yield folder
    finally:
        remove(folder)


def remove(folder: Path) -> None:
    """Remove a folder of these, with what is in it; nothing happens to one that is gone."""
    from shutil import rmtree  # noqa: PLC0415 (as above)

    _folders.discard(folder)
    rmtree(folder, ignore_errors=True)


def remove_all() -> None:
    """Remove them all. A process that ends without the interpreter's own clean-up has to call it."""
    for folder in tuple(_folders):
        remove(folder)
