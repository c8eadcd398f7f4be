"""scikit-learn's models on a real server: answers as in process, refusals, and what `inspect` tells."""

import json
from pathlib import Path

import numpy as np
import pytest
import sklearn.base

from assets import sklearn_models
from assets.sklearn_models import saved
from blackbox.conftest import Shared
from harness.bodies import CSV, JSON, NPY, as_json, as_npy, document, npy, refusal
from harness.servers import Server
from harness.targets import Target

# Products of matrices are summed in another order on another processor.
TOLERANCE = 1e-9


@pytest.fixture(scope="session")
def digits_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The classifier of digits, as a pickle that says another version of scikit-learn made it."""
    made = tmp_path_factory.mktemp("digits")
    made.chmod(0o755)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sklearn.base, "__version__", "1.5.0")
        saved(sklearn_models.digits()[0], made / "model.joblib")
    return made


@pytest.fixture
def digits(shared: Shared, digits_folder: Path) -> Server:
    return shared(digits_folder)


def test_all_digits_are_read_as_in_process(digits: Server) -> None:
    estimator, x = sklearn_models.digits()
    np.testing.assert_array_equal(npy(digits.post(as_npy(x), NPY, NPY)), estimator.predict(x))
    answer = document(digits.post(as_json({"signature_name": "predict_proba", "instances": x[:20].tolist()})))
    np.testing.assert_allclose(answer["predictions"], estimator.predict_proba(x[:20]), rtol=0, atol=TOLERANCE)
    lines = "\n".join(",".join(map(str, row)) for row in x[:20].tolist())
    answered = digits.post(lines.encode(), CSV, CSV).text
    assert answered == "".join(f"{label}\n" for label in estimator.predict(x[:20]))


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (b"[[1, 2]]", (400, "wrong_dimension")),
        (as_json([["a"] * 64]), (400, "wrong_type")),
        (as_json([[float("nan")] * 64]), (400, "model_rejected_input")),
        (b'{"signature_name": "transform", "instances": [[1]]}', (400, "unknown_signature")),
    ],
)
def test_bad_requests_are_refused(digits: Server, body: bytes, wanted: tuple[int, str]) -> None:
    assert refusal(digits.post(body)) == wanted


def test_a_pickle_in_a_request_is_refused(digits: Server) -> None:
    assert refusal(digits.post(as_npy(np.array([[{}]], dtype=object)), NPY)) == (400, "object_npy")


def test_the_version_that_made_it_is_told_once(digits: Server) -> None:
    logs = digits.logs()
    assert logs.count("made by scikit-learn 1.5.0 (") == 1
    assert "is a pickle, and loading it runs the code in it" in logs


@pytest.mark.any_graviton
def test_inspect_tells_it_too(target: Target, digits_folder: Path) -> None:
    done = target.run(["inspect", "--json"], digits_folder)
    document = json.loads(done.stdout)
    assert document["plan"]["framework"] == "scikit-learn"
    assert document["plan"]["environment"]["OMP_NUM_THREADS"] == str(document["plan"]["threads"])
    (note,) = document["notes"]
    assert "made by scikit-learn 1.5.0 (" in note


@pytest.mark.any_graviton
def test_text_and_numbers_side_by_side(shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("people")
    folder.chmod(0o755)
    estimator, people = sklearn_models.people()
    server = shared(Path(saved(estimator, folder / "model.skops")).parent, SERVING_SKOPS_TRUSTED="numpy.dtype")
    rows = people.to_dict("records")
    expected = {"predictions": estimator.predict(people).tolist()}
    assert document(server.post(as_json({"instances": rows}))) == expected
    answered = server.post(people.to_csv(header=False, index=False).encode(), CSV, JSON)
    assert document(answered) == expected
    unknown = [{**rows[0], "city": "Atlantis"}]
    assert refusal(server.post(as_json({"instances": unknown}))) == (400, "model_rejected_input")
    assert refusal(server.post(as_json({"instances": [{"age": 3}]}))) == (400, "missing_input")
