"""XGBoost's models on the real XGBoost: every format of theirs, ensembles, and answers as AWS's container has them."""

import json
import logging
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost as xgb
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

from harness.targets import ROOT
from serving import backends
from serving.backends import Model, notes_of
from serving.backends.xgboost.answers import KEYS, THRESHOLDS
from serving.backends.xgboost.model import XgboostModel
from serving.budget import Budget
from serving.codecs import Form, Format, Speaking
from serving.discovery import FoundModel, find_model
from serving.errors import ModelFailedError, ModelLoadError, ModelRejectedInputError, NotAcceptableError
from serving.mediatypes import negotiate
from serving.plans import Plan, make_plan
from serving.processor import Processor
from serving.settings import Settings
from serving.signature import Array, TensorSpec
from serving.warmup import warm_up

ANY = Processor("x86_64", "any")
OLD = ROOT / "tests" / "assets" / "xgboost"
EXPECTED = json.loads((OLD / "expected.json").read_text())
LIMIT = 10**6


def planned(**settings: object) -> Plan:
    return make_plan("xgboost", ANY, Budget(2, frozenset({0, 1}), 2), Settings(**settings), {})  # type: ignore[arg-type]


def loaded(path: Path, **settings: object) -> XgboostModel:
    model = backends.load("xgboost", path, planned(**settings))
    assert isinstance(model, XgboostModel)
    return model


def trained(
    objective: str = "binary:logistic", data: Callable[..., Any] = load_breast_cancer, **more: object
) -> tuple[Any, Array]:
    """A booster and the rows that it was trained on, some values of which are missing."""
    x, y = data(return_X_y=True)
    x[::7, 2] = np.nan
    return xgb.train({"objective": objective, "max_depth": 3, **more}, xgb.DMatrix(x, y), 5), x


def multi(objective: str = "multi:softprob") -> tuple[Any, Array]:
    return trained(objective, load_iris, num_class=3)


def predict(model: Model, x: Array) -> Array:
    answer = model.run({"X": np.asarray(x, np.float32)})["score"]
    assert isinstance(answer, np.ndarray)
    return answer


@pytest.mark.parametrize("name", ["model.ubj", "model.json", "xgboost-model", "model.pkl"])
@pytest.mark.parametrize(
    ("objective", "data", "more"),
    [
        ("binary:logistic", load_breast_cancer, {}),
        ("reg:squarederror", load_diabetes, {}),
        ("reg:squarederror", load_diabetes, {"booster": "gblinear"}),
        ("reg:squarederror", load_diabetes, {"booster": "dart", "rate_drop": 0.5}),
        ("multi:softprob", load_iris, {"num_class": 3}),
        ("multi:softmax", load_iris, {"num_class": 3}),
        ("rank:pairwise", load_diabetes, {}),
    ],
)
def test_predictions_are_those_in_process(
    tmp_path: Path, name: str, objective: str, data: Callable[..., Any], more: dict[str, object]
) -> None:
    booster, x = trained(objective, data, **more)
    path = tmp_path / name
    if name.endswith(".pkl"):
        path.write_bytes(pickle.dumps(booster))
    else:
        booster.save_model(tmp_path / "written.ubj" if name == "xgboost-model" else path)
        if name == "xgboost-model":
            (tmp_path / "written.ubj").rename(path)
    assert find_model(tmp_path) == FoundModel("xgboost", path)
    model = loaded(path)
    expected = booster.predict(xgb.DMatrix(x))
    np.testing.assert_array_equal(predict(model, x), expected)
    assert model.signature.inputs == (TensorSpec("X", "float32", ("rows", x.shape[1])),)
    assert model.signature.outputs == (TensorSpec("score", "float32", ("rows", *expected.shape[1:])),)
    assert warm_up(model, 4).joins
    assert model.is_steady
    assert model.alternatives == {}
    assert notes_of(model) == ()


