"""Estimators fitted on scikit-learn's own data, and saved as users save them."""

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

Matrix = npt.NDArray[np.float64]

TEXTS = ["a good day", "a bad day", "good food", "bad food", "what a good thing", "a very bad thing"]
PEOPLE = pd.DataFrame(
    {
        "age": [22.0, 35.0, 58.0, 41.0, 19.0, 63.0] * 4,
        "city": ["Ulm", "Köln", "Bonn", "Ulm", "Köln", "Bonn"] * 4,
        "children": [0, 2, 1, 3, 0, 2] * 4,
    }
)
BUYS = np.array(["no", "yes", "yes", "no", "no", "yes"] * 4)


def digits() -> tuple[Any, Matrix]:
    """A classifier of handwritten digits, and the pictures."""
    x, y = load_digits(return_X_y=True)
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)).fit(x, y), x


def wine() -> tuple[Any, Matrix]:
    """A forest that asks for every core, with names for labels."""
    x, y = load_wine(return_X_y=True)
    names = np.array(["barolo", "grignolino", "barbera"])
    return RandomForestClassifier(20, n_jobs=-1, random_state=0).fit(x, names[y]), x


def named_iris() -> tuple[Any, Matrix]:
    """A regressor fitted on a data frame, whose columns it picks by name."""
    frame, y = load_iris(return_X_y=True, as_frame=True)
    picked = make_column_transformer((StandardScaler(), list(frame.columns[:2])), remainder="passthrough")
    return make_pipeline(picked, RandomForestRegressor(10, random_state=0)).fit(frame, y), frame.to_numpy()


def people() -> tuple[Any, pd.DataFrame]:
    """Text and numbers side by side."""
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["age"]),
        (OneHotEncoder(), ["city"]),
        remainder="passthrough",
    )
    return make_pipeline(columns, LogisticRegression()).fit(PEOPLE, BUYS), PEOPLE


def texts() -> tuple[Any, list[str]]:
    """A classifier of texts."""
    return make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, [1, 0] * 3), TEXTS


def two_answers() -> tuple[Any, Matrix]:
    """A classifier of two things at once, whose probabilities are two arrays."""
    x, y = load_iris(return_X_y=True)
    forest = RandomForestClassifier(5, random_state=0)
    return MultiOutputClassifier(forest).fit(x, np.stack([y, y > 0], axis=1)), x


def margins() -> tuple[Any, Matrix]:
    """A classifier without probabilities."""
    x, y = load_iris(return_X_y=True)
    return SVC().fit(x, y), x


def clusters() -> tuple[Any, Matrix]:
    """What predicts and transforms."""
    x, _ = load_iris(return_X_y=True)
    return KMeans(3, n_init=1, random_state=0).fit(x), x


def saved(estimator: Any, path: Path) -> Path:  # noqa: ANN401 (any estimator)
    """The path, with the estimator in it."""
    if path.suffix == ".skops":
        from skops import io  # noqa: PLC0415 (slow to import)

        io.dump(estimator, path)
    else:
        joblib.dump(estimator, path)
    return path
