"""Models that PyTorch exports: made once, in an environment that is removed again, and kept in the cache."""

import hashlib
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from assets.fetch import Wheel, cache_folder, only_one
from assets.isolated import run

KEY_LENGTH: Final = 12


def made_once(name: str, recipe: Sequence[Path], wheel: Wheel, make: Callable[[Path], None]) -> Path:
    """The ONNX file of that name in the cache; if it is not there, `make` is called with its path.

    `recipe` are the files that say how it is made: a change to one of them makes another file.
    """
    text = b"".join(path.read_bytes() for path in recipe) + wheel.sha256.encode()
    wanted = cache_folder() / f"{name}-{hashlib.sha256(text).hexdigest()[:KEY_LENGTH]}.onnx"
    if not wanted.exists():
        with only_one(wanted.with_suffix(".lock")):
            if not wanted.exists():
                make(wanted)
    return wanted


@contextmanager
def exported(what: str, script: Path, requirements: Path, weights: Path) -> Iterator[Path]:
    """A new ONNX file, made by `script WEIGHTS OUTPUT` in an environment with the requirements; gone afterwards.

    Raises:
        AssetError: the requirements cannot be installed, or the script failed.
    """
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix=".export-") as scratch:
        made = Path(scratch, "model.onnx")
        python = _virtualenv(what, Path(scratch, "venv"), requirements)
        say(what, "exporting")
        run([str(python), str(script), str(weights), str(made)], _failure(what))
        yield made


def say(what: str, happens: str) -> None:
    """Tell on stderr what is done for which model."""
    sys.stderr.write(f"{what}: {happens}\n")
    sys.stderr.flush()


def _virtualenv(what: str, folder: Path, requirements: Path) -> Path:
    say(what, "installing PyTorch in a virtual environment that is removed afterwards; this takes minutes")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement")
    run([str(python), *install, str(requirements)], _failure(what))
    return python


def _failure(what: str) -> str:
    return f"no {what} in ONNX"
