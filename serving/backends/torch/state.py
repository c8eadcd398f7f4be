"""Whether a TorchScript module keeps something between calls.

Two searches, and one of them is enough. Its graph is searched for what assigns to an attribute, or changes a list, a
dict or a tensor of an attribute's in place: that finds what happens only for some inputs. And when it is tried, its
tensors are looked at before and after: that finds what is changed through views and other roundabout ways. Batch
normalisation counts its batches, but in training alone.
"""

from collections.abc import Iterator
from typing import Any

# Written by scripted batch normalisation while it trains, which it does not here.
COUNTERS = frozenset({"num_batches_tracked"})
SET, GET = "prim::SetAttr", "prim::GetAttr"
# What changes a list or a dict in place.
CONTAINER_CHANGES = frozenset(
    f"aten::{name}"
    for name in (
        *("append", "insert", "pop", "clear", "extend", "remove", "reverse", "sort"),
        *("_set_item", "Delete", "popitem", "setdefault", "update"),
    )
)
LOOPS = frozenset({"prim::Loop"})


def kept_by(module: Any) -> str:  # noqa: ANN401 (a ScriptModule)
    """The attributes that its graph changes, in words; empty for none."""
    names = sorted({_attribute(node) for node in _nodes(module.inlined_graph) if _changes(node)} - {""})
    return f"it changes {', '.join(names)}" if names else ""


def has_loop(module: Any) -> bool:  # noqa: ANN401 (a ScriptModule)
    """Whether its graph has a loop."""
    return any(node.kind() in LOOPS for node in _nodes(module.inlined_graph))


class Watch:
    """A module's tensors, as they were when this was made."""

    def __init__(self, module: Any) -> None:  # noqa: ANN401 (a ScriptModule)
        self._module = module
        self._before = self._versions()

    def changed(self) -> str:
        """Those that have changed since, in words; empty for none."""
        now = self._versions()
        names = [name for name, version in now.items() if version != self._before.get(name)]
        return f"it changes {', '.join(names)}" if names else ""

    def _versions(self) -> dict[str, int]:
        # PyTorch counts what is done to a tensor in place.
        held = (*self._module.named_buffers(), *self._module.named_parameters())
        return {name: value._version for name, value in held}  # noqa: SLF001 (there is no other name for it)


def _nodes(block: Any) -> Iterator[Any]:  # noqa: ANN401 (a Graph or a Block)
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from _nodes(inner)


def _changes(node: Any) -> bool:  # noqa: ANN401 (a Node)
    kind = str(node.kind())
    in_place = kind.endswith("_") and not kind.endswith("__")
    return kind == SET or kind in CONTAINER_CHANGES or in_place


def _attribute(node: Any) -> str:  # noqa: ANN401 (a Node)
    """The name of the attribute that a node changes; empty where it is something else, or one that does not count."""
    if node.kind() != SET:
        first = next(iter(node.inputs()), None)
        node = None if first is None else first.node()
        if node is None or node.kind() != GET:
            return ""
    name = str(node.s("name"))
    return "" if name in COUNTERS else name
