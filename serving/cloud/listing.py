"""What is in a `model.tar.gz`, and which backend would take it, told by its files' names and beginnings."""

import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from serving.discovery import TORCH_ENDINGS, find_models
from serving.errors import ModelLoadError
from serving.scripts import found as scripts

# A listing this long is no model's; each entry costs a file while it is looked at.
MOST_MEMBERS = 100_000
# Discovery looks into files at the top and one folder down, at some 64 KB of each; bzip2, which joblib may have
# packed those with, gives nothing out before a whole block of 900 KB.
BEGINNING = 2**20
LOOKED_INTO = 2
# A script may load a model that no backend knows.
BY_SCRIPT = "script's own"
# What the server looks for at the archive's root, and nowhere else.
SCRIPT = f"{scripts.FOLDER}/{scripts.SCRIPT}"


class ArchiveError(Exception):
    """The archive cannot be made, read or served: what was found, what was expected, what to do."""


def examine(stream: IO[bytes], source: str) -> str:
    """What takes the archive whose bytes these are; `source` names it. Raises ArchiveError."""
    try:
        with tarfile.open(fileobj=stream, mode="r|gz") as archive:
            return framework_of(_files(archive, source), source)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ArchiveError(
            f"{source} cannot be read as .tar.gz: {error}. Make it with `graviton-serving pack DIR`."
        ) from error


def _files(archive: tarfile.TarFile, source: str) -> Iterator[tuple[str, IO[bytes]]]:
    for member in archive:
        if member.issym() or member.islnk():
            raise ArchiveError(
                f"{source} holds {member.name}, a link to {member.linkname}; SageMaker wants none. Make the "
                "archive with `graviton-serving pack DIR`, which puts the files in their place."
            )
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts:
            raise ArchiveError(f"{source} holds {member.name}, which leads out of it. Make it again.")
        if content := archive.extractfile(member):
            yield str(name), content


def framework_of(files: Iterable[tuple[str, IO[bytes]]], source: str) -> str:
    """What serves an archive of these files, a framework or a script that loads the model. Raises ArchiveError."""
    # The server's own discovery decides, over the files' beginnings: it looks at names and at no more than these, but
    # for PyTorch's, which are zip files, and those have their table at the end.
    with tempfile.TemporaryDirectory(prefix="listing-") as folder:
        root = Path(folder)
        names = []
        for name, content in files:
            names.append(name)
            if len(names) > MOST_MEMBERS:
                raise ArchiveError(f"{source} holds more than {MOST_MEMBERS} files: expected a model's.")
            beginning = content.read(BEGINNING) if name.count("/") < LOOKED_INTO else b""
            try:
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as copy:
                    copy.write(beginning)
                    if beginning and path.suffix in TORCH_ENDINGS:
                        shutil.copyfileobj(content, copy)
            except (OSError, ValueError) as error:
                what = str(error).replace(folder, "the archive")
                raise ArchiveError(f"{source} holds names that no disk takes: {what}. Make it again.") from error
        _check_root(names, source)
        script = scripts.find_script(root)
        if script and script.loads_model:
            return BY_SCRIPT
        try:
            return find_models(root)[0].framework
        except ModelLoadError as error:
            raise ArchiveError(f"{source}: {str(error).replace(folder, 'the archive')}") from error


def _check_root(names: list[str], source: str) -> None:
    """An archive made one folder too high serves its model without the script beside it, so it is refused."""
    for name in names:
        folder, _, rest = name.partition("/")
        if rest == SCRIPT and SCRIPT not in names:
            raise ArchiveError(
                f"{source} holds {name}: expected {SCRIPT} at the archive's root, where the server looks for it. "
                f"Make the archive from inside {folder}."
            )
