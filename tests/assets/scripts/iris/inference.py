import json
import os
from io import StringIO

import joblib
import pandas as pd

from features import COLUMNS, describe


def model_fn(model_dir):
    print("loading", os.listdir(model_dir))
    return joblib.load(os.path.join(model_dir, "model.joblib"))


def input_fn(request_body, request_content_type):
    if request_content_type == "text/csv":
        return pd.read_csv(StringIO(request_body), header=None, names=COLUMNS)
    if request_content_type == "application/json":
        return pd.DataFrame(json.loads(request_body)["instances"], columns=COLUMNS)
    raise ValueError("unsupported content type " + request_content_type)


def predict_fn(input_data, model):
    return model.predict_proba(input_data.to_numpy())


def output_fn(prediction, accept):
    if accept == "text/csv":
        return "\n".join(",".join(str(p) for p in row) for row in prediction)
    return json.dumps([describe(row) for row in prediction.tolist()]), "application/json"
