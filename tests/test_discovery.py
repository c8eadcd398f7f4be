"""The one model in the directory is found; anything else is told with what is there."""

from pathlib import Path

import pytest

from serving.discovery import FoundModel, boosters_in, find_model, find_models
from serving.errors import ModelLoadError


def holding(directory: Path, *names: str) -> Path:
    """The directory with these files; names that end in a slash are folders."""
    for name in names:
        path = directory / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return directory


@pytest.mark.parametrize("name", ["model.onnx", "any name.onnx", "1/model.onnx", "export/model.onnx"])
def test_a_model_at_the_top_or_one_folder_down_is_found(tmp_path: Path, name: str) -> None:
    directory = holding(tmp_path, name, "weights.bin", "code/inference.py", "README.md")
    assert find_model(directory) == FoundModel("onnx", directory / name)


@pytest.mark.parametrize(
    "other",
    [
        "code/helper.onnx",
        "assets/1/saved_model.pb",
        "model.weights.h5",
        "export/model.weights.h5",
        "._model.onnx",
        ".hidden/other.onnx",
        "__MACOSX/._model.onnx",
        "a/b/deeper.onnx",
        "folder.onnx/",
        "m.onnx.data",
    ],
)
def test_hidden_and_deeper_files_and_folders_are_no_models(tmp_path: Path, other: str) -> None:
    directory = holding(tmp_path, "model.onnx", other)
    assert find_model(directory).path == directory / "model.onnx"


def test_a_link_to_a_model_counts_and_a_broken_one_does_not(tmp_path: Path) -> None:
    store = holding(tmp_path / "store", "real")
    directory = holding(tmp_path / "model", "broken.onnx/").resolve()
    (directory / "broken.onnx").rmdir()
    (directory / "broken.onnx").symlink_to(store / "missing")
    (directory / "model.onnx").symlink_to(store / "real")
    assert find_model(directory).path == directory / "model.onnx"


def complaint(directory: Path) -> str:
    with pytest.raises(ModelLoadError) as raised:
        find_model(directory)
    text = str(raised.value)
    assert "Expected: exactly one .onnx file" in text
    assert "\n" not in text
    return text


def test_several_models_are_listed(tmp_path: Path) -> None:
    text = complaint(holding(tmp_path, "b.onnx", "a/a.onnx"))
    assert f"Several models were found in {tmp_path}: a/a.onnx, b.onnx." in text


def test_an_empty_directory_holds_nothing(tmp_path: Path) -> None:
    text = complaint(tmp_path)
    assert f"No model was found in {tmp_path}, which holds nothing." in text
    assert "tar -czf model.tar.gz -C DIR ." in text


def test_what_is_there_instead_is_listed_two_levels_deep(tmp_path: Path) -> None:
    text = complaint(holding(tmp_path, "model.pt", "variables/variables.index", "a/b/c/model.onnx"))
    assert "which holds a/, a/b/, model.pt, variables/, variables/variables.index." in text


def test_a_long_listing_is_cut(tmp_path: Path) -> None:
    text = complaint(holding(tmp_path, *(f"{number:03}.bin" for number in range(100))))
    assert "019.bin and 80 more" in text
    assert "020.bin" not in text


@pytest.mark.parametrize(("name", "what"), [("missing", "does not exist"), ("file", "is a file")])
def test_a_directory_that_is_none_is_told_with_what_to_do(tmp_path: Path, name: str, what: str) -> None:
    text = complaint(holding(tmp_path, "file") / name)
    assert f"The model directory {tmp_path / name} {what}." in text
    assert "SERVING_MODEL_DIR" in text


@pytest.mark.parametrize("name", ["model.keras", "any name.h5", "export/model.keras"])
def test_kerass_files_are_found_as_onnx_files_are(tmp_path: Path, name: str) -> None:
    directory = holding(tmp_path, name, "code/inference.py", "weights.h5.txt")
    assert find_model(directory) == FoundModel("tensorflow", directory / name)


@pytest.mark.parametrize("name", ["model.joblib", "export/any name.pkl", "model.pickle", "model.skops"])
def test_scikit_learns_files_are_found_as_onnx_files_are(tmp_path: Path, name: str) -> None:
    directory = holding(tmp_path, name, "code/inference.py", "code/scaler.pkl", "labels.json")
    assert find_model(directory) == FoundModel("scikit-learn", directory / name)


XGBOOST_JSON = '{"learner":{"attributes":{}}}'


def test_xgboosts_models_of_any_name_are_found_where_there_is_nothing_else(tmp_path: Path) -> None:
    for name in ("fold-b", "fold-a.model"):
        (tmp_path / name).write_text('{"learner": {}}')
    holding(tmp_path, "notes.txt", ".hidden")
    assert find_model(tmp_path) == FoundModel("xgboost", tmp_path)
    assert boosters_in(tmp_path) == [tmp_path / "fold-a.model", tmp_path / "fold-b"]
    (tmp_path / "fold-b").unlink()
    assert find_model(tmp_path) == FoundModel("xgboost", tmp_path / "fold-a.model")
    assert find_model(holding(tmp_path, "m.onnx")).framework == "onnx"


@pytest.mark.parametrize("name", ["xgboost-model", "export/xgboost-model", "model.ubj", "any name.bst"])
def test_xgboosts_files_are_found_as_onnx_files_are(tmp_path: Path, name: str) -> None:
    directory = holding(tmp_path, name, "code/inference.py", "labels.json", "scaler.pkl", "code/other.ubj")
    assert find_model(directory) == FoundModel("xgboost", directory / name)


