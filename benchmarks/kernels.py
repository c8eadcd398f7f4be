r"""Which kernel runs which of TensorFlow's operations on this processor, as the table of docs/kernels.md.

To be run where the image runs, under the plan that the server would make for a TensorFlow model:

    docker run --rm --platform linux/arm64 -e QEMU_CPU=neoverse-v1 -v "$PWD/benchmarks:/benchmarks:ro" \
        --entrypoint python3 graviton-serving:dev-arm64 /benchmarks/kernels.py

An operation runs with constant weights on made-up inputs of 1 and of 8 rows; oneDNN says itself what it ran
(ONEDNN_VERBOSE), and where it says nothing, Eigen did.
"""

# mypy: disable-error-code="no-untyped-call,misc,no-any-return,untyped-decorator"
import argparse
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from serving import kernels, onednn_verbose
from serving.plans import make_plan
from serving.preparation import apply_environment, look_around
from serving.settings import Settings

Run = Callable[[Any], Any]
# The operations' inputs have this many rows.
ROWS = (1, 8)
SIDE, CHANNELS, FILTERS, WIDTH, STEPS = 16, 16, 32, 64, 8
STDOUT = 1


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    machine = look_around()
    plan = make_plan("tensorflow", machine.processor, machine.budget, Settings(fpmath="bf16"), os.environ)
    apply_environment(plan)
    os.environ["ONEDNN_VERBOSE"] = os.environ["DNNL_VERBOSE"] = "1"
    cases = {**_convolutions(), **_products(), **_others()}
    print(f"{machine.processor.description}\n")
    print("| operation | kernels | bf16 |\n|---|---|---|")
    for name, (run, shape, dtype) in cases.items():
        found = {row for rows in ROWS for row in _kernels_of(run, (rows, *shape), dtype)}
        told = "; ".join(f"`{operation}` on `{implementation}`" for operation, implementation, _ in sorted(found))
        rounded = {bf16 for *_, bf16 in found} - {None}
        print(
            f"| {name} | {told or 'Eigen'} | {', '.join('yes' if one else 'no' for one in rounded) or '-'} |",
            flush=True,
        )


Case = tuple[Run, tuple[int, ...], str]
PICTURE, VECTOR, SEQUENCE = (SIDE, SIDE, CHANNELS), (WIDTH,), (STEPS, WIDTH)


