"""How the models beside this were made: once in each of four environments with the XGBoost of their names.

XGBoost from 3.1 on writes neither these formats nor these pickles, and an old one runs on no Python of today's,
so they cannot be made when tests run. `expected.json` is what each version predicted itself.
"""

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import xgboost as xgb
from sklearn.datasets import load_iris

X, y = load_iris(return_X_y=True)
X, y = X[::3], y[::3]
X[::5, 2] = np.nan
FLOWERS: dict[str, dict[str, tuple[dict[str, Any], Any]]] = {
    "0.90": {
        "logistic": ({"objective": "binary:logistic", "base_score": 0.3}, y > 0),
        "poisson": ({"objective": "count:poisson"}, y),
        "pickled": ({"objective": "binary:logistic"}, y > 0),
    },
    "1.3.3": {
        "softprob": ({"objective": "multi:softprob", "num_class": 3, "num_parallel_tree": 2}, y),
        "dart": ({"booster": "dart", "rate_drop": 0.5, "objective": "binary:logistic"}, y > 0),
        "pickled": ({"objective": "reg:squarederror"}, y),
    },
    "1.7.6": {"tweedie": ({"objective": "reg:tweedie", "tweedie_variance_power": 1.2, "base_score": 2.0}, y)},
    "2.1.4": {
        "linear": ({"booster": "gblinear", "objective": "reg:squarederror"}, y),
        "hinge": ({"objective": "binary:hinge"}, y > 0),
        "pickled": ({"objective": "multi:softmax", "num_class": 3}, y),
    },
}


def make(folder: Path) -> None:
    """Write this version's models, and add what they predict."""
    predicted = folder / "expected.json"
    expected = json.loads(predicted.read_text()) if predicted.exists() else {}
    for name, (parameters, label) in FLOWERS[xgb.__version__].items():
        booster = xgb.train({"max_depth": 2, **parameters}, xgb.DMatrix(X, label), 3 if name == "dart" else 2)
        path = folder / f"{xgb.__version__}-{name}.{'pkl' if name == 'pickled' else 'model'}"
        if name == "pickled":
            path.write_bytes(pickle.dumps(booster))
        else:
            # From 2.1 on only this ending asks for the binary format.
            written = path.with_suffix(".deprecated")
            booster.save_model(str(written))
            written.rename(path)
        expected[path.name] = booster.predict(xgb.DMatrix(X)).astype(float).round(9).tolist()
    predicted.write_text(json.dumps(expected))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
