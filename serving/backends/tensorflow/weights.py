"""Whether a model's weights are frozen: the same in every run of one kernel.

`TF_ONEDNN_ASSUME_FROZEN_WEIGHTS=1` puts convolutions on ACL and spares a reordering of the weights at each
run, but then a kernel keeps the weights of its first run for ever. Where "weights" are computed from the
request (a dynamic filter, the product of two activations) every later answer is wrong, silently: relative
error about 1 on TensorFlow 2.21 for Conv2D, Conv3D, DepthwiseConv2dNative, and MatMul fused with a bias,
while BatchMatMul, Einsum and the transposed convolution are right (tests/test_tensorflow_backend.py). So
the graph is searched for such weights, and where it has some the flag is taken back before anything runs.

The search follows what varies (what a request fills, random numbers, the values that a loop carries) forward
through the graph and into its functions. In doubt it says "varies", which costs speed, never correctness.
"""

import logging
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serving.errors import ModelLoadError
from serving.plans.tensorflow import FROZEN_WEIGHTS as FLAG

log = logging.getLogger(__name__)

# Operations whose oneDNN kernels keep their second input; those with an underscore are in graphs that were
# optimised before they were saved.
KEEPERS = frozenset({"Conv2D", "Conv3D", "DepthwiseConv2dNative", "MatMul"})
KEEPERS |= {"_FusedConv2D", "_FusedConv3D", "_FusedDepthwiseConv2dNative", "_FusedMatMul"}
WEIGHTS = 1
# Values that differ from run to run by themselves; NextIteration is how loops of TensorFlow 1 go round.
RESTLESS = ("Random", "StatelessRandom", "TruncatedNormal", "NextIteration", "ParameterizedTruncatedNormal")
ASSIGNMENTS = ("Assign", "ResourceScatter", "ResourceApply", "Scatter")
READ_ONLY_SCATTERS = frozenset({"ScatterNd"})
LOOPS = frozenset({"While", "StatelessWhile"})


@dataclass(slots=True)
class Flag:
    """The flag in this process: TensorFlow reads it once, when the first kernel is made."""

    _kept: bool = field(default=False)

    def settle(self, path: Path, changing: Sequence[str]) -> None:
        """Take the flag back if weights change, before this model first runs.

        Raises:
            ModelLoadError: it is too late, as another model of this process may have run with it.
        """
        if os.environ.get(FLAG, "0") != "1":
            return
        if not changing:
            self._kept = True
            return
        named = ", ".join(changing[:3])
        if self._kept:
            raise ModelLoadError(
                f"{path} computes weights while it runs ({named}), and another model of this process runs with "
                f"{FLAG}=1, with which such weights go wrong. Serve it alone, or set {FLAG}=0."
            )
        os.environ[FLAG] = "0"
        log.warning("%s=0: the model computes weights while it runs (%s), which kernels must not keep", FLAG, named)


FLAG_OF_PROCESS = Flag()


def changing_weights(graph: Any, feeds: Iterable[str]) -> list[str]:  # noqa: ANN401 (a GraphDef)
    """The operations of a graph whose weights may change from run to run; `feeds` are filled by requests."""
    search = _Search({function.signature.name: function for function in graph.library.function})
    search.graph(graph.node, feeds)
    return sorted(search.found)


class _Search:
    def __init__(self, library: Mapping[str, Any]) -> None:
        self.found: set[str] = set()
        self._library = library
        self._seen: set[tuple[str, frozenset[str]]] = set()

    def graph(self, nodes: Sequence[Any], varying: Iterable[str]) -> None:
        by_name = {node.name: node for node in nodes}
        reached = _reached(nodes, {*varying, *(node.name for node in nodes if node.op.startswith(RESTLESS))})
        for node in by_name.values():
            inputs = _sources(node)
            assigns = node.op.startswith(ASSIGNMENTS) and node.op not in READ_ONLY_SCATTERS
            if assigns or (node.op in KEEPERS and inputs[WEIGHTS] in reached):
                self.found.add(f"{node.op} {node.name}")
            for name in _functions(node, self._library):
                self._function(name, [source in reached for source in inputs], loops=node.op in LOOPS)

    def _function(self, name: str, varies: list[bool], *, loops: bool) -> None:
        function = self._library[name]
        arguments = [argument.name for argument in function.signature.input_arg]
        # Conditionals take the condition first, everything else the arguments alone: they align at the end.
        surplus = len(varies) - len(arguments)
        aligned = varies[surplus:] if surplus >= 0 else [any(varies)] * len(arguments)
        varying = {argument for argument, one in zip(arguments, aligned, strict=True) if one}
        if loops:
            varying |= _carried(function, arguments)
        key = (name, frozenset(varying))
        if key not in self._seen:
            self._seen.add(key)
            self.graph(function.node_def, varying)


def _reached(nodes: Sequence[Any], start: Iterable[str]) -> set[str]:
    """The names of all nodes that depend on those of `start`, which are included."""
    consumers = defaultdict(list)
    for node in nodes:
        for source in _sources(node):
            consumers[source].append(node.name)
    reached, waiting = set(), list(start)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += consumers[name]
    return reached


def _sources(node: Any) -> list[str]:  # noqa: ANN401 (a NodeDef)
    """The nodes (or function arguments) that a node's inputs come from: `name`, `name:0`, `name:out:0`."""
    return [source.partition(":")[0] for source in node.input if not source.startswith("^")]


def _functions(node: Any, library: Mapping[str, Any]) -> Iterator[str]:  # noqa: ANN401 (a NodeDef)
    """The functions that a node calls."""
    named = [node.op]
    for value in node.attr.values():
        named += [value.func.name, *(function.name for function in value.list.func)]
    return (name for name in named if name in library)


def _carried(function: Any, arguments: Sequence[str]) -> set[str]:  # noqa: ANN401 (a FunctionDef)
    """The arguments of a loop's body that are not handed on unchanged to its next round."""
    identities = {node.name: node for node in function.node_def if node.op == "Identity"}
    carried = set()
    for argument, result in zip(arguments, function.signature.output_arg, strict=False):
        source = function.ret[result.name].partition(":")[0]
        while source in identities:
            source = _sources(identities[source])[0]
        if source != argument:
            carried.add(argument)
    return carried
