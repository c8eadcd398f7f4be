"""For the scikit-learn container: what transform_fn may return there."""
import os

import joblib
from sagemaker_containers.beta.framework import encoders, worker


def model_fn(model_dir):
    return joblib.load(os.path.join(model_dir, "model.joblib"))


def transform_fn(model, request_body, content_type, accept):
    rows = encoders.decode(request_body, content_type)
    probabilities = model.predict_proba(rows)
    if accept == "text/x-dict":
        return {"labels": model.predict(rows).tolist(), "best": probabilities.max(axis=1).tolist()}
    if accept == "text/x-status":
        return worker.Response(response="no", status=418, mimetype="text/plain")
    if accept == "text/csv":
        return encoders.encode(probabilities, accept), accept
    return worker.Response(encoders.encode(probabilities, accept), mimetype=accept)
