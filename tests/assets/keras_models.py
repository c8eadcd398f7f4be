"""Small TensorFlow and Keras models made on the fly, each with one property that a server must cope with.

Every builder writes its model to `path` (a SavedModel's folder, or a .keras or .h5 file) and returns `path`.
TensorFlow is imported by the builders alone, so that to import this module costs nothing.
"""

# mypy: disable-error-code="no-untyped-call,misc,no-any-return,untyped-decorator"
from pathlib import Path
from typing import Any, Final

import numpy as np

SEED: Final = 2026
SIDE: Final = 16
"""Rows and columns of the pictures that `conv_net` takes."""
CLASSES: Final = 5


def half_plus(path: Path, addend: float = 2.0) -> Path:
    """`x` float32 [N] -> `y` = x / 2 + addend, and a second signature `tripled`: `x` -> `y` = 3 x."""
    import tensorflow as tf  # noqa: PLC0415

    class HalfPlus(tf.Module):
        def __init__(self) -> None:
            self.half = tf.Variable(0.5)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
        def plus(self, x: Any) -> Any:  # noqa: ANN401
            return {"y": x * self.half + addend}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
        def tripled(self, x: Any) -> Any:  # noqa: ANN401
            return {"y": x * 3}

    module = HalfPlus()
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.plus, "tripled": module.tripled})
    return path


def binary(path: Path) -> Path:
    """`x` string [N] -> `same_bytes` and `same` string [N], `length` int32 [N]: the number of its bytes."""
    import tensorflow as tf  # noqa: PLC0415

    def run(x: Any) -> dict[str, Any]:  # noqa: ANN401
        return {"same_bytes": tf.identity(x), "same": tf.identity(x), "length": tf.strings.length(x)}

    return function(path, run, tf.TensorSpec([None], tf.string, "x"))


def rows(path: Path) -> Path:
    """`x` float32 [N, 3] -> `y` [N, 3] = 2 x."""
    import tensorflow as tf  # noqa: PLC0415

    return function(path, lambda x: {"y": x * 2}, tf.TensorSpec([None, 3], tf.float32, "x"))


def refusing(path: Path) -> Path:
    """`x` float32 [N, 3] -> `y`, the same, but only for 7777 rows: it runs on nothing made up."""
    import tensorflow as tf  # noqa: PLC0415

    return function(path, lambda x: {"y": tf.ensure_shape(x, [7777, 3])}, tf.TensorSpec([None, 3], tf.float32, "x"))


def function(path: Path, run: Any, *specs: Any, **signatures: Any) -> Path:  # noqa: ANN401
    """A function without variables as the signature `serving_default`."""
    import tensorflow as tf  # noqa: PLC0415

    module = tf.Module()
    module.run = tf.function(run, input_signature=specs, autograph=False)
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.run, **signatures})
    return path


def identity(path: Path, element: str) -> Path:
    """`x` of a type, [N, 3] -> `y`, the same."""
    import tensorflow as tf  # noqa: PLC0415

    return function(path, lambda x: {"y": tf.identity(x)}, tf.TensorSpec([None, 3], tf.as_dtype(element), "x"))


def conv_net(seed: int = SEED) -> Any:  # noqa: ANN401 (a Keras model)
    """A small net with a convolution fused with its bias and ReLU, a depthwise one, batch norm and products."""
    import keras  # noqa: PLC0415

    keras.utils.set_random_seed(seed)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((SIDE, SIDE, 3), name="picture"),
            layers.Conv2D(16, 3, padding="same", activation="relu", bias_initializer="normal"),
            layers.DepthwiseConv2D(3, padding="same", bias_initializer="normal"),
            layers.BatchNormalization(gamma_initializer="uniform", beta_initializer="normal"),
            layers.ReLU(6.0),
            layers.Conv2D(24, 1),
            layers.Dropout(0.5),
            layers.Flatten(),
            layers.Dense(32, activation="relu"),
            layers.Dense(CLASSES),
        ]
    )
    model.compile("adam", "mse")  # an optimizer in the file, as a trained model has
    return model


def mobilenet(path: Path, seed: int = SEED) -> Path:
    """keras.applications' MobileNetV2 with random weights, its smallest: pictures of 96 x 96, a width of 0.35."""
    import keras  # noqa: PLC0415

    keras.utils.set_random_seed(seed)
    keras.applications.MobileNetV2(input_shape=(96, 96, 3), alpha=0.35, weights=None).export(path, verbose=False)
    return path


def saved_conv_net(path: Path, seed: int = SEED) -> Path:
    """`conv_net` as Keras 3 exports it."""
    conv_net(seed).export(str(path), verbose=False)
    return path


def kept_conv_net(path: Path, seed: int = SEED) -> Path:
    """`conv_net` as .keras or .h5, by the path's ending."""
    conv_net(seed).save(path)
    return path


def pictures(count: int, seed: int = SEED) -> Any:  # noqa: ANN401 (an array)
    """Inputs for `conv_net`."""
    return np.random.default_rng(seed).random((count, SIDE, SIDE, 3), dtype=np.float32)


