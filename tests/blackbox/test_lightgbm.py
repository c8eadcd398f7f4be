"""A LightGBM model on a real server."""

from pathlib import Path

import lightgbm as lgb
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from blackbox.conftest import Shared
from harness.bodies import CSV, NPY, as_json, as_npy, document, npy, refusal

X, Y = load_breast_cancer(return_X_y=True)
# The logistic function is the processor's own; trees are not.
TOLERANCE = 1e-9


@pytest.mark.any_graviton
def test_predictions_are_those_in_process(shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> None:
    made: Path = tmp_path_factory.mktemp("lightgbm")
    made.chmod(0o755)
    booster = lgb.train({"objective": "binary", "verbosity": -1}, lgb.Dataset(X, Y), 10)
    booster.save_model(made / "model.txt")
    server = shared(made)
    expected = booster.predict(X)
    np.testing.assert_allclose(npy(server.post(as_npy(X), NPY, NPY)), expected, rtol=TOLERANCE)
    answer = document(server.post(as_json(X[:3].tolist())))
    np.testing.assert_allclose(answer["predictions"], expected[:3], rtol=TOLERANCE)
    assert refusal(server.post(b"1,2", CSV)) == (400, "wrong_dimension")
    assert "OMP_NUM_THREADS=" in server.logs()
