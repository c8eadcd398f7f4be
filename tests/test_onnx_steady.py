"""Which models' runs take as long as the shapes of their inputs say."""

from collections.abc import Callable
from pathlib import Path

import pytest

from assets import onnx_models
from serving.backends import onnx_steady
from serving.backends.onnx_steady import is_steady


@pytest.mark.parametrize("make", [onnx_models.identity, onnx_models.matmul, onnx_models.fixed_shape])
def test_a_model_without_loops_is_steady(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    assert is_steady(make(tmp_path / "model.onnx"))


def test_a_model_with_a_loop_is_not(tmp_path: Path) -> None:
    assert not is_steady(onnx_models.slow(tmp_path / "model.onnx", loops=3))


def test_a_large_model_is_not_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = onnx_models.identity(tmp_path / "model.onnx")
    monkeypatch.setattr(onnx_steady, "MOST_BYTES", path.stat().st_size - 1)
    assert not is_steady(path)


def test_a_file_without_content_is_not(tmp_path: Path) -> None:
    empty = tmp_path / "model.onnx"
    empty.touch()
    assert not is_steady(empty)