@pytest.mark.parametrize(
    ("content", "counts"),
    [
        (XGBOOST_JSON, True),
        ('{\n  "version": [3, 2, 0], "learner": {}}', True),
        ("", False),
        ("{}", False),
        ('{"model": {"learner": 1}}', False),
        ('["learner"]', False),
    ],
)
def test_json_counts_if_it_is_xgboosts(tmp_path: Path, content: str, *, counts: bool) -> None:
    (tmp_path / "some.json").write_text(content)
    if counts:
        assert find_model(tmp_path) == FoundModel("xgboost", tmp_path / "some.json")
    else:
        assert "No model was found" in complaint(tmp_path)


@pytest.mark.parametrize(
    ("text", "counts"), [("tree\nversion=v4\n", True), ("tree\r\nversion=v3", True), ("trees", False)]
)
def test_a_text_counts_if_it_is_lightgbms(tmp_path: Path, text: str, *, counts: bool) -> None:
    (tmp_path / "model.txt").write_text(text)
    if counts:
        assert find_model(tmp_path) == FoundModel("lightgbm", tmp_path / "model.txt")
    else:
        assert "No model was found" in complaint(tmp_path)


def test_several_boosters_of_one_folder_are_one_model(tmp_path: Path) -> None:
    directory = holding(tmp_path, "folds/xgboost-model-1", "folds/xgboost-model-0", "folds/.hidden.ubj", "notes.txt")
    assert find_model(directory) == FoundModel("xgboost", directory / "folds")
    assert boosters_in(directory / "folds") == [directory / f"folds/xgboost-model-{number}" for number in range(2)]
    assert "Several models were found" in complaint(holding(tmp_path, "other.ubj"))


def test_a_booster_beside_another_model_is_none(tmp_path: Path) -> None:
    assert find_model(holding(tmp_path, "model.onnx", "xgboost-model")).framework == "onnx"


@pytest.mark.parametrize("model", ["model.onnx", "model.keras", "model.skops", "1/saved_model.pb"])
def test_a_pickle_beside_another_model_is_none(tmp_path: Path, model: str) -> None:
    directory = holding(tmp_path, model, "scaler.joblib", "labels.pkl")
    assert find_model(directory).path in (directory / model, (directory / model).parent)


def test_of_several_pickles_none_is_chosen(tmp_path: Path) -> None:
    assert "Several models were found" in complaint(holding(tmp_path, "model.joblib", "scaler.joblib"))


SAVED = ("saved_model.pb", "variables/variables.index", "assets/vocabulary.txt", "keras_metadata.pb")


@pytest.mark.parametrize(
    ("folder", "name", "version"),
    [
        ("", "model", None),
        ("1", "model", 1),
        ("00000123", "model", 123),
        ("half_plus_two/7", "half_plus_two", 7),
        ("export/Servo/1600000000", "Servo", 1_600_000_000),
        ("export", "export", None),
    ],
)
def test_a_saved_model_is_a_folder_with_its_name_and_version(
    tmp_path: Path, folder: str, name: str, version: int | None
) -> None:
    directory = holding(tmp_path, *(f"{folder}/{part}".lstrip("/") for part in SAVED), "code/inference.py")
    assert find_models(directory) == (FoundModel("tensorflow", directory / folder, name, version),)


def test_of_several_versions_the_highest_by_number_comes_first(tmp_path: Path) -> None:
    directory = holding(tmp_path, *(f"net/{version}/saved_model.pb" for version in ("9", "10", "2")))
    assert find_models(directory) == tuple(
        FoundModel("tensorflow", directory / f"net/{version}", "net", version) for version in (10, 9, 2)
    )


@pytest.mark.parametrize(("default", "first"), [("", "a"), ("a", "a"), ("b", "b")])
def test_of_several_saved_models_the_default_comes_first(tmp_path: Path, default: str, first: str) -> None:
    directory = holding(tmp_path, "b/1/saved_model.pb", "a/3/saved_model.pb", "b/2/saved_model.pb")
    found = find_models(directory, default)
    assert {(model.name, model.version) for model in found} == {("a", 3), ("b", 2), ("b", 1)}
    assert found[0].name == first
    assert found[0].version == max(model.version or 0 for model in found if model.name == first)


def test_a_default_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    directory = holding(tmp_path, "b/1/saved_model.pb", "a/3/saved_model.pb", "b/2/saved_model.pb")
    with pytest.raises(ModelLoadError, match=r"SAGEMAKER_TFS_DEFAULT_MODEL_NAME is 'c', but .* has a, b\."):
        find_models(directory, "c")


def test_a_model_without_a_name_of_its_own_goes_by_any(tmp_path: Path) -> None:
    assert find_models(holding(tmp_path, "model.onnx"), "c")[0].framework == "onnx"


@pytest.mark.parametrize(
    ("names", "listed"),
    [
        (("a/net/1/saved_model.pb", "b/net/1/saved_model.pb"), "a/net/1/saved_model.pb, b/net/1/saved_model.pb"),
        (("a/saved_model.pb", "b/1/saved_model.pb"), "a/saved_model.pb, b/1/saved_model.pb"),
        (("saved_model.pb", "1/saved_model.pb"), "1/saved_model.pb, saved_model.pb"),
        (("1/saved_model.pb", "model.onnx"), "1/saved_model.pb, model.onnx"),
        (("a.keras", "b.h5"), "a.keras, b.h5"),
    ],
)
def test_several_models_of_tensorflow_are_listed(tmp_path: Path, names: tuple[str, ...], listed: str) -> None:
    assert f"Several models were found in {tmp_path}: {listed}." in complaint(holding(tmp_path, *names))


@pytest.mark.parametrize("name", [".hidden/1/saved_model.pb", "code/1/saved_model.pb", "a/b/saved_model.pb", "²/x"])
def test_what_tensorflow_serving_would_not_find_is_no_model(tmp_path: Path, name: str) -> None:
    assert "No model was found" in complaint(holding(tmp_path, name))
