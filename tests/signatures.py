"""Signatures for tests, in few words."""

from serving.signature import Dimension, Kind, Signature, TensorSpec


def spec(name: str = "x", dtype: str = "float32", shape: tuple[Dimension, ...] = ("N", 3)) -> TensorSpec:
    """A tensor."""
    return TensorSpec(name, dtype, shape)


def taking(*inputs: TensorSpec) -> Signature:
    """A model with these inputs and one output like its first input."""
    return Signature(inputs, (TensorSpec("y", inputs[0].dtype, inputs[0].shape),))


def one_input(dtype: str = "float32", shape: tuple[Dimension, ...] = ("N", 3)) -> Signature:
    """A model of the one input `x`, and the output `y` like it."""
    return taking(spec("x", dtype, shape))


def giving(*outputs: TensorSpec) -> Signature:
    """A model with these outputs and the input `x`, float32 [N, 3]."""
    return Signature((spec(),), outputs)


def sequence(name: str = "maps", kind: Kind = "maps") -> TensorSpec:
    """An output that is no tensor."""
    return TensorSpec(name, "seq(map(int64,tensor(float)))", (), kind)


TWO_INPUTS = taking(spec("a", "float32", ("N", 3)), spec("b", "int64", ("N", 2)))
