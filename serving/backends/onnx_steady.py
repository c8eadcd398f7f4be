"""Whether the time of an ONNX model's run follows from the shapes of its inputs, whatever their values.

Only then may a run that has been short be expected to be short again. A loop may be told its number of turns
by an input, and a Range or an Expand its size; a text may be of any length. What is made of nothing but shapes
and constants tells no values: an Expand to another tensor's shape is as steady as that.
"""

from collections.abc import Mapping
from pathlib import Path

from serving.backends.onnx_nodes import Graph, Node, NotOnnxError, read

# Operators whose work values may decide without a bound in the shapes, and by which of their inputs.
SIZED: Mapping[str, tuple[int, ...]] = {
    "BlackmanWindow": (0,),
    "CenterCropPad": (1,),
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "HammingWindow": (0,),
    "HannWindow": (0,),
    "MaxUnpool": (2,),
    "OneHot": (1,),
    "Pad": (1,),
    "Range": (0, 1, 2),
    "Resize": (2, 3),
    "Tile": (1,),
    "Upsample": (1,),
}
# Operators that by themselves run on until a value says otherwise, give as much as they find, or work on texts.
UNSTEADY = frozenset(
    {
        *("If", "Loop", "Scan", "NonZero", "NonMaxSuppression", "Compress", "Unique", "Col2Im", "DFT", "STFT"),
        *("MelWeightMatrix", "SplitToSequence", "TfIdfVectorizer", "Tokenizer", "Attention", "Sampling"),
        *("BeamSearch", "GreedySearch", "WhisperBeamSearch"),
    }
)
UNSTEADY_BEGINNINGS = ("Sequence", "Optional", "String", "Regex", "ConcatFromSequence")
# What tells of a tensor nothing but its shape.
SHAPES = frozenset({"Shape", "Size"})


def is_steady(path: Path) -> bool:
    """Whether nothing in the file speaks against it."""
    try:
        return _is_steady(read(path))
    except (NotOnnxError, ValueError):
        return False  # an empty file, or one that ONNX Runtime reads by other rules


def _is_steady(graph: Graph) -> bool:
    if graph.has_functions:
        return False
    # Tensors whose values the caller has a say in.
    told = set(graph.inputs)
    for node in graph.nodes:
        if _may_run_on(node, told):
            return False
        if node.operator not in SHAPES and not told.isdisjoint(node.inputs):
            told.update(node.outputs)
    return True


def _may_run_on(node: Node, told: set[str]) -> bool:
    if node.operator in UNSTEADY or node.operator.startswith(UNSTEADY_BEGINNINGS):
        return True
    return any(place < len(node.inputs) and node.inputs[place] in told for place in SIZED.get(node.operator, ()))