@pytest.mark.parametrize("name", EXPECTED)
def test_formats_that_xgboost_reads_no_more_are_read(tmp_path: Path, name: str) -> None:
    x = load_iris().data[::3].copy()
    x[::5, 2] = np.nan
    path = tmp_path / "xgboost-model"
    path.write_bytes((OLD / name).read_bytes())
    model = loaded(path)
    # Exact but for the link's function, which versions compute differently in the last bit.
    np.testing.assert_allclose(predict(model, x), EXPECTED[name], rtol=3e-7, atol=1e-8)
    assert bool(notes_of(model)) is name.endswith(".model")


@pytest.mark.parametrize("length", [10, 150, 200, 400, 800, 1200])
@pytest.mark.parametrize("name", [name for name in EXPECTED if name.endswith(".model")])
def test_a_file_that_is_cut_off_is_told(tmp_path: Path, name: str, length: int) -> None:
    content = (OLD / name).read_bytes()
    # The last 150 bytes are attributes and metrics, of which not every version has some.
    (tmp_path / "xgboost-model").write_bytes(content[: min(length, len(content) - 150)])
    with pytest.raises(ModelLoadError, match="could not be loaded by XGBoost"):
        loaded(tmp_path / "xgboost-model")


@pytest.mark.parametrize("content", [b"", b"nonsense" * 50, b'{"learner": 1}', b"{L\0\0", b"\x80\x04.", b"\x80\x04N."])
def test_what_is_no_model_is_told_with_its_path(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "xgboost-model").write_bytes(content)
    with pytest.raises(ModelLoadError, match=r"xgboost-model (could not be loaded|is a pickle that is no).*Expected: "):
        loaded(tmp_path / "xgboost-model")


def test_a_pickle_runs_nothing_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "xgboost-model").write_bytes(b"\x80\x04cos\nsystem\n\x8c\x04true\x85R.")
    with pytest.raises(ModelLoadError, match=r"no xgboost\.Booster: it names os\.system\. .*save_model"):
        loaded(tmp_path / "xgboost-model")


def test_pickles_are_refused_where_none_may_be(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(trained()[0]))
    with caplog.at_level(logging.WARNING):
        loaded(tmp_path / "model.pkl")
    assert "is a pickle" in caplog.text
    with pytest.raises(ModelLoadError, match=r"SERVING_ALLOW_PICKLE.*Save the model as \.ubj"):
        loaded(tmp_path / "model.pkl", allow_pickle=False)


def test_a_pickled_estimator_is_scikit_learns_to_serve(tmp_path: Path) -> None:
    x, y = load_iris(return_X_y=True)
    estimator = xgb.XGBClassifier(n_estimators=3).fit(x, y)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(estimator))
    assert find_model(tmp_path) == FoundModel("scikit-learn", tmp_path / "model.pkl")
    model = backends.load("scikit-learn", tmp_path / "model.pkl", planned())
    answer = model.alternatives["predict_proba"].run({"X": x})["predict_proba"]
    np.testing.assert_array_equal(answer, estimator.predict_proba(x))
    with pytest.raises(ModelLoadError, match=r"names xgboost\.sklearn\.XGBClassifier.*name the file model\.pkl"):
        loaded(tmp_path / "model.pkl")


def ensemble(folder: Path, objective: str) -> tuple[list[Any], Array]:
    boosters = []
    for seed in range(3):
        booster, x = trained(objective, load_iris, num_class=3, seed=seed, subsample=0.1)
        booster.save_model(folder / "written.ubj")
        (folder / "written.ubj").rename(folder / f"xgboost-model-{seed}")
        boosters.append(booster)
    return boosters, x


def test_several_models_answer_with_their_mean(tmp_path: Path) -> None:
    boosters, x = ensemble(tmp_path, "multi:softprob")
    assert find_model(tmp_path) == FoundModel("xgboost", tmp_path)
    each = [booster.predict(xgb.DMatrix(x)) for booster in boosters]
    np.testing.assert_array_equal(predict(loaded(tmp_path), x), np.mean(each, axis=0))
    np.testing.assert_array_equal(predict(loaded(tmp_path, xgboost_ensemble=False), x), each[0])


def test_several_models_of_labels_vote(tmp_path: Path) -> None:
    boosters, x = ensemble(tmp_path, "multi:softmax")
    each = np.stack([booster.predict(xgb.DMatrix(x)) for booster in boosters])
    assert (each[0] != each[1]).any()
    counts = np.stack([(each == label).sum(axis=0) for label in range(3)])
    np.testing.assert_array_equal(predict(loaded(tmp_path), x), counts.argmax(axis=0))


