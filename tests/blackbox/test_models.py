"""What models can have for inputs and outputs: every element type, no axes, sequences, maps."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from assets import onnx_models
from blackbox.conftest import Folder, Shared
from harness.bodies import CSV, JSON, JSONLINES, NPZ, as_json, as_npz, document, npz, refusal
from harness.servers import Server

ELEMENTS = list(onnx_models.ELEMENT_TYPES)


def every_value(element: str) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    """One row of three values of a type, its extremes among them."""
    if element == "string":
        return np.array([["a", "", "ü漢"]])
    if element == "bool":
        return np.array([[True, False, True]])
    if element.startswith("float"):
        limits = np.finfo(element)
        return np.array([[limits.max, limits.tiny, -0.5]], element)
    whole = np.iinfo(element)
    return np.array([[whole.min, whole.max, 1]], element)


def test_every_element_type_goes_through_npz(typed: Server) -> None:
    given = {f"x_{element}": every_value(element) for element in ELEMENTS}
    answer = npz(typed.post(as_npz(**given), NPZ, NPZ))
    for element in ELEMENTS:
        got, sent = answer[f"y_{element}"], given[f"x_{element}"]
        assert got.dtype.kind == sent.dtype.kind
        assert element == "string" or got.dtype == sent.dtype
        np.testing.assert_array_equal(got, sent)


def test_every_element_type_goes_through_json(typed: Server) -> None:
    row = {f"x_{element}": every_value(element)[0].tolist() for element in ELEMENTS}
    (answer,) = document(typed.post(as_json({"instances": [row]})))["predictions"]
    for element in ELEMENTS:
        got, sent = answer[f"y_{element}"], row[f"x_{element}"]
        if element.startswith("float"):
            # The shortest decimal that reads back as the same value of the type.
            np.testing.assert_array_equal(np.array(got, element), np.array(sent, element))
        else:
            assert got == sent


@pytest.mark.parametrize(
    ("element", "value"),
    [("uint8", 300), ("uint8", -1), ("int64", 3.7), ("uint64", -1), ("float16", 70000), ("bool", 2)],
)
def test_numbers_that_do_not_fit_are_refused(typed: Server, element: str, value: float) -> None:
    row = {f"x_{name}": every_value(name)[0].tolist() for name in ELEMENTS} | {f"x_{element}": [value] * 3}
    answer = typed.post(as_json([row]))
    assert refusal(answer) == (400, "inexact_value")
    assert f"x_{element}" in answer.json()["error"]


@pytest.mark.any_graviton
def test_an_output_without_axes_takes_column_form(shared: Shared, model_folder: Folder) -> None:
    server = shared(model_folder(onnx_models.scalar_output))
    assert document(server.post(as_json([[1, 2, 3], [4, 5, 6]]))) == {"outputs": 21.0}
    assert server.post(as_json([[1, 2, 3]]), accept=CSV).text == "6.0\n"
    mixed = shared(model_folder(onnx_models.rows_and_scalar))
    assert document(mixed.post(as_json([[1, 2, 3]]))) == {"outputs": {"doubled": [[2.0, 4.0, 6.0]], "total": 6.0}}


@pytest.mark.any_graviton
def test_a_sequence_output_is_json(shared: Shared, model_folder: Folder) -> None:
    server = shared(model_folder(onnx_models.sequence_output))
    assert document(server.post(as_json([[1, 2, 3]]))) == {"outputs": [[[1.0, 2.0, 3.0]], [[2.0, 4.0, 6.0]]]}
    assert refusal(server.post(as_json([[1, 2, 3]]), accept=NPZ)) == (406, "not_acceptable")


@pytest.mark.any_graviton
@pytest.mark.parametrize("keys", ["int64", "string"])
def test_maps_are_one_object_a_row(shared: Shared, model_folder: Folder, keys: str) -> None:
    server = shared(model_folder(onnx_models.map_output, keys=keys))
    names = onnx_models.LABEL_NAMES if keys == "string" else tuple(map(str, onnx_models.LABEL_NUMBERS))
    answer = server.post(as_json([[1, 2, 3], [6, 5, 4]]))
    rows = document(answer)["predictions"]
    assert [tuple(row["probabilities"]) for row in rows] == [names, names]
    lines = server.post(as_json([[1, 2, 3], [6, 5, 4]]), accept=JSONLINES).text.splitlines()
    assert [json.loads(line) for line in lines] == rows


@pytest.mark.any_graviton
def test_scikit_learns_logistic_regression_with_a_fixed_batch(
    shared: Shared, tmp_path_factory: pytest.TempPathFactory
) -> None:
    source = Path(onnxruntime.__file__).parent / "datasets" / "logreg_iris.onnx"
    folder = tmp_path_factory.mktemp("iris")
    folder.chmod(0o755)
    shutil.copy(source, folder / "model.onnx")
    server = shared(folder)
    rows = np.array([[5.1, 3.5], [6.2, 2.9], [7.7, 3.0]], np.float32)
    labels, maps = onnxruntime.InferenceSession(source).run(None, {"float_input": rows})
    answer = document(server.post(as_json(rows.tolist())))["predictions"]
    assert [row["label"] for row in answer] == labels.tolist()
    for row, wanted in zip(answer, maps, strict=True):
        got = {int(key): value for key, value in row["probabilities"].items()}
        assert got == pytest.approx(wanted, abs=1e-5)
    assert refusal(server.post(as_json(rows[:2].tolist()))) == (400, "wrong_dimension")


@pytest.mark.any_graviton
def test_a_model_with_external_data_one_folder_down(shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("external")
    folder.chmod(0o755)
    (folder / "export").mkdir()
    onnx_models.external_data(folder / "export" / "net.onnx", inputs=4, outputs=2)
    (folder / "._net.onnx").write_bytes(b"what macOS's tar adds")
    answer = document(shared(folder).post(as_json([[1, 0, 0, 0]]), JSON))
    np.testing.assert_allclose(answer["predictions"], onnx_models.weight(4, 2)[:1], rtol=1e-2)
