"""Reading what oneDNN prints with ONEDNN_VERBOSE=1: one line for each primitive that it ran.

    onednn_verbose,v1,primitive,exec,cpu,convolution,gemm:acl,forward_training,src:f32::… wei:bf16::…,…,0.17

Which field means what is told by a line that comes first, the template; it is followed where there is one.
Over the versions the prefix and the fields before `exec` changed (1.x `dnnl_verbose,exec`, 2.x
`onednn_verbose,exec`, 3.x `onednn_verbose,v1,primitive,exec`, each with a time stamp where the user asked
for it), the fields after it did not. Lines are what a foreign program prints: nothing here raises.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

PREFIXES = ("onednn_verbose", "dnnl_verbose")
TEMPLATE = re.compile(r"(?:prim_)?template:(?=(?:timestamp,)?operation\b)")
EXECUTION = "exec"
# The graph API reports each of its partitions, whose primitives are reported as well.
GRAPH = "graph"
# The fields from `exec` on, of every version since 1.0, for output whose template line is missing.
FIELDS = (
    "operation",
    "engine",
    "primitive",
    "implementation",
    "prop_kind",
    "memory_descriptors",
    "attributes",
    "auxiliary",
    "problem_desc",
    "exec_time",
)
# `wei_f32::blocked:…` until 3.4, `wei:f32::blocked:…` since.
WEIGHTS = re.compile(r"(?:^|\s)wei[:_](\w+?):")
FPMATH = re.compile(r"(?:^|\s)attr-fpmath:(\w+)")
# Groups and input channels of a convolution's problem: `g16mb2_ic16oc16_ih30…`.
GROUPS = re.compile(r"^g(\d+)mb\d+_?ic(\d+)oc")


@dataclass(frozen=True, slots=True)
class Execution:
    """One primitive that ran.

    `weights` is oneDNN's name for the dtype of its weights (f32, bf16, s8), empty for a primitive without;
    `fpmath` is the arithmetic that its attributes allow for float32, empty where they do not mention it.
    """

    primitive: str
    implementation: str
    weights: str
    fpmath: str
    depthwise: bool
    milliseconds: float


def parse(lines: Iterable[str]) -> Iterator[Execution]:
    """The primitives that ran, in order; every other line is passed over."""
    names: Sequence[str] = FIELDS
    for line in lines:
        fields = line.strip().split(",")
        if fields[0] not in PREFIXES or GRAPH in fields[1:4]:
            continue
        names = _template(line) or names
        execution = _execution(fields, names)
        if execution:
            yield execution


def is_template(line: str) -> bool:
    """Whether the line tells the order of the fields; it is printed once, before the first primitive."""
    return line.startswith(PREFIXES) and TEMPLATE.search(line) is not None


def _template(line: str) -> list[str]:
    """The names of the fields from `operation` on; empty for a line that is no template."""
    match = TEMPLATE.search(line)
    if match is None:
        return []
    names = [name.strip() for name in line[match.end() :].split(",")]
    return names[names.index("operation") :]


def _execution(fields: Sequence[str], names: Sequence[str]) -> Execution | None:
    if EXECUTION not in fields:
        return None
    found = fields[fields.index(EXECUTION) :]
    if len(found) != len(names):
        return None
    values = dict(zip(names, found, strict=True))
    milliseconds = _number(values.get("exec_time", ""))
    if not values.get("primitive") or milliseconds is None:
        return None
    return _from_values(values, milliseconds)


def _from_values(values: Mapping[str, str], milliseconds: float) -> Execution:
    weights = WEIGHTS.search(values.get("memory_descriptors", ""))
    fpmath = FPMATH.search(values.get("attributes", ""))
    groups = GROUPS.match(values.get("problem_desc", ""))
    return Execution(
        primitive=values["primitive"],
        implementation=values.get("implementation", ""),
        weights=weights[1] if weights else "",
        fpmath=fpmath[1] if fpmath else "",
        depthwise=groups is not None and groups[1] == groups[2] != "1",
        milliseconds=milliseconds,
    )


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
