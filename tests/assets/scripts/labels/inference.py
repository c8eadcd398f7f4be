"""For the scikit-learn container: everything but the model is left to it."""
import os

import joblib


def model_fn(model_dir):
    return joblib.load(os.path.join(model_dir, "model.joblib"))
