"""Programs of torch.export, which say themselves what they take, what they give and what they change."""

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.export.graph_signature import ConstantArgument, InputKind, TensorArgument
from torch.utils import _pytree

from serving.backends.torch.axes import BATCH
from serving.backends.torch.model import Program
from serving.backends.torch.scripted import short
from serving.backends.torch.tensors import UnservableError, dtype_name, named
from serving.errors import ModelLoadError
from serving.signature import Dimension, Signature, TensorSpec

# Operators that call parts of the program as often as values say.
LOOPS = ("while_loop", "scan", "cond")
# The kinds of inputs that are the program's own.
OWN = frozenset({InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR})


def load(path: Path) -> Program:
    """Load a program. Raises ModelLoadError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exported = torch.export.load(path)
            module = exported.module()
    except Exception as error:
        raise ModelLoadError(
            f"{path} could not be loaded by PyTorch {torch.__version__}: {short(error)} Expected: what "
            "torch.export.save has written, complete, by this version of PyTorch or an older one. One of a newer "
            "version must be exported anew with this one, or be saved as TorchScript."
        ) from error
    names = _named_axes(exported)
    try:
        inputs, dtypes = _inputs(exported, names)
        outputs = _outputs(exported, names)
    except UnservableError as error:
        raise ModelLoadError(
            f"{path} cannot be served: it takes or gives {error}. Expected: tensors, and tuples, lists and dicts of "
            "them. Export a module that takes and gives those, or add a script with model_fn to the archive "
            "(code/inference.py)."
        ) from error

    def call(tensors: Mapping[str, torch.Tensor]) -> Any:  # noqa: ANN401 (whatever the module gives)
        arguments, keywords = _pytree.tree_unflatten(_leaves(exported, tensors), exported.call_spec.in_spec)
        return module(*arguments, **keywords)

    return Program(call, dtypes, Signature(inputs, outputs), _state(exported), not _has_loop(exported))


def _leaves(exported: Any, tensors: Mapping[str, torch.Tensor]) -> list[Any]:  # noqa: ANN401 (an ExportedProgram)
    """What the program is called with, flat: tensors of the request's, and the constants it was exported with."""
    return [
        given.value if isinstance(given, ConstantArgument) else tensors[given.name] for given in _user_inputs(exported)
    ]


def _user_inputs(exported: Any) -> list[Any]:  # noqa: ANN401 (an ExportedProgram)
    return [spec.arg for spec in exported.graph_signature.input_specs if spec.kind is InputKind.USER_INPUT]


def _placeholders(exported: Any) -> dict[str, Any]:  # noqa: ANN401 (an ExportedProgram)
    """The inputs of the graph by name, as tensors without values."""
    return {node.name: node.meta.get("val") for node in exported.graph.nodes if node.op == "placeholder"}


def _named_axes(exported: Any) -> dict[str, str]:  # noqa: ANN401 (an ExportedProgram)
    """A name for each free size: of the input and the axis where it is first, for the program's own names are lost."""
    names: dict[str, str] = {}
    values = _placeholders(exported)
    for given in _user_inputs(exported):
        for number, size in enumerate(getattr(values.get(given.name), "shape", ())):
            if not isinstance(size, int):
                name = f"{given.name}.{number}" if number or BATCH in names.values() else BATCH
                names.setdefault(str(size), name)
    return names


def _inputs(
    exported: Any,  # noqa: ANN401 (an ExportedProgram)
    names: Mapping[str, str],
) -> tuple[tuple[TensorSpec, ...], dict[str, torch.dtype]]:
    """Raises UnservableError."""
    values, usual = _placeholders(exported), _usual(exported)
    specs, dtypes = [], {}
    for given in _user_inputs(exported):
        if isinstance(given, ConstantArgument):
            continue
        if not isinstance(given, TensorArgument):
            raise UnservableError(f"{given.name!r}, a number that each call may choose")
        value = values[given.name]
        shape = _shape(value, names)
        specs.append(TensorSpec(given.name, dtype_name(value.dtype), shape, usual=usual.get(given.name, ())))
        dtypes[given.name] = value.dtype
    return tuple(specs), dtypes


def _usual(exported: Any) -> dict[str, tuple[int, ...]]:  # noqa: ANN401 (an ExportedProgram)
    """The shapes that it was exported with, which its file may have lost."""
    given = _user_inputs(exported)
    examples = _pytree.tree_leaves(exported.example_inputs)
    if len(examples) != len(given):
        return {}
    pairs = zip(given, examples, strict=True)
    return {one.name: tuple(example.shape) for one, example in pairs if isinstance(example, torch.Tensor)}


def _outputs(exported: Any, names: Mapping[str, str]) -> tuple[TensorSpec, ...]:  # noqa: ANN401 (an ExportedProgram)
    """Raises UnservableError."""
    (node,) = (node for node in exported.graph.nodes if node.op == "output")
    # What the program changes comes first, then what its user gets.
    given = node.args[0][-len(exported.graph_signature.user_outputs) :]
    leaves = [one.meta["val"] if isinstance(one, torch.fx.Node) else one for one in given]
    structure = _pytree.tree_unflatten(leaves, exported.call_spec.out_spec)
    return tuple(_output(name, value, names) for name, value in named(structure).items())


def _output(name: str, value: Any, names: Mapping[str, str]) -> TensorSpec:  # noqa: ANN401 (a tensor or a number)
    if isinstance(value, torch.Tensor):
        return TensorSpec(name, dtype_name(value.dtype), _shape(value, names))
    if isinstance(value, bool | int | float):
        return TensorSpec(name, {bool: "bool", int: "int64", float: "float64"}[type(value)], ())
    raise UnservableError(f"a value of type {type(value).__name__}, where tensors and numbers were expected")


def _shape(value: Any, names: Mapping[str, str]) -> tuple[Dimension, ...]:  # noqa: ANN401 (a tensor)
    return tuple(size if isinstance(size, int) else names.get(str(size), str(size)) for size in value.shape)


def _state(exported: Any) -> str:  # noqa: ANN401 (an ExportedProgram)
    """What of its own it changes, in words; empty for nothing."""
    signature = exported.graph_signature
    own = {spec.arg.name: spec.target for spec in signature.input_specs if spec.kind in OWN}
    changed = {*signature.buffers_to_mutate.values(), *(own.get(root.name) for root in _changed_in_place(exported))}
    names = sorted(name for name in changed if name)
    return f"it changes {', '.join(names)}" if names else ""


def _changed_in_place(exported: Any) -> Iterator[Any]:  # noqa: ANN401 (of Nodes)
    """The nodes whose values are changed in place, be it through views of them."""
    for node in exported.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if node.op == "call_function" and schema is not None and schema.is_mutable:
            for argument, given in zip(schema.arguments, node.args, strict=False):
                if argument.is_write and isinstance(given, torch.fx.Node):
                    yield _root(given)


def _root(node: Any) -> Any:  # noqa: ANN401 (a Node)
    """The node whose memory this one's value is in."""
    while node.op == "call_function" and node.args and isinstance(node.args[0], torch.fx.Node):
        schema = getattr(node.target, "_schema", None)
        if schema is None or not schema.returns or schema.returns[0].alias_info is None:
            break
        node = node.args[0]
    return node


def _has_loop(exported: Any) -> bool:  # noqa: ANN401 (an ExportedProgram)
    return any(str(node.target).startswith(LOOPS) for node in exported.graph.nodes)
