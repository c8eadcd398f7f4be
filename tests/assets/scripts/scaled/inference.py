"""A script as users of AWS's TensorFlow Serving container write them: two handlers, a helper, a library in lib/."""

import json
import logging

import helpers
from units import to_metres

log = logging.getLogger(__name__)


def input_handler(data, context):
    log.info("request of %s bytes", context.content_length)
    if context.request_content_type == "application/json":
        values = json.loads(data.read().decode("utf-8"))["feet"]
    elif context.request_content_type == "text/csv":
        values = [float(value) for value in data.read().decode("utf-8").split(",")]
    else:
        helpers.return_error(415, f'Unsupported content type "{context.request_content_type}"')
    return json.dumps({"instances": [to_metres(value) for value in values]})


def output_handler(response, context):
    if response.status_code != 200:
        helpers.return_error(response.status_code, response.json()["error"])
    attributes = helpers.attributes(context.custom_attributes)
    predictions = [round(value, 3) for value in response.json()["predictions"]]
    answer = {"predictions": predictions, "trace": attributes.get("trace"), "version": context.model_version}
    return json.dumps(answer), context.accept_header
