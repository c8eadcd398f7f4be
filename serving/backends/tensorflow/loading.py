"""Loading TensorFlow models from SavedModels and from Keras's files."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import tensorflow as tf

from serving.backends.tensorflow.model import Endpoint, TensorFlowModel, constants
from serving.backends.tensorflow.weights import FLAG_OF_PROCESS, changing_weights
from serving.errors import ModelLoadError
from serving.plans import Plan
from serving.signature import Array

log = logging.getLogger(__name__)

SERVING_DEFAULT = "serving_default"
# What tf.saved_model.save calls the signature of the initialisation, which is nothing to serve.
INIT_SIGNATURE = "__saved_model_init_op"
SERVE_TAG = "serve"
# TensorFlow's errors can hold a stack of Python's and one of C++'s; what is wrong is at the beginning.
ERROR_LENGTH = 600

Endpoints = Mapping[str, Endpoint]


def load(path: Path, plan: Plan) -> TensorFlowModel:  # noqa: ARG001 (the plan's part is in the environment)
    """Load a SavedModel's folder, or a .keras or .h5 file: its default signature. Raises ModelLoadError.

    The default is `serving_default`, else the only signature, else the first by name.
    """
    tf.get_logger().setLevel(logging.ERROR)  # below that it tells programmers what is deprecated
    endpoints = _saved_model(path) if path.is_dir() else _keras_model(path)
    FLAG_OF_PROCESS.settle(path, [name for endpoint in endpoints.values() for name in endpoint.changing])
    default = SERVING_DEFAULT if SERVING_DEFAULT in endpoints else min(endpoints)
    models: dict[str, TensorFlowModel] = {}
    for name, endpoint in endpoints.items():
        try:
            models[name] = TensorFlowModel(name, endpoint, MappingProxyType(models))
        except ModelLoadError as error:
            if name == default:
                raise
            log.warning("signature %s is not served: %s", name, error)
    return models[default]


def _saved_model(path: Path) -> Endpoints:
    try:
        loaded = tf.saved_model.load(str(path))
    # Whatever it raises in making Python objects anew, of which a graph needs none.
    except Exception as error:  # noqa: BLE001 (told by _through_session if that fails too)
        log.info("tf.saved_model.load cannot load %s (%s); trying TensorFlow 1's loader", path.name, _short(error))
        return _through_session(path, error)
    named = {name: _of_signature(function, loaded) for name, function in loaded.signatures.items()}
    named.pop(INIT_SIGNATURE, None)
    return named or {SERVING_DEFAULT: _of_call(path, loaded)}


def _of_signature(function: Any, owner: object) -> Endpoint:  # noqa: ANN401 (a ConcreteFunction)
    # Sorted, as the file's own maps are in no order.
    inputs = dict(sorted(function.structured_input_signature[1].items()))
    outputs = dict(sorted(function.structured_outputs.items()))

    def run(arrays: Sequence[Array]) -> Sequence[Any]:
        answer = function(**dict(zip(inputs, constants(arrays, inputs.values()), strict=True)))
        return [answer[name] for name in outputs]

    return Endpoint(inputs, outputs, run, _changing(function), owner)


def _of_call(path: Path, loaded: Any) -> Endpoint:  # noqa: ANN401 (what tf.saved_model.load makes)
    """The endpoint of a SavedModel without signatures: the one traced function of its `__call__`."""
    traced = getattr(getattr(loaded, "__call__", None), "concrete_functions", ())  # noqa: B004 (not whether callable)
    functions = [function for function in traced if _takes_tensors_alone(function)]
    if not functions:
        raise ModelLoadError(
            f"{path} has no signature, nor a __call__ that was traced with tensors alone. Expected: at least one "
            "signature. Save it with tf.saved_model.save(model, path, signatures=...), or with model.export(path) if "
            "it is a Keras model."
        )
    # One trace for each shape it was called with; the one with the most free axes takes them all.
    function = max(functions, key=lambda one: sum(_free_axes(spec) for spec in _positional(one)))
    return _of_positional(function, {spec.name: spec for spec in _positional(function)}, loaded)


def _takes_tensors_alone(function: Any) -> bool:  # noqa: ANN401 (a ConcreteFunction)
    """Whether the trace has tensors for arguments, and besides them only switches that are off (training)."""
    arguments, keywords = function.structured_input_signature
    rest = [value for value in (*arguments, *keywords.values()) if not isinstance(value, tf.TensorSpec)]
    return bool(_positional(function)) and not any(rest) and not any(map(tf.is_tensor, rest))


def _positional(function: Any) -> list[Any]:  # noqa: ANN401 (a ConcreteFunction)
    return [spec for spec in function.structured_input_signature[0] if isinstance(spec, tf.TensorSpec)]


def _free_axes(spec: Any) -> float:  # noqa: ANN401 (a tf.TensorSpec)
    return float("inf") if spec.shape.rank is None else spec.shape.as_list().count(None)


def _of_positional(function: Any, inputs: Mapping[str, Any], owner: object) -> Endpoint:  # noqa: ANN401
    """The endpoint of a ConcreteFunction that takes its tensors by position."""
    structure = function.structured_outputs
    outputs = _named_outputs(structure)
    names = list(outputs)

    def run(arrays: Sequence[Array]) -> Sequence[Any]:
        answer = _named_outputs(function(*constants(arrays, inputs.values())))
        return [answer[name] for name in names]

    return Endpoint(inputs, outputs, run, _changing(function), owner)


def _named_outputs(structure: Any) -> dict[str, Any]:  # noqa: ANN401 (any nest of tensors)
    """Outputs by name, as Keras 3's `export` names them: a dict's keys, else output_0, output_1 and so on."""
    if isinstance(structure, Mapping):
        return dict(structure)
    return {f"output_{number}": tensor for number, tensor in enumerate(tf.nest.flatten(structure))}


def _changing(function: Any) -> list[str]:  # noqa: ANN401 (a ConcreteFunction)
    # Requests fill a graph's inputs but for the captured variables, which come last.
    given = len(function.inputs) - len(function.captured_inputs)
    feeds = [tensor.op.name for tensor in function.inputs[:given]]
    return changing_weights(function.graph.as_graph_def(), feeds)


def _through_session(path: Path, first: Exception) -> Endpoints:
    """Load as TensorFlow Serving does: the graph and its signatures, no Python objects."""
    session = tf.compat.v1.Session(graph=tf.Graph())
    try:
        with session.graph.as_default():
            meta = tf.compat.v1.saved_model.load(session, [SERVE_TAG], str(path))
    except Exception as second:
        session.close()
        raise _unloadable(path, first) from second
    named = {
        name: _of_definition(session, definition)
        for name, definition in meta.signature_def.items()
        if name != INIT_SIGNATURE and _is_dense(definition)
    }
    if not named:
        raise ModelLoadError(
            f"{path} has no signature of dense tensors, and could only be loaded by TensorFlow 1's loader, which needs "
            f"one ({_short(first)}). Save it again with a signature."
        )
    return named


def _is_dense(definition: Any) -> bool:  # noqa: ANN401 (a SignatureDef)
    """Whether its tensors are plain ones, not sparse or ragged, which have no single name."""
    tensors = [*definition.inputs.values(), *definition.outputs.values()]
    return all(tensor.WhichOneof("encoding") == "name" for tensor in tensors)


def _of_definition(session: Any, definition: Any) -> Endpoint:  # noqa: ANN401 (a Session and a SignatureDef)
    find = session.graph.get_tensor_by_name
    inputs = {name: find(definition.inputs[name].name) for name in sorted(definition.inputs)}
    outputs = {name: find(definition.outputs[name].name) for name in sorted(definition.outputs)}
    call = session.make_callable(list(outputs.values()), feed_list=list(inputs.values()))
    graph = tf.compat.v1.graph_util.extract_sub_graph(
        session.graph.as_graph_def(), [tensor.op.name for tensor in outputs.values()]
    )
    changing = changing_weights(graph, [tensor.op.name for tensor in inputs.values()])

    def run(arrays: Sequence[Array]) -> Sequence[Any]:
        values: Sequence[Any] = call(*arrays)
        return values

    return Endpoint(inputs, outputs, run, changing, session)


def _keras_model(path: Path) -> Endpoints:
    import keras  # noqa: PLC0415 (a second of imports that SavedModels do without)

    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:
        raise ModelLoadError(
            f"{path} could not be loaded by Keras {keras.__version__}: {_short(error)} Expected: a whole model, saved "
            "by model.save, of Keras's own layers. Weights alone, custom layers and Lambda layers need their "
            "Python code: export such a model as a SavedModel with model.export(path)."
        ) from error
    return {SERVING_DEFAULT: _of_keras(path, model)}


def _of_keras(path: Path, model: Any) -> Endpoint:  # noqa: ANN401 (a Keras model)
    tensors = getattr(model, "inputs", None)
    if not tensors:
        raise ModelLoadError(
            f"{path} does not say what its inputs are. Expected: a Keras model that was built with an Input, or called "
            "once before it was saved. Build it so, or export it as a SavedModel with model.export(path)."
        )
    inputs = {one.name: tf.TensorSpec(one.shape, one.dtype, _plain(one.name)) for one in tensors}
    arrange = _arrangement(model)

    def serve(*given: Any) -> dict[str, Any]:  # noqa: ANN401 (tensors)
        return _named_outputs(model(arrange(given), training=False))

    # Traced here, once: a concrete function never traces again.
    function = tf.function(serve, input_signature=list(inputs.values()), autograph=False).get_concrete_function()
    return _of_positional(function, inputs, model)


def _arrangement(model: Any) -> Callable[[Sequence[Any]], Any]:  # noqa: ANN401 (a Keras model)
    """How to hand the inputs, in the order of `model.inputs`, to a model that may take a dict or a nest of them."""
    import keras  # noqa: PLC0415 (imported already: this only names it)

    structure = getattr(model, "_inputs_struct", None)
    if structure is None:
        return lambda given: given[0] if len(given) == 1 else list(given)
    return lambda given: keras.tree.pack_sequence_as(structure, list(given))


def _plain(name: str) -> str:
    """A name that TensorFlow takes for an argument."""
    return "".join(letter if letter.isalnum() else "_" for letter in name)


def _unloadable(path: Path, error: Exception) -> ModelLoadError:
    version = tf.__version__
    return ModelLoadError(
        f"{path} could not be loaded by TensorFlow {version}: {_short(error)} Expected: a SavedModel with its "
        f"variables folder beside saved_model.pb, written by TensorFlow {version} or an older one, without custom "
        "operations. 'Op type not registered' means a newer TensorFlow or a custom operation: save the model with "
        "an older TensorFlow, or without that operation. Otherwise check that the archive is complete."
    )


def _short(error: Exception) -> str:
    """What an error says, on one line, and its type where it says little."""
    text = " ".join(str(error).split())
    said = f"{type(error).__name__}: {text}"
    return said if len(said) <= ERROR_LENGTH else said[: ERROR_LENGTH - 1] + "…"
