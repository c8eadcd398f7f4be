"""XGBoost's models on a real server: what AWS's container answers, to the byte, and what it would refuse."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import xgboost as xgb
from sklearn.datasets import load_breast_cancer, load_iris

from blackbox.conftest import Shared
from harness.bodies import CSV, JSON, NPY, as_json, as_npy, document, npy, refusal
from harness.servers import Server
from harness.targets import ROOT, Local

# It computes in the types that a model was trained in, by the same instructions on every Graviton.
pytestmark = pytest.mark.any_graviton

LIBSVM = "text/libsvm"
X, Y = load_breast_cancer(return_X_y=True)
PARAMETERS = {"objective": "binary:logistic", "max_depth": 4}
# The logistic function is the processor's own; trees are not.
TOLERANCE = 1e-6


@pytest.fixture(scope="session")
def booster() -> xgb.Booster:
    return xgb.train(PARAMETERS, xgb.DMatrix(X, Y), 20)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, booster: xgb.Booster) -> Path:
    made = tmp_path_factory.mktemp("xgboost")
    made.chmod(0o755)
    booster.save_model(made / "written.ubj")
    (made / "written.ubj").rename(made / "xgboost-model")
    return made


def test_an_estimators_pickle_has_two_frameworks_in_one_process(
    shared: Shared, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """scikit-learn's OpenMP runtime and XGBoost's: on arm64 two of them have been known to find no room."""
    made = tmp_path_factory.mktemp("estimator")
    made.chmod(0o755)
    estimator = xgb.XGBClassifier(n_estimators=5, max_depth=3).fit(X, Y)
    (made / "model.pkl").write_bytes(pickle.dumps(estimator))
    answer = document(shared(made).post(as_json({"signature_name": "predict_proba", "instances": X[:3].tolist()})))
    np.testing.assert_allclose(answer["predictions"], estimator.predict_proba(X[:3]), rtol=TOLERANCE)


@pytest.fixture
def server(shared: Shared, folder: Path) -> Server:
    return shared(folder)


def scores(text: str) -> list[float]:
    return [float(line) for line in text.split("\n")]


def test_csv_is_answered_with_a_prediction_a_line(server: Server, booster: xgb.Booster) -> None:
    rows = X[:7].copy()
    rows[2, 3] = np.nan
    expected = booster.predict(xgb.DMatrix(rows))
    for delimiter in (",", ";", "\t"):
        lines = [delimiter.join("" if np.isnan(value) else str(value) for value in row) for row in rows.tolist()]
        answer = server.post("\n".join(lines).encode(), f"{CSV}; label_size=1")
        assert answer.headers["content-type"].startswith(CSV)
        np.testing.assert_allclose(scores(answer.text), expected, rtol=TOLERANCE)


def test_libsvm_counts_from_0_or_1_and_is_meant_where_nothing_is_said(server: Server, booster: xgb.Booster) -> None:
    expected = booster.predict(xgb.DMatrix(X[:5]))
    for first in (0, 1):
        lines = [" ".join(["1", *(f"{i + first}:{v}" for i, v in enumerate(row))]) for row in X[:5].tolist()]
        for content_type in (LIBSVM, "text/x-libsvm", ""):
            answer = server.post("\n".join(lines).encode(), content_type)
            np.testing.assert_allclose(scores(answer.text), expected, rtol=TOLERANCE)


def test_json_and_npy_are_answered_too(server: Server, booster: xgb.Booster) -> None:
    expected = booster.predict(xgb.DMatrix(X[:3]))
    answer = server.post(as_json(X[:3].tolist()), JSON, JSON)
    np.testing.assert_allclose([row["score"] for row in answer.json()["predictions"]], expected, rtol=TOLERANCE)
    np.testing.assert_allclose(npy(server.post(as_npy(X[:3]), NPY, NPY)), expected, rtol=TOLERANCE)


def test_what_is_selected_is_answered(shared: Shared, folder: Path, booster: xgb.Booster) -> None:
    server = shared(folder, SAGEMAKER_INFERENCE_OUTPUT="predicted_label, probability")
    body = ",".join(map(str, X[0].tolist())).encode()
    (probability,) = booster.predict(xgb.DMatrix(X[:1]))
    label, second = server.post(body, CSV).text.split(",")
    assert int(label) == int(probability > 0.5)
    assert float(second) == pytest.approx(probability, rel=TOLERANCE)
    (row,) = json.loads(server.post(body, CSV, JSON).text)["predictions"]
    assert list(row) == ["predicted_label", "probability"]
    record = server.post(body, CSV, "application/x-recordio-protobuf")
    assert record.content.startswith(b"\x0a\x23\xd7\xce")
    again = server.post(record.content, "application/x-recordio-protobuf")
    assert refusal(again) == (415, "unreadable_body")  # it has labels alone


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "wanted"),
    [
        (b"1,2,3", CSV, "", (400, "wrong_dimension")),
        (b"1 40:1 0:1", LIBSVM, "", (400, "wrong_dimension")),
        (b"[1]", JSON, "", (400, "wrong_dimension")),
        (b"[", JSON, "", (400, "invalid_json")),
        (b"a,b", CSV, "", (415, "unreadable_body")),
        (b"1,2\n3", CSV, "", (415, "unreadable_body")),
        (b" ", CSV, "", (415, "unreadable_body")),
        (b"1 x", LIBSVM, "", (415, "unreadable_body")),
        (b"nonsense", "application/x-recordio-protobuf", "", (415, "unreadable_body")),
        (b"1", "application/x-parquet", "", (415, "unsupported_media_type")),
        (b"1 0:1", LIBSVM, "text/html", (406, "not_acceptable")),
        (b"1 0:1", LIBSVM, LIBSVM, (406, "not_acceptable")),
    ],
)
def test_bad_requests_are_refused(
    server: Server, body: bytes, content_type: str, accept: str, wanted: tuple[int, str]
) -> None:
    assert refusal(server.post(body, content_type, accept)) == wanted


def test_nothing_is_answered_with_nothing(server: Server) -> None:
    for content_type in (CSV, LIBSVM, ""):
        answer = server.post(b"", content_type)
        assert (answer.status_code, answer.content) == (204, b"")


def test_batch_transform_is_told_how_to_call(server: Server) -> None:
    told = server.client.get("/execution-parameters").json()
    assert told["MaxConcurrentTransforms"] >= 1
    assert {**told, "MaxConcurrentTransforms": 0} == {
        "MaxConcurrentTransforms": 0,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": 6,
    }


def test_a_limit_set_for_awss_container_counts(folder: Path) -> None:
    """On this machine alone: nothing depends on the target."""
    server = Local().start(folder, {"MAX_CONTENT_LENGTH": str(2 * 2**20)})
    try:
        server.until_ready()
        assert server.client.get("/execution-parameters").json()["MaxPayloadInMB"] == 2
        assert refusal(server.post(b"1," * 2**20 + b"1", CSV)) == (413, "payload_too_large")
        # As large as allowed, and refused for what it is.
        assert refusal(server.post(b"1," * 2**20, CSV))[0] == 400
    finally:
        server.remove()


def test_a_model_that_awss_container_for_arm_left_is_served(
    shared: Shared, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """XGBoost 1.3.3 wrote it, in the binary format that no version since 3.1 reads."""
    made = tmp_path_factory.mktemp("old")
    made.chmod(0o755)
    old = ROOT / "tests" / "assets" / "xgboost"
    shutil.copy(old / "1.3.3-softprob.model", made / "xgboost-model")
    rows = load_iris().data[::3].copy()
    rows[::5, 2] = np.nan
    expected = json.loads((old / "expected.json").read_text())["1.3.3-softprob.model"]
    lines = [",".join("" if np.isnan(value) else str(value) for value in row) for row in rows.tolist()]
    answer = shared(made).post("\n".join(lines).encode(), CSV)
    np.testing.assert_allclose([json.loads(line) for line in answer.text.split("\n")], expected, rtol=TOLERANCE)
