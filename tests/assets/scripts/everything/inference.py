"""All frameworks of the default image that bring an OpenMP runtime, in one process; several of those have found no room on arm64."""
import json
import os

import lightgbm
import xgboost
import joblib
import numpy as np
import onnxruntime


def model_fn(model_dir):
    return {
        "scikit-learn": joblib.load(os.path.join(model_dir, "model.joblib")).predict_proba,
        "xgboost": xgboost.Booster(model_file=os.path.join(model_dir, "model.ubj")).inplace_predict,
        "lightgbm": lightgbm.Booster(model_file=os.path.join(model_dir, "model.txt")).predict,
        "onnx": session(os.path.join(model_dir, "model.onnx")),
    }


def session(path):
    made = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda rows: made.run(None, {"x": rows.astype(np.float32)})[0]


def input_fn(body, content_type):
    return np.array(json.loads(body))


def predict_fn(rows, model):
    return {name: np.asarray(predict(rows)).tolist() for name, predict in model.items()}


def output_fn(prediction, accept):
    return json.dumps(prediction), "application/json"