def dynamic_filters(path: Path) -> Path:
    """Weights that come with the request: a convolution's filter, and the right side of a product with a bias."""
    import tensorflow as tf  # noqa: PLC0415

    def run(picture: Any, kernel: Any, left: Any, right: Any) -> Any:  # noqa: ANN401
        bias = tf.constant(np.arange(8, dtype=np.float32))
        return {
            "convolved": tf.nn.relu(tf.nn.conv2d(picture, kernel, 1, "SAME")),
            "product": tf.nn.bias_add(tf.matmul(left, right), bias),
        }

    shapes = {"picture": [None, 8, 8, 4], "kernel": [3, 3, 4, 8], "left": [None, 16], "right": [16, 8]}
    return function(path, run, *(tf.TensorSpec(shape, tf.float32, name) for name, shape in shapes.items()))


def looped_weights(path: Path) -> Path:
    """`x` [N, 4] through three products in a loop, with the weights of each round taken from a stack."""
    import tensorflow as tf  # noqa: PLC0415

    stack = tf.constant(np.random.default_rng(SEED).random((3, 4, 4), dtype=np.float32))
    bias = tf.constant(np.arange(4, dtype=np.float32))

    def step(index: Any, value: Any) -> Any:  # noqa: ANN401
        return index + 1, tf.nn.bias_add(tf.matmul(value, stack[index]), bias)

    def run(x: Any) -> Any:  # noqa: ANN401
        _, value = tf.while_loop(lambda index, _: index < 3, step, [0, x])
        return {"y": value}

    return function(path, run, tf.TensorSpec([None, 4], tf.float32, "x"))


def words(path: Path) -> Path:
    """`text` string [N] -> `upper` string [N], `length` int32 [N], `raw` string [N] that is never UTF-8."""
    import tensorflow as tf  # noqa: PLC0415

    def run(text: Any) -> Any:  # noqa: ANN401
        return {
            "upper": tf.strings.upper(text, encoding="utf-8"),
            "length": tf.strings.length(text, unit="UTF8_CHAR"),
            "raw": tf.strings.join(["\xff".encode("latin-1"), text]),
        }

    return function(path, run, tf.TensorSpec([None], tf.string, "text"))


def table(path: Path) -> Path:
    """`index` int64 [N] -> `row` float32 [N, 2]; an index outside the table makes the operation fail."""
    import tensorflow as tf  # noqa: PLC0415

    values = tf.constant(np.arange(10, dtype=np.float32).reshape(5, 2))
    return function(path, lambda index: {"row": tf.gather(values, index)}, tf.TensorSpec([None], tf.int64, "index"))


def old_names(path: Path) -> Path:
    """TensorFlow 1's SavedModel of reference variables, with names as converters write them: `x:0` -> `a/b::c`, `0`."""
    import tensorflow as tf  # noqa: PLC0415

    old = tf.compat.v1
    with tf.Graph().as_default(), old.Session() as session:
        x = old.placeholder(tf.float32, [None, 3])
        weight = old.get_variable("weight", initializer=np.array([1, 10, 100], np.float32), use_resource=False)
        named = {"a/b::c": x * weight, "0": x}
        session.run(old.global_variables_initializer())
        info = old.saved_model.build_tensor_info
        signature = old.saved_model.build_signature_def(
            {"x:0": info(x)}, {name: info(one) for name, one in named.items()}, "tensorflow/serving/predict"
        )
        builder = old.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(session, ["serve"], {"only": signature})
        builder.save()
    return path


def edited(path: Path, edit: Any) -> Path:  # noqa: ANN401 (called with the first MetaGraphDef)
    """The SavedModel with its graph, objects or signatures changed."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel  # noqa: PLC0415

    file = path / "saved_model.pb"
    document = SavedModel.FromString(file.read_bytes())
    edit(document.meta_graphs[0])
    file.write_bytes(document.SerializeToString())
    return path


def with_optimizer_of_keras_2(path: Path) -> Path:
    """The SavedModel as Keras 2 wrote one after training: with an optimizer's slot variables in its object graph.

    TensorFlow 2.21 makes the optimizer anew as an object without `add_slot`, and fails on it.
    """

    def add_slots(meta: Any) -> None:  # noqa: ANN401
        nodes = meta.object_graph_def.nodes
        variable = next(number for number, node in enumerate(nodes) if node.WhichOneof("kind") == "variable")
        optimizer, slot = len(nodes), len(nodes) + 1
        nodes.add().user_object.identifier = "optimizer"
        nodes.add().CopyFrom(nodes[variable])
        nodes[optimizer].user_object.version.producer = 1
        reference = nodes[optimizer].slot_variables.add()
        reference.original_variable_node_id = variable
        reference.slot_variable_node_id = slot
        reference.slot_name = "m"
        child = nodes[0].children.add()
        child.node_id, child.local_name = optimizer, "optimizer"

    return edited(path, add_slots)


def with_unknown_operation(path: Path) -> Path:
    """The SavedModel with an operation that this TensorFlow does not have."""

    def rename(meta: Any) -> None:  # noqa: ANN401
        for body in meta.graph_def.library.function:
            for node in body.node_def:
                if node.op == "Mul":
                    node.op = "FrobnicateV9"

    return edited(path, rename)
