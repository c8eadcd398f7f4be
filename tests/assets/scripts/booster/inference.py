"""For the XGBoost container: everything but the model is left to it."""
import os

import xgboost


def model_fn(model_dir):
    model = xgboost.Booster()
    model.load_model(os.path.join(model_dir, "model.ubj"))
    return model
