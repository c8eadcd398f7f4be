"""The framework of a pickle is told without loading it."""

import pickle
import pickletools
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pytest
import xgboost as xgb
from hypothesis import given
from hypothesis import strategies as st

from assets import sklearn_models
from harness.targets import ROOT
from properties import THOROUGH
from serving.contents import TORCH_LEGACY, TorchContent, is_xgboost, pickled_module, torch_content


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_the_first_class_of_a_pickle_tells_its_module(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "model.pkl"
    estimator, _ = sklearn_models.margins()
    path.write_bytes(pickle.dumps(estimator, protocol))
    assert pickled_module(path) == "sklearn.svm._classes"
    path.write_bytes(pickletools.optimize(pickle.dumps({"model": estimator}, protocol)))
    assert pickled_module(path) == "sklearn.svm._classes"


@pytest.mark.parametrize("compress", [0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)])
def test_joblibs_files_tell_it_too(tmp_path: Path, compress: object) -> None:
    joblib.dump(sklearn_models.digits()[0], tmp_path / "model.joblib", compress=compress)
    assert pickled_module(tmp_path / "model.joblib") == "sklearn.pipeline"


@pytest.mark.parametrize(
    "content",
    [b"", b"no pickle", b"\x80\x04.", b"\x80\x04\x93", b"\x78\x9cno zlib", b"\x1f\x8bno gzip", b"BZno", b"\xfd7zXZno"],
)
def test_what_is_no_pickle_has_no_module(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.pkl").write_bytes(content)
    assert pickled_module(tmp_path / "model.pkl") == ""


def test_a_file_that_is_gone_has_none(tmp_path: Path) -> None:
    assert pickled_module(tmp_path / "model.pkl") == ""


@THOROUGH
@given(st.binary(max_size=64))
def test_any_bytes_will_do(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.pkl"
    path.write_bytes(content)
    assert isinstance(pickled_module(path), str)


OLD = ROOT / "tests" / "assets" / "xgboost"


@pytest.mark.parametrize("name", [path.name for path in sorted(OLD.glob("*.[mp][ok]*l"))])
def test_xgboosts_models_are_known_by_any_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "what").write_bytes((OLD / name).read_bytes())
    assert is_xgboost(tmp_path / "what")


@pytest.mark.parametrize("form", ["ubj", "json", "pickle"])
def test_todays_are_too(tmp_path: Path, form: str) -> None:
    booster = xgb.train({"objective": "binary:logistic"}, xgb.DMatrix(np.eye(4), [0, 1, 0, 1]), 2)
    (tmp_path / "what").write_bytes(pickle.dumps(booster) if form == "pickle" else booster.save_raw(form))
    assert is_xgboost(tmp_path / "what")


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"{L" + bytes(200), b"binf" + bytes(300), b"\x80\x04N.", b"plain text"]
)
def test_nothing_else_is(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "what").write_bytes(content)
    assert not is_xgboost(tmp_path / "what")
    assert not is_xgboost(tmp_path / "gone")


def torch_file(path: Path, *records: str, pickle: bytes = b"") -> Path:
    """A zip as PyTorch writes them; its real files are in tests/pytorch."""
    with zipfile.ZipFile(path, "w") as archive:
        for record in records:
            archive.writestr(record, b"")
        if pickle:
            archive.writestr("m/data.pkl", pickle)
    return path


@pytest.mark.parametrize(
    ("records", "pickle", "content"),
    [
        (("m/constants.pkl", "m/code/__torch__.py"), b"\x80\x02.", TorchContent.TORCHSCRIPT),
        (("m/archive_format", "m/models/model.json"), b"", TorchContent.EXPORTED),
        (("serialized_exported_program.json", "version"), b"", TorchContent.EXPORTED),
        (("m/data/aotinductor/model/m.so",), b"", TorchContent.COMPILED),
        (("m/version",), b"\x80\x02ccollections\nOrderedDict\n", TorchContent.WEIGHTS),
        (("m/version",), b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n", TorchContent.WEIGHTS),
        (("m/version",), b"\x80\x02}q\x00X\x05\x00\x00\x00epoch", TorchContent.WEIGHTS),
        (("m/version",), b"\x80\x02ctorch.nn.modules.linear\nLinear\n", TorchContent.MODULE),
        (("m/version",), b"\x80\x02c__main__\nNet\n", TorchContent.MODULE),
        (("m/readme.txt",), b"", TorchContent.OTHER),
    ],
)
def test_pytorchs_files_are_told_apart(
    tmp_path: Path, records: tuple[str, ...], pickle: bytes, content: TorchContent
) -> None:
    assert torch_content(torch_file(tmp_path / "model.pt", *records, pickle=pickle)) is content


def test_a_file_of_pytorchs_that_is_cut_off_is_told(tmp_path: Path) -> None:
    path = torch_file(tmp_path / "model.pt", "m/constants.pkl")
    path.write_bytes(path.read_bytes()[:-10])
    assert torch_content(path) is TorchContent.BROKEN


@given(st.binary(max_size=200))
@THOROUGH
def test_any_file_can_be_taken_for_one_of_pytorchs(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.pt"
    for beginning in (b"", b"PK\x03\x04", TORCH_LEGACY):
        path.write_bytes(beginning + content)
        assert torch_content(path) in TorchContent
