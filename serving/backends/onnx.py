"""ONNX models on ONNX Runtime's CPU provider."""

import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from serving.backends.onnx_arena import shrinking, use_arena
from serving.backends.onnx_shared import shared
from serving.backends.onnx_steady import is_steady
from serving.errors import ModelFailedError, ModelLoadError, ModelRejectedInputError
from serving.plans import Plan
from serving.signature import STRING, Array, Dimension, Inputs, Kind, Outputs, Signature, TensorSpec
from serving.turns import Turns

# ONNX Runtime's names of the element types that numpy has too. bfloat16, the float8 types and the 4-bit
# ones have no numpy dtype, and ONNX Runtime loads no model with complex tensors.
DTYPES = {
    "tensor(float16)": "float16",
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(int8)": "int8",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(uint8)": "uint8",
    "tensor(uint16)": "uint16",
    "tensor(uint32)": "uint32",
    "tensor(uint64)": "uint64",
    "tensor(bool)": "bool",
    "tensor(string)": STRING,
}
PROVIDERS = ["CPUExecutionProvider"]
EXTERNAL_DATA_FOLDER = "session.model_external_initializers_file_folder_path"
# The optimizer that makes a Gemm of a MatMul and an Add, for which there is no bf16 kernel.
GEMM_FUSION = "MatMulAddFusion"
MAP_SEQUENCE = "seq(map("
# Severity "fatal" of a session's own log: whatever goes wrong comes as an exception and is logged by us.
QUIET = 4


class OnnxModel:
    """A loaded ONNX model; ONNX Runtime's sessions may be run from several threads at once."""

    def __init__(
        self,
        session: Any,  # noqa: ANN401 (onnxruntime is not typed)
        signature: Signature,
        path: Path,
        plan: Plan,
        *,
        is_steady: bool = False,
        turns: Turns | None = None,
    ) -> None:
        self.is_steady = is_steady
        self._turns = turns
        self._path = path
        self._plan = plan
        self._session = session
        self._signature = signature
        self._output_names = [spec.name for spec in signature.outputs]

    @property
    def signature(self) -> Signature:
        """The graph's inputs and outputs."""
        return self._signature

    @property
    def alternatives(self) -> Mapping[str, "OnnxModel"]:
        """None: an ONNX model is one graph."""
        return {}

    def divide(self) -> "tuple[OnnxModel, OnnxModel]":
        """The same model on the plan's threads and on one, with one copy of the weights. Raises NotDivisibleError."""
        wide, narrow = shared(
            self._path,
            lambda path, options: _session(path, self._plan, _configured(options, self._plan)),
            [_options(plan) for plan in (self._plan.wide(), self._plan.narrow())],
            lambda path, options: ort.InferenceSession(path, options, providers=PROVIDERS),
        )
        turns = Turns()
        return self._with(wide, turns), self._with(narrow, turns)

    def _with(self, session: Any, turns: Turns) -> "OnnxModel":  # noqa: ANN401 (onnxruntime is not typed)
        return OnnxModel(session, self._signature, self._path, self._plan, is_steady=self.is_steady, turns=turns)

    def run(self, inputs: Inputs) -> Outputs:
        """Run the graph.

        Raises:
            ModelRejectedInputError: an operator refused these values.
            ModelFailedError: anything else that went wrong.
        """
        return self._run(inputs, None)

    def shrink(self, inputs: Inputs) -> None:
        """Run them, and have the arena, which is all models', give back what is free. Raises what `run` raises."""
        self._run(inputs, shrinking())

    def _run(self, inputs: Inputs, options: Any) -> Outputs:  # noqa: ANN401 (onnxruntime is not typed)
        try:
            feeds = {name: _text(array) for name, array in inputs.items()}
            values = self._session.run(self._output_names, feeds, options)
        except (InvalidArgument, UnicodeDecodeError) as error:
            raise ModelRejectedInputError from error
        except Exception as error:
            raise ModelFailedError from error
        if self._turns is not None:
            self._turns.ran(id(self))
        return dict(zip(self._output_names, values, strict=True))


