"""Archives are judged by their files' names and beginnings: which backend takes them, and why none does."""

import bz2
import io
import tarfile
import zipfile
from collections.abc import Mapping
from os import urandom

import pytest

from serving.cloud.listing import BEGINNING, ArchiveError, examine

# How a pickled Booster begins.
BOOSTER = b"\x80\x02cxgboost.core\nBooster\n"
SOURCE = "s3://bucket/model.tar.gz"


def archive(*names: str, links: Mapping[str, str] | None = None, kind: bytes = tarfile.SYMTYPE) -> io.BytesIO:
    """An archive of empty files, and of links."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as packed:
        for name in names:
            packed.addfile(tarfile.TarInfo(name))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            packed.addfile(member)
    stream.seek(0)
    return stream


@pytest.mark.parametrize(
    ("names", "framework"),
    [
        (("model.onnx",), "onnx"),
        (("./model.onnx", "./code/inference.py"), "onnx"),
        (("export/model.onnx",), "onnx"),
        (("model.keras",), "tensorflow"),
        (("1/saved_model.pb", "1/variables/variables.index"), "tensorflow"),
        (("half/1/saved_model.pb", "half/2/saved_model.pb", "whole/1/saved_model.pb"), "tensorflow"),
    ],
)
def test_the_backend_that_takes_an_archive_is_told(names: tuple[str, ...], framework: str) -> None:
    assert examine(archive(*names), SOURCE) == framework


def filled(contents: Mapping[str, bytes]) -> io.BytesIO:
    """An archive of files with something in them."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as packed:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    stream.seek(0)
    return stream


@pytest.mark.parametrize(
    ("contents", "framework"),
    [
        ({"model.txt": b"tree\nversion=v4\n"}, "lightgbm"),
        ({"model.json": b'{"learner": {}}' + b" " * 2**21}, "xgboost"),
        ({"m/model.json": b'{"version": [3, 0, 0]}', "code/inference.py": b"def handler(a, b): ..."}, "xgboost"),
        ({"xgboost-model": b""}, "xgboost"),
        ({"model.pkl": bz2.compress(BOOSTER + urandom(2**20))}, "xgboost"),
        ({"weights.bin": b"w", "code/inference.py": b"def model_fn(folder): ..."}, "script's own"),
    ],
    ids=("lightgbm", "xgboost", "one down", "by name", "pickle", "script"),
)
def test_what_is_in_a_file_counts_as_for_the_server(contents: Mapping[str, bytes], framework: str) -> None:
    assert examine(filled(contents), SOURCE) == framework


@pytest.mark.parametrize(
    "contents",
    [
        {"notes.txt": b"hello"},
        {"model.json": b"{}"},
        {"weights.bin": b"w", "code/inference.py": b"def handler(data, context): ..."},
    ],
    ids=("text", "json", "script without a model"),
)
def test_what_only_looks_like_a_model_is_none(contents: Mapping[str, bytes]) -> None:
    with pytest.raises(ArchiveError, match="No model was found"):
        examine(filled(contents), SOURCE)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ((), "which holds nothing"),
        (("model.pt",), r"No model was found in the archive, which holds model\.pt"),
        (("a/b/model.onnx",), "No model was found"),
        (("a.onnx", "b.onnx"), "Several models were found"),
        (("export/model.onnx", "export/code/inference.py"), "expected code/inference.py at the archive's root"),
        (("../model.onnx",), "leads out of it"),
        (("/model.onnx",), "leads out of it"),
        (("model.onnx", "model.onnx/weights.bin"), "names that no disk takes"),
        (("model.onnx", "a" * 300), "names that no disk takes"),
    ],
)
def test_an_archive_that_is_not_served_is_refused(names: tuple[str, ...], reason: str) -> None:
    with pytest.raises(ArchiveError, match=reason) as raised:
        examine(archive(*names), SOURCE)
    assert str(raised.value).startswith(SOURCE)
    assert "/tmp" not in str(raised.value)  # noqa: S108 (the program's own folder is no business of the operator's)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_are_refused(kind: bytes) -> None:
    stream = archive("model.onnx", links={"other": "model.onnx"}, kind=kind)
    with pytest.raises(ArchiveError, match=r"other, a link to model\.onnx; SageMaker wants none.*pack"):
        examine(stream, SOURCE)


def test_folders_of_their_own_do_no_harm() -> None:
    stream = archive("model.onnx", links={"code": ""}, kind=tarfile.DIRTYPE)
    assert examine(stream, SOURCE) == "onnx"


@pytest.mark.parametrize(
    "content",
    [b"", b"not an archive", archive("model.onnx").getvalue()[:-40]],
    ids=["nothing", "no archive", "cut off"],  # an archive holds the time, so its bytes are no name
)
def test_what_is_no_archive_or_a_part_of_one_is_refused(content: bytes) -> None:
    with pytest.raises(ArchiveError, match=r"cannot be read as \.tar\.gz.*pack DIR"):
        examine(io.BytesIO(content), SOURCE)


def test_an_endless_listing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.cloud.listing.MOST_MEMBERS", 2)
    with pytest.raises(ArchiveError, match="more than 2 files"):
        examine(archive("a", "b", "model.onnx"), SOURCE)


def test_pytorchs_files_are_read_whole_for_their_table_is_at_the_end() -> None:
    program = torch_archive("constants.pkl", "data/0")
    assert len(program) > BEGINNING
    assert examine(filled({"model.pt": program}), SOURCE) == "pytorch"
    with pytest.raises(ArchiveError, match=r"weights without the module.*model_fn"):
        examine(filled({"model.pt": torch_archive("data/0")}), SOURCE)


def torch_archive(*records: str) -> bytes:
    """A zip as PyTorch writes them, of more than a beginning."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        for record in records:
            packed.writestr(f"model/{record}", urandom(BEGINNING))
        packed.writestr("model/data.pkl", b"\x80\x02ccollections\nOrderedDict\n")
    return stream.getvalue()
