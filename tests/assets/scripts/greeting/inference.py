"""A script as users of AWS's TensorFlow Serving container write them: a package of requirements.txt, JSON lines."""

import json

import requests
from greetings import greet


def handler(data, context):
    if context.request_content_type not in ("application/jsonlines", "application/json"):
        raise ValueError("unsupported content type {}".format(context.request_content_type))
    lines = data.read().decode("utf-8").splitlines()
    instances = [json.loads(line)["value"] for line in lines]
    response = requests.post(context.rest_uri, data=json.dumps({"instances": instances}))
    if response.status_code != 200:
        raise ValueError(response.content.decode("utf-8"))
    answers = [
        {"greeting": greet(context.model_name or "nobody"), "value": value, "method": context.method}
        for value in response.json()["predictions"]
    ]
    return "\n".join(map(json.dumps, answers)), "application/jsonlines"
