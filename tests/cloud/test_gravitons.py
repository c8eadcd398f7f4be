"""Which processor is behind which instance type, and that the page says what the program plans there."""

import pytest

from harness.targets import ROOT
from serving.cloud.gravitons import gravitons, table
from serving.cloud.instances import architecture, endpoint_types
from serving.plans import make_plan

# The families that AWS gives endpoints on Graviton: the list was made by hand, against the rule's.
SEVEN = ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge")
EIGHT = ("medium", *SEVEN)
TEN = (*EIGHT, "24xlarge", "48xlarge")
FAMILIES: dict[str, tuple[str, ...]] = dict.fromkeys(
    ("c6g", "c6gd", "c6gn", "m6g", "m6gd", "r6g", "r6gd", "c7g"), SEVEN
)
FAMILIES |= {"r7gd": EIGHT, "c8g": TEN, "m8g": TEN, "r8g": TEN}
GRAVITONS = {f"ml.{family}.{size}" for family, sizes in FAMILIES.items() for size in sizes}
GRACES = {"ml.p6e-gb200.36xlarge"}


def test_every_endpoint_type_has_its_architecture() -> None:
    arm64 = {name for name in endpoint_types() if architecture(name) == "arm64"}
    assert arm64 == GRAVITONS | GRACES
    assert len(GRAVITONS) == 94


@pytest.mark.parametrize(
    "name", ["ml.g5.xlarge", "ml.g4dn.xlarge", "ml.c7i.large", "ml.p6-b200.48xlarge", "ml.t2.medium", "ml.inf2.xlarge"]
)
def test_what_merely_looks_like_one_is_none(name: str) -> None:
    assert architecture(name) == "amd64"


@pytest.mark.parametrize("name", ["ml.c9g.xlarge", "ml.g5g.xlarge", "ml.c7gn.16xlarge", "ml.x2gd.large"])
def test_gravitons_without_endpoints_yet_are_known_by_the_rule(name: str) -> None:
    assert architecture(name) == "arm64"


def test_each_has_its_cores_memory_and_processor() -> None:
    found = {f"{each.family}.{each.size}": each for each in gravitons(endpoint_types())}
    assert found.keys() == GRAVITONS
    for name, cores, memory, processor in (
        ("ml.c6gn.16xlarge", 64, 128, "Graviton2"),
        ("ml.c7g.xlarge", 4, 8, "Graviton3"),
        ("ml.r7gd.medium", 1, 8, "Graviton3"),
        ("ml.m8g.48xlarge", 192, 768, "Graviton4"),
    ):
        each = found[name]
        assert (each.cores, each.memory, each.processor.name) == (cores, memory, processor)


def test_the_table_follows_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "| `ml.c7g` | Graviton3 (Neoverse-V1) |" in table()
    assert "one thread a core, bf16 if the model stands it" in table()

    def with_one_thread(*given: object) -> object:
        planned = make_plan(*given)  # type: ignore[arg-type]
        return type("Plan", (), {"threads": 1, "bf16_on_trial": planned.bf16_on_trial})

    monkeypatch.setattr("serving.cloud.gravitons.make_plan", with_one_thread)
    assert "1 threads" in table()


def test_the_pages_table_is_the_programs_own() -> None:
    assert table() in (ROOT / "docs/deploying.md").read_text()


def test_the_readmes_table_has_every_family_with_its_cores_and_memory() -> None:
    found = gravitons(endpoint_types())
    readme = (ROOT / "README.md").read_text()
    for processor in sorted({each.processor.name for each in found}):
        (row,) = [line for line in readme.splitlines() if f"| {processor} (" in line]
        families, chip, cores, memory, _ = row.strip("| ").split(" | ")
        own = [each for each in found if each.processor.name == processor]
        assert families.split(", ") == sorted({each.family.removeprefix("ml.") for each in own})
        assert chip == f"{processor} ({own[0].processor.core})"
        assert cores == f"{min(each.cores for each in own)} to {max(each.cores for each in own)}"
        kinds = sorted({(each.family[len("ml.")], each.memory // each.cores) for each in own})
        assert memory == ", ".join(f"{kind} {size}" for kind, size in kinds)
