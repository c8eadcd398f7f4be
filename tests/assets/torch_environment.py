"""A Python with PyTorch, beside the tests' own: 700 MB that only PyTorch's tests need.

On x86, PyPI has PyTorch for CUDA alone, several GB; where pip finds the build for CPUs in a local file, it takes that.
The environment is made once and kept in the cache. It sees the packages of the tests' own environment, so that the
program and the tests run in it as they are.
"""

import hashlib
import shutil
import site
import sys
import venv
from pathlib import Path
from typing import Final

from assets.fetch import EFFICIENTNET_WEIGHTS, cache_folder, only_one, wheel_file
from assets.isolated import run

HERE: Final = Path(__file__).resolve().parent
REQUIREMENTS: Final = HERE / "requirements-torch.txt"
MAKERS: Final = (HERE / "make_torch_models.py", HERE / "torch_modules.py")
KEY_LENGTH: Final = 12


def torch_python() -> Path:
    """The interpreter; the first call makes its environment, which takes minutes. Raises AssetError."""
    # Another Python, or another place of the tests' packages, is another environment.
    parts = (REQUIREMENTS.read_bytes(), sys.version.encode(), *(place.encode() for place in site.getsitepackages()))
    folder = cache_folder() / f"torch-{_key(*parts)}"
    python = folder / "bin" / "python"
    with only_one(folder.with_suffix(".lock")):
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            sys.stderr.write("installing PyTorch for its tests; this takes minutes, once\n")
            venv.create(folder, with_pip=True)
            install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement")
            run([str(python), *install, str(REQUIREMENTS)], "no environment with PyTorch")
            (packages,) = (folder / "lib").glob("python*/site-packages")
            # Not as plain paths: what the tests' packages have for every start of Python is to count here, too.
            lines = (f"import site; site.addsitedir({place!r})\n" for place in site.getsitepackages())
            (packages / "tests.pth").write_text("".join(lines))
            (folder / "complete").touch()
    return python


def torch_models() -> Path:
    """A folder with the models of make_torch_models.py, made once. Raises AssetError."""
    parts = (REQUIREMENTS.read_bytes(), *(maker.read_bytes() for maker in MAKERS), EFFICIENTNET_WEIGHTS.sha256.encode())
    folder = cache_folder() / f"torch-models-{_key(*parts)}"
    python = torch_python()
    with only_one(folder.with_suffix(".lock")):
        if not folder.is_dir():
            scratch = folder.with_suffix(".part")
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            run([str(python), str(MAKERS[0]), str(wheel_file(EFFICIENTNET_WEIGHTS)), str(scratch)], "no PyTorch models")
            scratch.rename(folder)
    return folder


def _key(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:KEY_LENGTH]
