"""The Graviton instance types that endpoints may have, and what the plan does on each, as a table."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from serving.budget import Budget
from serving.cloud.instances import GRAVITON, endpoint_types
from serving.plans import make_plan
from serving.processor import AARCH64, NEOVERSE, Processor
from serving.settings import from_environment

# The part number of the core in the instances of a generation: see serving/processor.py.
PARTS = {6: 0xD0C, 7: 0xD40, 8: 0xD4F, 9: 0xD84}
# The first generation whose cores have BFMMLA, Neoverse-V1's.
FIRST_WITH_BF16 = 7
# GiB of memory a vCPU: compute, general and memory optimised.
MEMORY = {"c": 2, "m": 4, "r": 8}
# A vCPU of a Graviton is a core. Sizes beyond xlarge count xlarges, of four each.
VCPUS = {"medium": 1, "large": 2, "xlarge": 4}
HEADER = ("| instances | processor | sizes, with their cores | memory | what the plan does |", "|---|---|---|---|---|")


@dataclass(frozen=True, slots=True)
class Graviton:
    """An instance type: its family (`ml.c7g`), size, cores, memory in GiB and processor."""

    family: str
    size: str
    cores: int
    memory: int
    processor: Processor


def gravitons(types: Iterable[str]) -> list[Graviton]:
    """Those of the types that are Gravitons of a known size, by family, the smallest first."""
    found = [graviton for name in types if (graviton := _graviton(name))]
    return sorted(found, key=lambda graviton: (graviton.family, graviton.cores))


def _graviton(name: str) -> Graviton | None:
    match = GRAVITON.fullmatch(name)
    if not match or match["family"] not in MEMORY:
        return None
    generation = int(match["generation"])
    part = PARTS[generation]
    chip, core = NEOVERSE[part]
    features = frozenset({"bf16"}) if generation >= FIRST_WITH_BF16 else frozenset[str]()
    size = match["size"]
    cores = VCPUS[size] if size in VCPUS else int(size.removesuffix("xlarge")) * VCPUS["xlarge"]
    family = name.removesuffix(f".{size}")
    memory = cores * MEMORY[match["family"]]
    return Graviton(family, size, cores, memory, Processor(AARCH64, chip, core, part, features))


def table() -> str:
    """The families as a Markdown table; those that differ in disks and networks alone share a row."""
    rows: dict[tuple[str, str, str, str], list[str]] = {}
    for family, members in groupby(gravitons(endpoint_types()), key=lambda graviton: graviton.family):
        sizes = list(members)
        processor = sizes[0].processor
        listed = ", ".join(f"{each.size} {each.cores}" for each in sizes)
        memory = f"{sizes[0].memory // sizes[0].cores} GiB a core"
        plans = "; ".join(dict.fromkeys(_planned(each) for each in sizes))
        rows.setdefault((f"{processor.name} ({processor.core})", listed, memory, plans), []).append(f"`{family}`")
    return "\n".join((*HEADER, *(f"| {', '.join(names)} | {' | '.join(cells)} |" for cells, names in rows.items())))


def _planned(graviton: Graviton) -> str:
    budget = Budget(graviton.cores, frozenset(range(graviton.cores)), graviton.cores)
    plan = make_plan("onnx", graviton.processor, budget, from_environment({}), {})
    threads = "one thread a core" if plan.threads == graviton.cores else f"{plan.threads} threads"
    bf16 = "bf16 if the model stands it" if plan.bf16_on_trial else "float32"
    return f"{threads}, {bf16}"
