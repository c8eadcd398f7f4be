"""What is in a `model.tar.gz`, and which backend would take it, told by the names of its files alone."""

import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from serving.discovery import find_models
from serving.errors import ModelLoadError
from serving.scripts import found as scripts

# A listing this long is no model's; each entry costs a file while it is looked at.
MOST_MEMBERS = 100_000
# What the server looks for at the archive's root, and nowhere else.
SCRIPT = f"{scripts.FOLDER}/{scripts.SCRIPT}"


class ArchiveError(Exception):
    """The archive cannot be made, read or served: what was found, what was expected, what to do."""


def examine(stream: IO[bytes], source: str) -> str:
    """The framework that takes the archive whose bytes these are; `source` names it. Raises ArchiveError."""
    names = []
    try:
        with tarfile.open(fileobj=stream, mode="r|gz") as archive:
            for name in _files(archive, source):
                names.append(name)
                if len(names) > MOST_MEMBERS:
                    raise ArchiveError(f"{source} holds more than {MOST_MEMBERS} files: expected a model's.")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ArchiveError(
            f"{source} cannot be read as .tar.gz: {error}. Make it with `graviton-serving pack DIR`."
        ) from error
    return framework_of(names, source)


def _files(archive: tarfile.TarFile, source: str) -> Iterator[str]:
    for member in archive:
        if member.issym() or member.islnk():
            raise ArchiveError(
                f"{source} holds {member.name}, a link to {member.linkname}; SageMaker wants none. Make the "
                "archive with `graviton-serving pack DIR`, which puts the files in their place."
            )
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts:
            raise ArchiveError(f"{source} holds {member.name}, which leads out of it. Make it again.")
        if member.isfile():
            yield str(name)


def framework_of(names: list[str], source: str) -> str:
    """The framework that serves an archive of files with these names. Raises ArchiveError."""
    _check_root(names, source)
    # The server's own discovery decides, over empty files: it looks at names alone.
    with tempfile.TemporaryDirectory(prefix="listing-") as folder:
        root = Path(folder)
        try:
            for name in names:
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
            return find_models(root)[0].framework
        except ModelLoadError as error:
            raise ArchiveError(f"{source}: {str(error).replace(folder, 'the archive')}") from error
        except (OSError, ValueError) as error:
            what = str(error).replace(folder, "the archive")
            raise ArchiveError(f"{source} holds names that no disk takes: {what}. Make it again.") from error


def _check_root(names: list[str], source: str) -> None:
    """An archive made one folder too high serves its model without the script beside it, so it is refused."""
    for name in names:
        folder, _, rest = name.partition("/")
        if rest == SCRIPT and SCRIPT not in names:
            raise ArchiveError(
                f"{source} holds {name}: expected {SCRIPT} at the archive's root, where the server looks for it. "
                f"Make the archive from inside {folder}."
            )
