"""For a generic container: all functions are the script's own, and what they return is of every kind."""
import json
import os

from sagemaker_inference import content_types, decoder, encoder, errors


def pre_model_fn(model_dir):
    assert os.path.isdir(model_dir)


def model_fn(model_dir, context):
    assert context.system_properties["model_dir"] == model_dir
    with open(os.path.join(model_dir, "model.json")) as f:
        return json.load(f)


def model_warmup_fn(model_dir, model):
    model["warm"] = True


def input_fn(body, content_type, context):
    if content_type == "application/x-told":
        return "told", type(body).__name__, bytes(body).decode()
    if content_type == "text/plain; charset=utf-8":
        return "text", type(body).__name__, body.decode("utf-8")
    if content_type == content_types.CSV:
        return "array", type(body).__name__, decoder.decode(body, content_type)
    return json.loads(body)


def predict_fn(data, model, context):
    kind, given, rest = data
    if kind == "refuse":
        raise errors.GenericInferenceToolkitError(given, rest)
    if kind == "fail":
        raise ValueError(rest)
    if kind == "array":
        return rest * model["factor"]
    if kind == "header":
        return context.get_request_header(0, given)
    return {"kind": kind, "given": given, "rest": rest, "warm": model["warm"]}


def output_fn(prediction, accept, context):
    if hasattr(prediction, "tolist"):
        return encoder.encode(prediction, content_types.CSV), "text/csv"
    if accept == "text/x-status":
        context.set_response_status(code=409, phrase="Conflict")
    if accept == "text/x-bytes":
        return bytearray(json.dumps(prediction).encode())
    if accept == "text/x-text":
        return json.dumps(prediction)
    if accept == "text/x-two":
        return json.dumps(prediction), "text/x-other"
    return prediction
