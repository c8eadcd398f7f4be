"""A script as users of AWS's TensorFlow Serving container write them: one handler, formats of its own."""

import json

import requests
import tensorflow as tf

CLASSES = ["cat", "dog", "frog", "horse", "ship"]


def handler(data, context):
    if context.request_content_type == "application/x-image":
        instances = from_picture(data.read())
    elif context.request_content_type == "text/csv":
        instances = from_csv(data.read().decode("utf-8"))
    else:
        raise ValueError('{{"error": "unsupported content type {}"}}'.format(context.request_content_type or "unknown"))

    response = requests.post(context.rest_uri, data=json.dumps({"instances": instances}))
    if response.status_code != 200:
        raise ValueError(response.content.decode("utf-8"))
    return to_answer(response.json()["predictions"], context.accept_header)


def from_picture(content):
    picture = tf.image.decode_png(content, channels=3)
    picture = tf.image.convert_image_dtype(picture, tf.float32)
    return tf.expand_dims(picture, 0).numpy().tolist()


def from_csv(text):
    rows = [[float(value) for value in line.split(",")] for line in text.splitlines()]
    return [tf.reshape(row, (16, 16, 3)).numpy().tolist() for row in rows]


def to_answer(predictions, accept):
    names = [CLASSES[int(tf.argmax(scores))] for scores in predictions]
    if accept == "text/csv":
        return "".join(name + "\n" for name in names), "text/csv"
    return json.dumps({"classes": names, "scores": predictions}), "application/json"