def _convolutions() -> Mapping[str, Case]:
    import tensorflow as tf  # noqa: PLC0415 (reads the environment that main has set)

    weights = tf.random.stateless_normal
    full = weights([3, 3, CHANNELS, FILTERS], [1, 2])
    point = weights([1, 1, CHANNELS, FILTERS], [1, 2])
    grouped = weights([3, 3, CHANNELS // 4, FILTERS], [1, 2])
    each = weights([3, 3, CHANNELS, 1], [1, 2])
    twice = weights([3, 3, CHANNELS, 2], [1, 2])
    back = weights([3, 3, FILTERS, CHANNELS], [1, 2])
    cube = weights([3, 3, 3, 4, 8], [1, 2])
    bias = tf.ones([FILTERS])
    conv, deep = tf.nn.conv2d, tf.nn.depthwise_conv2d
    half = tf.cast(full, tf.float16)
    brain = tf.cast(full, tf.bfloat16)
    return {
        "Conv2D 3x3": (lambda x: conv(x, full, 1, "SAME"), PICTURE, "float32"),
        "Conv2D 3x3, bias, ReLU": (lambda x: tf.nn.relu(conv(x, full, 1, "SAME") + bias), PICTURE, "float32"),
        "Conv2D 3x3, strides of 2": (lambda x: conv(x, full, 2, "SAME"), PICTURE, "float32"),
        "Conv2D 3x3, dilations of 2": (lambda x: conv(x, full, 1, "SAME", dilations=2), PICTURE, "float32"),
        "Conv2D 1x1": (lambda x: conv(x, point, 1, "SAME"), PICTURE, "float32"),
        "Conv2D 3x3 in 4 groups": (lambda x: conv(x, grouped, 1, "SAME"), PICTURE, "float32"),
        "Conv2D 3x3, float16": (lambda x: conv(x, half, 1, "SAME"), PICTURE, "float16"),
        "Conv2D 3x3, bfloat16": (lambda x: conv(x, brain, 1, "SAME"), PICTURE, "bfloat16"),
        "DepthwiseConv2D": (lambda x: deep(x, each, [1, 1, 1, 1], "SAME"), PICTURE, "float32"),
        "DepthwiseConv2D, strides of 2": (lambda x: deep(x, each, [1, 2, 2, 1], "SAME"), PICTURE, "float32"),
        "DepthwiseConv2D, 2 filters a channel": (lambda x: deep(x, twice, [1, 1, 1, 1], "SAME"), PICTURE, "float32"),
        "Conv2DTranspose": (
            lambda x: tf.nn.conv2d_transpose(x, back, [tf.shape(x)[0], 2 * SIDE, 2 * SIDE, FILTERS], 2),
            PICTURE,
            "float32",
        ),
        "Conv3D": (lambda x: tf.nn.conv3d(x, cube, [1] * 5, "SAME"), (8, 8, 8, 4), "float32"),
    }


def _products() -> Mapping[str, Case]:
    import tensorflow as tf  # noqa: PLC0415 (reads the environment that main has set)

    weights = tf.random.stateless_normal([WIDTH, WIDTH], [1, 2])
    bias = tf.ones([WIDTH])
    layers = tf.keras.layers
    attention = layers.MultiHeadAttention(4, WIDTH // 4)
    lstm, gru = layers.LSTM(WIDTH), layers.GRU(WIDTH)
    for layer in (lstm, gru):
        layer.build((None, *SEQUENCE))
    attention.build((None, *SEQUENCE), (None, *SEQUENCE))
    return {
        "MatMul (Dense)": (lambda x: x @ weights, VECTOR, "float32"),
        "MatMul, bias, ReLU": (lambda x: tf.nn.relu(tf.nn.bias_add(x @ weights, bias)), VECTOR, "float32"),
        "MatMul, float64": (lambda x: x @ tf.cast(weights, tf.float64), VECTOR, "float64"),
        "MatMul, float16": (lambda x: x @ tf.cast(weights, tf.float16), VECTOR, "float16"),
        "BatchMatMul": (lambda x: tf.matmul(x, x, transpose_b=True), SEQUENCE, "float32"),
        "Einsum": (lambda x: tf.einsum("nlw,wv->nlv", x, weights), SEQUENCE, "float32"),
        "MultiHeadAttention": (lambda x: attention(x, x), SEQUENCE, "float32"),
        "LSTM": (lstm, SEQUENCE, "float32"),
        "GRU": (gru, SEQUENCE, "float32"),
    }


def _others() -> Mapping[str, Case]:
    import tensorflow as tf  # noqa: PLC0415 (reads the environment that main has set)

    ones = tf.ones([CHANNELS])
    norm = tf.keras.layers.LayerNormalization()
    norm.build((None, *SEQUENCE))
    return {
        "MaxPool": (lambda x: tf.nn.max_pool2d(x, 2, 2, "SAME"), PICTURE, "float32"),
        "AvgPool": (lambda x: tf.nn.avg_pool2d(x, 2, 2, "SAME"), PICTURE, "float32"),
        "BatchNorm": (
            lambda x: tf.compat.v1.nn.fused_batch_norm(x, ones, ones, ones, ones, is_training=False)[0],
            PICTURE,
            "float32",
        ),
        "LayerNorm": (norm, SEQUENCE, "float32"),
        "Softmax": (tf.nn.softmax, VECTOR, "float32"),
        "GELU": (tf.nn.gelu, VECTOR, "float32"),
        "ReLU, Add": (lambda x: tf.nn.relu(x) + x, PICTURE, "float32"),
    }


def _kernels_of(run: Run, shape: tuple[int, ...], dtype: str) -> Iterator[tuple[str, str, bool | None]]:
    """Operation, implementation and whether bf16, of what oneDNN runs for an operation but for reorders."""
    import tensorflow as tf  # noqa: PLC0415 (imported already: this only names it)

    function = tf.function(run, input_signature=[tf.TensorSpec([None, *shape[1:]], dtype)])
    inputs = tf.cast(tf.random.stateless_uniform(shape, [5, 6]), dtype)
    with tempfile.TemporaryFile("w+") as output:
        with _standard_output(output.fileno()):
            function(inputs)
            # The first run lays the weights out; what counts is what every later one does.
            first = os.lseek(output.fileno(), 0, os.SEEK_END)
            function(inputs)
        output.seek(first)
        for kernel in kernels.of_onednn(onednn_verbose.parse(output)):
            if kernel.operation != "reorder":
                yield kernel.operation, kernel.implementation, kernel.bf16


@contextmanager
def _standard_output(descriptor: int) -> Iterator[None]:
    """Where oneDNN's lines go, for a while."""
    kept = os.dup(STDOUT)
    os.dup2(descriptor, STDOUT)
    try:
        yield
    finally:
        os.dup2(kept, STDOUT)
        os.close(kept)


if __name__ == "__main__":
    main()