def test_models_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    multi()[0].save_model(tmp_path / "a.ubj")
    trained()[0].save_model(tmp_path / "b.ubj")
    with pytest.raises(ModelLoadError, match=r"they take \[4, 30\] features.*SAGEMAKER_INFERENCE_ENSEMBLE=false"):
        loaded(tmp_path)


def test_values_that_it_refuses_are_the_callers_fault(tmp_path: Path) -> None:
    booster, x = trained("reg:squarederror", load_diabetes, booster="gblinear")
    booster.save_model(tmp_path / "model.ubj")
    model = loaded(tmp_path / "model.ubj")
    with pytest.raises(ModelRejectedInputError):
        predict(model, np.full_like(x[:1], np.inf))
    with pytest.raises(ModelFailedError):
        model.run({})  # which validation never lets happen


def answered(model: XgboostModel, x: Array, accept: str) -> bytes:
    """An answer through the format that a header chooses."""
    assert isinstance(model, Speaking)
    by_type: dict[str, Format] = {entry.media_type: entry for entry in model.formats(LIMIT)}
    chosen = negotiate(
        accept, list(by_type), model.default_accept, lambda name: by_type[name].obstacle(model.signature)
    )
    encode = by_type[chosen].encode
    assert encode is not None
    return encode(model.run({"X": np.asarray(x, np.float32)}), Form.ROW, len(x))


@pytest.fixture
def binary(tmp_path: Path) -> tuple[Path, Any, Array]:
    booster, x = trained()
    booster.save_model(tmp_path / "model.ubj")
    return tmp_path / "model.ubj", booster, x[:3]


def test_predictions_are_answered_as_awss_container_does(binary: tuple[Path, Any, Array]) -> None:
    path, booster, x = binary
    scores = booster.predict(xgb.DMatrix(x)).tolist()
    model = loaded(path)
    for accept in ("", "*/*", "text/csv"):
        assert answered(model, x, accept) == "\n".join(map(str, scores)).encode()
    assert answered(loaded(path, batch_transform=True), x, "") == "".join(f"{score}\n" for score in scores).encode()
    rows = [{"score": score} for score in scores]
    assert answered(model, x, "application/json") == json.dumps({"predictions": rows}).encode()
    assert answered(model, x, "application/jsonlines") == "".join(json.dumps(row) + "\n" for row in rows).encode()
    with pytest.raises(NotAcceptableError, match="text/libsvm is read, not written"):
        answered(model, x, "text/libsvm")


def test_what_is_selected_of_a_yes_or_no(binary: tuple[Path, Any, Array]) -> None:
    path, booster, x = binary
    (score, *_) = booster.predict(xgb.DMatrix(x)).tolist()
    keys = ("raw_score", "predicted_label", "labels", "probability", "probabilities", "raw_scores", "predicted_score")
    model = loaded(path, xgboost_output=keys)
    (first, *_) = json.loads(answered(model, x, "application/json"))["predictions"]
    assert list(first) == [
        "predicted_label",
        "labels",
        "probability",
        "probabilities",
        "raw_score",
        "raw_scores",
        "predicted_score",
    ]
    assert math.isnan(first.pop("predicted_score"))
    assert first == {
        "predicted_label": int(score > 0.5),
        "labels": [0, 1],
        "probability": score,
        "probabilities": [1.0 - score, score],
        "raw_score": score,
        "raw_scores": [1.0 - score, score],
    }
    (line, *others) = answered(model, x, "text/csv").decode().split("\n")
    assert len(others) == 2
    pair = [1.0 - score, score]
    assert line == f'{score},{int(score > 0.5)},"[0, 1]",{score},"{pair}","{pair}",nan'
    (note,) = notes_of(model)
    assert "names predicted_score, answered as NaN" in note