def _text(array: Array) -> Array:
    """Strings as ONNX has them, which are text: bytes must be UTF-8. Raises UnicodeDecodeError."""
    if array.dtype != object or not any(isinstance(value, bytes) for value in array.flat):
        return array
    text = np.empty(array.size, dtype=object)
    text[:] = [value.decode() if isinstance(value, bytes) else value for value in array.flat]
    return text.reshape(array.shape)


def load(path: Path, plan: Plan) -> OnnxModel:
    """Load the model file with the plan's session options. Raises ModelLoadError."""
    try:
        session = _session(path, plan, _options(plan))
    except Exception as error:
        raise ModelLoadError(
            f"{path} could not be loaded by ONNX Runtime {ort.__version__}: {error} Expected: an ONNX model with "
            "its external data files beside it. Check that the archive is complete and that "
            "onnx.checker.check_model accepts the file."
        ) from error
    signature = Signature(
        tuple(_input(node) for node in session.get_inputs()),
        tuple(_output(node) for node in session.get_outputs()),
    )
    numeric = all(spec.dtype != STRING for spec in signature.inputs)
    return OnnxModel(session, signature, path, plan, is_steady=numeric and is_steady(path))


def _session(path: Path, plan: Plan, options: Any) -> Any:  # noqa: ANN401 (onnxruntime is not typed)
    """The session; where bf16 is on, of the model with its Gemms rewritten so that bf16 reaches them."""
    if not plan.bf16:
        return ort.InferenceSession(path, options, providers=PROVIDERS)
    model = _with_matmul_for_gemm(path)
    if model is not None:
        # Bytes have no folder of their own in which to look for external data.
        options.add_session_config_entry(EXTERNAL_DATA_FOLDER, str(path.parent))
    return ort.InferenceSession(model or path, options, providers=PROVIDERS, disabled_optimizers=[GEMM_FUSION])


def _with_matmul_for_gemm(path: Path) -> bytes | None:
    """The rewritten model, None where there is no Gemm to rewrite: then `onnx` is not even imported."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(b"Gemm") < 0:
            return None
    from serving.backends.onnx_gemm import rewritten  # noqa: PLC0415 (see above)

    return rewritten(path)


def _options(plan: Plan) -> Any:  # noqa: ANN401 (onnxruntime is not typed)
    options = _configured(ort.SessionOptions(), plan)
    if plan.profile:
        options.enable_profiling = True
        options.profile_file_prefix = plan.profile
    return options


def _configured(options: Any, plan: Plan) -> Any:  # noqa: ANN401 (onnxruntime is not typed)
    options.intra_op_num_threads = plan.threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    use_arena(options)
    options.log_severity_level = QUIET
    for key, value in plan.session.items():
        options.add_session_config_entry(key, value)
    return options


def _input(node: Any) -> TensorSpec:  # noqa: ANN401 (onnxruntime is not typed)
    if node.type not in DTYPES:
        raise ModelLoadError(
            f"The model's input {node.name!r} is of type {node.type}. Expected: a tensor of one of "
            f"{', '.join(DTYPES.values())}. Cast inside the graph, or export with another input type."
        )
    return TensorSpec(node.name, DTYPES[node.type], _shape(node))


def _output(node: Any) -> TensorSpec:  # noqa: ANN401 (onnxruntime is not typed)
    if node.type in DTYPES:
        return TensorSpec(node.name, DTYPES[node.type], _shape(node))
    if node.type.startswith("tensor("):
        raise ModelLoadError(
            f"The model's output {node.name!r} is of type {node.type}, which numpy does not have. Cast it to "
            "float32 inside the graph."
        )
    kind: Kind = "maps" if node.type.startswith(MAP_SEQUENCE) else "other"
    return TensorSpec(node.name, node.type, (), kind)


def _shape(node: Any) -> tuple[Dimension, ...]:  # noqa: ANN401 (onnxruntime is not typed)
    """The shape with a name for each free axis; an unnamed one gets a name of its own."""
    return tuple(size if isinstance(size, int | str) else f"{node.name}.{axis}" for axis, size in enumerate(node.shape))
