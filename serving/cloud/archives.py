"""`model.tar.gz` as SageMaker wants it: made from a directory.

SageMaker unpacks the archive into /opt/ml/model, so the model's own folder is its root. Links are not
unpacked; what they lead to is put in their place. The same files give the same bytes.
"""

import gzip
import hashlib
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from serving.cloud import listing
from serving.cloud.listing import ArchiveError
from serving.cloud.progress import Counted, Progress, Say

# How archives are named: SageMaker unpacks no others.
SUFFIX = ".tar.gz"
# What systems and Python leave behind, and no model needs.
LEFT_OUT = frozenset({".DS_Store", "__pycache__", "__MACOSX", ".git", ".ipynb_checkpoints"})
APPLE_DOUBLE = "._"
# The earliest time that zip tools take too, as in the image.
TIME = 315_532_800
# gzip's own default; Python's is 9, which takes three times as long over weights and gains nothing.
COMPRESSION = 6


@dataclass(frozen=True, slots=True)
class Packed:
    """An archive that was made: its digest names it, `unpacked` and `size` are bytes."""

    path: Path
    framework: str
    files: int
    unpacked: int
    size: int
    sha256: str

    def described(self, name: str) -> str:
        """One line for the operator, who knows it by that name."""
        return (
            f"{name}: files: {self.files}, bytes: {self.unpacked:,}, packed: {self.size:,}; served by the "
            f"{self.framework} backend. sha256 {self.sha256}"
        )


def pack(directory: Path, output: Path, say: Say, check: Callable[[Path], None] = lambda _: None) -> Packed:
    """Write the archive of a directory; `check` sees it before it takes its place. Raises ArchiveError, also `check`'s.

    Where it fails, what was at `output` is as it was.
    """
    if not directory.is_dir():
        raise ArchiveError(f"{directory} is no directory: expected the one that holds the model's files.")
    partial = output.with_name(f".{output.name}.partial")
    try:
        ours = (output.resolve(), partial.resolve())
        members = [(name, path) for name, path in _members(directory) if path not in ours]
        framework = listing.framework_of(_opened(members), str(directory))
        sizes = [path.stat().st_size for _, path in members]
        output.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as raw:
                _write(raw, members, Progress(say, "packed", sum(sizes)))
            check(partial)
            partial.replace(output)
        finally:
            partial.unlink(missing_ok=True)
        return _packed(output, framework, sizes)
    except OSError as error:
        raise ArchiveError(f"The archive of {directory} could not be made: {error}.") from error


def packed_already(path: Path) -> Packed:
    """An archive that somebody has made, held against the same rules. Raises ArchiveError."""
    try:
        with path.open("rb") as stream:
            framework = listing.examine(stream, str(path))
        with tarfile.open(path, "r:gz") as archive:
            return _packed(path, framework, [member.size for member in archive if member.isfile()])
    except OSError as error:
        raise ArchiveError(f"{path} cannot be read: {error}.") from error


def _packed(path: Path, framework: str, sizes: list[int]) -> Packed:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return Packed(path, framework, len(sizes), sum(sizes), path.stat().st_size, digest)


def _members(directory: Path) -> Iterator[tuple[str, Path]]:
    """Names in the archive, in order, and the real files behind them."""
    root = directory.resolve()
    yield from sorted(_below(root, PurePosixPath(), root, frozenset()))


def _below(folder: Path, name: PurePosixPath, root: Path, above: frozenset[Path]) -> Iterator[tuple[str, Path]]:
    if folder in above:
        raise ArchiveError(f"{name} is a link to a folder that holds it: remove the link.")
    for entry in folder.iterdir():
        if entry.name in LEFT_OUT or entry.name.startswith(APPLE_DOUBLE):
            continue
        real, place = entry.resolve(), name / entry.name
        if not real.is_relative_to(root):
            raise ArchiveError(f"{place} is a link to {real}, outside of {root}: put the file itself there.")
        if real.is_dir():
            yield from _below(real, place, root, above | {folder})
        elif real.is_file():
            yield str(place), real
        else:
            raise ArchiveError(f"{place} is neither a file nor a folder, or a link to nothing: remove it.")


def _opened(members: list[tuple[str, Path]]) -> Iterator[tuple[str, IO[bytes]]]:
    for name, path in members:
        with path.open("rb") as content:
            yield name, content


def _write(raw: IO[bytes], members: list[tuple[str, Path]], progress: Progress) -> None:
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=COMPRESSION, fileobj=raw, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        for name, path in members:
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = path.stat().st_size, TIME, 0o644
            with path.open("rb") as stream:
                counted: Any = Counted(stream, progress)
                archive.addfile(member, counted)