@pytest.mark.parametrize(
    ("objective", "score", "expected"),
    [
        ("multi:softprob", None, None),
        (
            "multi:softmax",
            2.0,
            {"predicted_label": 2.0, "labels": [0, 1, 2], "raw_score": 2.0, "raw_scores": [-1.0, 2.0]},
        ),
    ],
)
def test_what_is_selected_of_several_classes(
    tmp_path: Path, objective: str, score: float | None, expected: dict[str, object] | None
) -> None:
    booster, x = multi(objective)
    booster.save_model(tmp_path / "model.ubj")
    model = loaded(tmp_path / "model.ubj", xgboost_output=("predicted_label", "labels", "raw_score", "raw_scores"))
    last = json.loads(answered(model, x, "application/jsonlines").splitlines()[-1])
    if expected is None:
        raw = booster.predict(xgb.DMatrix(x))[-1]
        expected = {
            "predicted_label": 2,
            "labels": [0, 1, 2],
            "raw_score": raw.max().item(),
            "raw_scores": raw.tolist(),
        }
    else:
        assert predict(model, x)[-1] == score
    assert last == expected


def test_what_is_selected_of_a_regression(tmp_path: Path) -> None:
    booster, x = trained("reg:squarederror", load_diabetes)
    booster.save_model(tmp_path / "model.ubj")
    model = loaded(tmp_path / "model.ubj", xgboost_output=("predicted_score",))
    lines = answered(model, x, "text/csv").decode().split("\n")
    assert lines == [str(score) for score in booster.predict(xgb.DMatrix(x)).tolist()]


CLASSES = {"predicted_label", "labels", "raw_score", "raw_scores"}


@pytest.mark.parametrize(
    ("objective", "has"),
    [
        ("reg:squarederror", {"predicted_score"}),
        ("reg:logistic", {"predicted_score"}),
        ("reg:gamma", {"predicted_score"}),
        ("reg:tweedie", {"predicted_score"}),
        ("binary:logistic", CLASSES | {"probability", "probabilities"}),
        ("binary:logitraw", CLASSES),
        ("binary:hinge", CLASSES),
        ("multi:softmax", CLASSES),
        ("multi:softprob", CLASSES | {"probability", "probabilities"}),
    ],
)
def test_every_objective_has_its_keys_and_nan_for_the_others(tmp_path: Path, objective: str, has: set[str]) -> None:
    x, y = load_breast_cancer(return_X_y=True)
    several = {"num_class": 2} if objective.startswith("multi:") else {}
    positive = y + 0.5 if objective in ("reg:gamma", "reg:tweedie") else y
    booster = xgb.train({"objective": objective, **several}, xgb.DMatrix(x, positive), 3)
    booster.save_model(tmp_path / "model.ubj")
    rows = json.loads(answered(loaded(tmp_path / "model.ubj", xgboost_output=KEYS), x[:40], "application/json"))
    raw = booster.predict(xgb.DMatrix(x[:40]))
    for row, prediction in zip(rows["predictions"], raw, strict=True):
        assert {key for key, value in row.items() if value == value} == has  # noqa: PLR0124 (NaN is not itself)
        if "predicted_score" in has:
            assert row["predicted_score"] == prediction.item()
            continue
        label = prediction.argmax() if objective == "multi:softprob" else prediction > THRESHOLDS.get(objective, 0.5)
        assert row["predicted_label"] == int(label)
        assert row["labels"] == [0, 1]
        assert row["raw_score"] == prediction.max().item()
        if objective != "multi:softprob":
            assert row["raw_scores"] == [1.0 - prediction.item(), prediction.item()]


def test_an_objective_with_nothing_to_select_is_told(tmp_path: Path) -> None:
    booster, _ = trained("count:poisson", load_diabetes)
    booster.save_model(tmp_path / "model.ubj")
    with pytest.raises(ModelLoadError, match=r"SAGEMAKER_INFERENCE_OUTPUT is set.*count:poisson.*Unset the variable"):
        loaded(tmp_path / "model.ubj", xgboost_output=("predicted_score",))


def test_threads_are_openmps(tmp_path: Path) -> None:
    made = planned()
    assert made.environment == {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"}
    trained()[0].save_model(tmp_path / "model.ubj")
    booster = loaded(tmp_path / "model.ubj")._boosters[0]
    assert json.loads(booster.save_config())["learner"]["generic_param"]["nthread"] == "2"
