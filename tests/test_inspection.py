"""`inspect` tells the machine, the plan and the model, for people and for machines."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from models import Recorder
from serving import inspection
from serving.budget import Budget
from serving.discovery import FoundModel
from serving.loader import Loaded, Warmed
from serving.plans import make_plan
from serving.preparation import Machine, Prepared
from serving.processor import Processor
from serving.settings import MODEL_DIR, Settings
from serving.signature import Signature
from serving.warmup import warm_up
from signatures import TWO_INPUTS, one_input

GRAVITON3 = Processor("aarch64", "Graviton3", "Neoverse-V1", 0xD40, frozenset({"bf16", "asimddp"}))
MACHINE = Machine(GRAVITON3, Budget(2, frozenset(range(4)), 4, 2.5, "cpu.max"))


def loaded(signature: Signature, max_rows: int = 4) -> Loaded:
    model = Recorder(lambda inputs: {"y": inputs[signature.inputs[0].name]}, signature)
    plan = make_plan("onnx", MACHINE.processor, MACHINE.budget, Settings(), {})
    prepared = Prepared(MACHINE, FoundModel("onnx", MODEL_DIR / "model.onnx"), plan)
    return Loaded(prepared, model, warm_up(model, max_rows))


ONE = loaded(one_input())


def test_the_machine_is_told_for_machines() -> None:
    assert inspection.machine_as_json(MACHINE) == {
        "processor": {
            "name": "Graviton3",
            "core": "Neoverse-V1",
            "architecture": "aarch64",
            "midr_part": "0xd40",
            "features": ["asimddp", "bf16"],
        },
        "budget": {"cores": 2, "quota": 2.5, "reason": MACHINE.budget.reason},
    }


def test_a_processor_without_a_part_number_has_none() -> None:
    machine = MACHINE._replace(processor=Processor("x86_64", "Intel Xeon"))
    processor = inspection.machine_as_json(machine)["processor"]
    assert isinstance(processor, dict)
    assert processor["midr_part"] is None
    assert processor["core"] is None


def test_everything_is_told_for_machines() -> None:
    document = json.loads(inspection.as_json(ONE))
    assert document["processor"]["name"] == "Graviton3"
    assert document["model"] == {"path": str(MODEL_DIR / "model.onnx"), **one_input().as_json} | {
        "inputs": [{"name": "x", "dtype": "float32", "shape": ["N", 3], "kind": "tensor"}],
        "outputs": [{"name": "y", "dtype": "float32", "shape": ["N", 3], "kind": "tensor"}],
    }
    assert document["batching"] == {
        "joins": True,
        "max_rows": 4,
        "reason": "rows run together give what they give alone",
        "warmed_rows": [1, 2, 4],
    }
    plan = document["plan"]
    assert (plan["framework"], plan["lanes"], plan["threads"], plan["bf16"]) == ("onnx", 1, 2, True)
    assert plan["environment"]["ORT_DISABLE_TELEMETRY"] == "1"
    assert [choice["name"] for choice in plan["choices"]][:2] == ["lanes", "threads"]
    assert all(choice["value"] and choice["reason"] for choice in plan["choices"])


def sections(text: str) -> Iterator[tuple[str, str]]:
    """Each line's label and text; lines below a label have an empty one."""
    for line in text.splitlines():
        assert line == line.rstrip()
        yield line[: inspection.LABEL_WIDTH].strip(), line[inspection.LABEL_WIDTH :]


def test_everything_is_told_for_people() -> None:
    text = inspection.as_text(ONE)
    told = dict(sections(text))
    assert told["processor"] == GRAVITON3.description
    assert told["budget"] == MACHINE.budget.reason
    assert told["model"] == f"{MODEL_DIR / 'model.onnx'} (onnx)"
    assert told["inputs"] == "x: float32 [N, 3]"
    assert told["outputs"] == "y: float32 [N, 3]"
    assert told["batching"] == "up to 4 rows: rows run together give what they give alone"
    for choice in ONE.prepared.plan.choices:
        assert any(f"{choice.name} = {choice.value}" in line and choice.reason in line for line in text.splitlines())


def test_what_else_is_served_is_told() -> None:
    signature = replace(one_input(), name="tripled")
    model = Recorder(lambda inputs: {"y": inputs["x"]}, signature)
    found = FoundModel("tensorflow", MODEL_DIR / "half/1", "half", 1)
    unversioned = found._replace(version=None)
    several = ONE._replace(others=tuple(Warmed(one, model, warm_up(model, 1)) for one in (found, unversioned)))
    (first, _) = json.loads(inspection.as_json(several))["others"]
    assert (first["name"], first["version"], first["signature"]) == ("half", 1, "tripled")
    assert first["inputs"][0]["name"] == "x"
    lines = list(sections(inspection.as_text(several)))
    assert ("also", "half, version 1, signature tripled") in lines
    assert ("also", "half, signature tripled") in lines


class Noted(Recorder):
    """A model of which there is something to know."""

    notes = ("made by another version",)


def test_what_is_to_know_of_a_model_is_told() -> None:
    noted = ONE._replace(model=Noted(lambda inputs: {"y": inputs["x"]}))
    assert json.loads(inspection.as_json(noted))["notes"] == ["made by another version"]
    assert ("note", "made by another version") in list(sections(inspection.as_text(noted)))
    assert json.loads(inspection.as_json(ONE))["notes"] == []


def test_kernels_are_audited_where_the_framework_tells_them() -> None:
    plan = make_plan("scikit-learn", MACHINE.processor, MACHINE.budget, Settings(), {})
    other = ONE._replace(prepared=ONE.prepared._replace(plan=plan))
    assert "`audit`" in inspection.as_text(ONE)
    assert "`audit`" not in inspection.as_text(other)


def test_several_inputs_have_a_line_each() -> None:
    lines = list(sections(inspection.as_text(loaded(TWO_INPUTS, 1))))
    place = lines.index(("inputs", "a: float32 [N, 3]"))
    assert lines[place + 1] == ("", "b: int64 [N, 2]")
    assert ("batching", "off: batching is off") in lines


@pytest.mark.parametrize("text", [inspection.machine_as_text(MACHINE), inspection.as_text(ONE)])
def test_the_machine_comes_first(text: str) -> None:
    assert [label for label, _ in sections(text)][:2] == ["processor", "budget"]
