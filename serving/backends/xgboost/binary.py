"""XGBoost's binary format, which its versions up to 3.0 wrote and from 3.1 on none reads, as today's JSON.

It is what AWS's containers up to version 2 of XGBoost left as `xgboost-model`. The layout is that of the C++
structures (XGBoost 1.7: src/learner.cc, src/gbm/gbtree_model.h, include/xgboost/tree_model.h), little-endian:

    learner parameters  136 bytes; before them perhaps the word "binf"
    objective, booster  strings: a length of 8 bytes, then the bytes
    trees or weights    as below
    attributes          pairs of strings, where the parameters say that there are some

Metrics follow, which nothing here needs.
"""

import math
from collections.abc import Callable, Mapping
from struct import Struct, error
from typing import Any

import numpy as np
import numpy.typing as npt

MAGIC = b"binf"
# base_score, num_feature, num_class, contain_extra_attrs, contain_eval_metrics, version's two numbers, num_target
LEARNER = Struct("<fIiiiIII104x")
# num_trees, num_parallel_tree (num_roots once), num_feature, padding, num_pbuffer, output groups, size of leaf vectors
TREES = Struct("<iiiiqii128x")
# num_roots, num_nodes, num_deleted, max_depth, num_feature, size of leaf vectors
TREE = Struct("<iiiiii124x")
LINEAR = Struct("<ii128x")
SIZE = Struct("<Q")
NODES = np.dtype([("parent", "<i4"), ("left", "<i4"), ("right", "<i4"), ("split", "<u4"), ("value", "<f4")])
STATISTICS = np.dtype([("gain", "<f4"), ("hessian", "<f4"), ("weight", "<f4"), ("leaves", "<i4")])
# A node's parent has in its highest bit whether the node is the left child, its split whether absent values go left.
HIGHEST = 1 << 31
NO_PARENT = 2**31 - 1
# Before version 1.0 the base score was kept as the margin that it makes, by the inverse of the objective's link.
LINKS: Mapping[str, Callable[[float], float]] = {
    "binary:logistic": lambda margin: 1 / (1 + math.exp(-margin)),
    "reg:logistic": lambda margin: 1 / (1 + math.exp(-margin)),
    "count:poisson": math.exp,
    "reg:gamma": math.exp,
    "reg:tweedie": math.exp,
    "survival:cox": math.exp,
}
# Only such names are to be met: anything else means that this is no model.
BOOSTERS = ("gbtree", "dart", "gblinear")
LONGEST_NAME = 64


class NoModelError(Exception):
    """The bytes are not in this format."""


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._place = len(MAGIC) if content.startswith(MAGIC) else 0

    def struct(self, layout: Struct) -> tuple[Any, ...]:
        values = layout.unpack_from(self._content, self._place)
        self._place += layout.size
        return values

    def text(self) -> str:
        return self._take(self.struct(SIZE)[0]).decode()

    def array(self, dtype: npt.DTypeLike, count: int) -> npt.NDArray[Any]:
        kind = np.dtype(dtype)
        return np.frombuffer(self._take(count * kind.itemsize), kind)

    def vector(self, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        return self.array(dtype, self.struct(SIZE)[0])

    def _take(self, count: int) -> bytes:
        taken = self._content[self._place : self._place + count]
        if count < 0 or len(taken) != count:
            raise NoModelError("it ends in the middle")
        self._place += count
        return taken


def as_json(content: bytes, objective_of: Callable[[str, int], Mapping[str, Any]]) -> dict[str, Any]:
    """The model as the document that XGBoost reads as JSON.

    Args:
        content: the file.
        objective_of: an objective's part of the document, by its name and the number of classes.

    Raises:
        NoModelError: it is no such file, or is cut off.
    """
    reader = _Reader(content)
    try:
        return _document(reader, objective_of)
    except (error, UnicodeDecodeError, OverflowError, ValueError) as cause:
        raise NoModelError(str(cause)) from cause


def _document(reader: _Reader, objective_of: Callable[[str, int], Mapping[str, Any]]) -> dict[str, Any]:
    base_score, features, classes, has_attributes, _metrics, major, minor, targets = reader.struct(LEARNER)
    objective, booster = reader.text(), reader.text()
    if booster not in BOOSTERS or not 0 < len(objective) < LONGEST_NAME:
        raise NoModelError(f"it names {booster[:LONGEST_NAME]!r} for its booster")
    if major < 1:
        base_score = LINKS.get(objective, float)(base_score)
    learner = {
        "gradient_booster": _gradient_booster(reader, booster),
        "attributes": _attributes(reader) if has_attributes else {},
        "feature_names": [],
        "feature_types": [],
        "learner_model_param": {
            "base_score": repr(float(base_score)),
            "boost_from_average": "1",
            "num_class": str(classes),
            "num_feature": str(features),
            "num_target": str(max(1, targets)),
        },
        "objective": dict(objective_of(objective, classes)),
    }
    return {"learner": learner, "version": [max(1, major), minor, 0]}


def _gradient_booster(reader: _Reader, name: str) -> dict[str, Any]:
    if name == "gblinear":
        reader.struct(LINEAR)
        return {"name": name, "model": {"weights": reader.vector("<f4").tolist()}}
    trees = {"name": "gbtree", "model": _trees(reader)}
    if name == "gbtree":
        return trees
    return {"name": name, "gbtree": trees, "weight_drop": reader.vector("<f4").tolist()}


def _trees(reader: _Reader) -> dict[str, Any]:
    count, parallel, _features, _pad, _buffer, _groups, leaf_vector = reader.struct(TREES)
    if leaf_vector > 1:
        raise NoModelError("its leaves hold vectors")
    trees = [_tree(reader, number) for number in range(count)]
    return {
        # 0 stood for 1 while this was the number of roots.
        "gbtree_model_param": {"num_trees": str(count), "num_parallel_tree": str(max(1, parallel))},
        "trees": trees,
        "tree_info": reader.array("<i4", count).tolist(),
    }


def _tree(reader: _Reader, number: int) -> dict[str, Any]:
    _roots, count, deleted, _depth, features, _leaf_vector = reader.struct(TREE)
    nodes = reader.array(NODES, count)
    statistics = reader.array(STATISTICS, count)
    parents = np.where(nodes["parent"] == -1, NO_PARENT, nodes["parent"] & NO_PARENT)
    return {
        "id": number,
        "tree_param": {
            "num_nodes": str(count),
            "num_deleted": str(deleted),
            "num_feature": str(features),
            "size_leaf_vector": "0",
        },
        "parents": parents.tolist(),
        "left_children": nodes["left"].tolist(),
        "right_children": nodes["right"].tolist(),
        "split_indices": (nodes["split"] & ~np.uint32(HIGHEST)).tolist(),
        "default_left": (nodes["split"] >> 31).tolist(),
        "split_conditions": nodes["value"].tolist(),
        "split_type": [0] * count,
        "loss_changes": statistics["gain"].tolist(),
        "sum_hessian": statistics["hessian"].tolist(),
        "base_weights": statistics["weight"].tolist(),
        "categories": [],
        "categories_nodes": [],
        "categories_segments": [],
        "categories_sizes": [],
    }


def _attributes(reader: _Reader) -> dict[str, str]:
    (count,) = reader.struct(SIZE)
    return {reader.text(): reader.text() for _ in range(count)}
