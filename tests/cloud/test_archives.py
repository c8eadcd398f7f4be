"""`model.tar.gz` out of a directory: the right root, no links, the same bytes for the same files."""

import hashlib
import os
import tarfile
from pathlib import Path

import pytest

from assets import onnx_models
from serving.cloud import archives
from serving.cloud.archives import Packed
from serving.cloud.listing import ArchiveError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model's folder with all that may come with one."""
    folder = tmp_path / "model"
    (folder / "code" / "lib").mkdir(parents=True)
    onnx_models.identity(folder / "model.onnx")
    (folder / "code" / "inference.py").write_text("def handler(data, context): ...\n")
    (folder / "code" / "lib" / "units.py").write_text("TEN = 10\n")
    return folder


def pack(folder: Path, output: Path) -> Packed:
    return archives.pack(folder, output, lambda _: None)


def contents(packed: Packed) -> dict[str, bytes]:
    with tarfile.open(packed.path, "r:gz") as archive:
        files = {member.name: archive.extractfile(member) for member in archive}
        return {name: stream.read() for name, stream in files.items() if stream}


def test_the_folder_itself_is_the_root_and_every_byte_is_there(folder: Path, tmp_path: Path) -> None:
    packed = pack(folder, tmp_path / "out.tar.gz")
    held = contents(packed)
    assert list(held) == ["code/inference.py", "code/lib/units.py", "model.onnx"]
    assert all(held[name] == (folder / name).read_bytes() for name in held)
    assert packed.framework == "onnx"
    assert (packed.files, packed.unpacked) == (3, sum(map(len, held.values())))
    assert packed.size == packed.path.stat().st_size
    assert packed.sha256 == hashlib.sha256(packed.path.read_bytes()).hexdigest()
    assert "served by the onnx backend" in packed.described("model")


def test_the_same_files_make_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    first = pack(folder, tmp_path / "first.tar.gz")
    for path in sorted(folder.rglob("*"), reverse=True):
        os.utime(path, (1, 1))
    (folder / "model.onnx").chmod(0o600)
    second = pack(folder, tmp_path / "second.tar.gz")
    assert first.sha256 == second.sha256


def test_links_are_replaced_by_what_they_lead_to(folder: Path, tmp_path: Path) -> None:
    (folder / "model.onnx").rename(folder / "weights.bin")
    (folder / "model.onnx").symlink_to("weights.bin")
    (folder / "code" / "more").symlink_to("lib")
    packed = pack(folder, tmp_path / "out.tar.gz")
    with tarfile.open(packed.path) as archive:
        assert all(member.isfile() for member in archive)
    held = contents(packed)
    assert held["model.onnx"] == held["weights.bin"]
    assert "code/more/units.py" in held


def test_what_no_model_needs_is_left_out(folder: Path, tmp_path: Path) -> None:
    for name in (".DS_Store", "._model.onnx", "__pycache__/a.pyc", "code/__pycache__/b.pyc", ".git/HEAD"):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert len(contents(pack(folder, tmp_path / "out.tar.gz"))) == 3


def test_an_archive_made_inside_the_folder_does_not_hold_itself(folder: Path) -> None:
    for _ in range(2):
        assert "model.tar.gz" not in contents(pack(folder, folder / "model.tar.gz"))
    assert not list(folder.glob("*.partial"))


def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").touch()
    (folder / "secret").symlink_to(tmp_path / "secret")
    with pytest.raises(ArchiveError, match=r"secret is a link to .*outside of"):
        pack(folder, tmp_path / "out.tar.gz")


def test_a_link_to_a_folder_above_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "code" / "again").symlink_to(folder)
    with pytest.raises(ArchiveError, match="a link to a folder that holds it"):
        pack(folder, tmp_path / "out.tar.gz")


def test_a_link_to_nothing_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "gone").symlink_to("nowhere")
    with pytest.raises(ArchiveError, match="gone is neither a file nor a folder, or a link to nothing"):
        pack(folder, tmp_path / "out.tar.gz")


def test_a_folder_without_a_model_is_refused_and_no_archive_left(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArchiveError, match="No model was found in the archive"):
        pack(tmp_path / "empty", tmp_path / "out.tar.gz")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_a_file_is_no_folder(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="is no directory"):
        pack(folder / "model.onnx", tmp_path / "out.tar.gz")


def test_an_output_that_cannot_be_written_is_told(folder: Path) -> None:
    with pytest.raises(ArchiveError, match=r"could not be made: .*File exists"):
        pack(folder, folder / "model.onnx" / "out.tar.gz")
