"""TorchScript modules and exported programs: what they take, what they give, what they keep."""

import warnings
from itertools import chain
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch

from assets import torch_modules as modules
from serving import backends
from serving.backends import Model, notes_of, state_of
from serving.budget import Budget
from serving.contents import TorchContent, torch_content
from serving.discovery import FoundModel, find_model
from serving.errors import ModelLoadError, ModelRejectedInputError
from serving.plans import make_plan
from serving.processor import Processor
from serving.settings import Settings
from serving.signature import Array
from serving.warmup import warm_up

PLAN = make_plan("pytorch", Processor("x86_64", "any"), Budget(1, frozenset({0}), 1), Settings(), {})
X = np.random.default_rng(1).standard_normal((3, 4)).astype(np.float32)
BATCH = torch.export.Dim("rows")

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")


def traced(path: Path, module: torch.nn.Module, *example: torch.Tensor) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(module.eval(), example, strict=False).save(path)
    return path


def scripted(path: Path, module: torch.nn.Module) -> Path:
    torch.jit.script(module.eval()).save(path)
    return path


def exported(path: Path, module: torch.nn.Module, *example: torch.Tensor, free: Any = ()) -> Path:  # noqa: ANN401
    torch.export.save(torch.export.export(module.eval(), example, dynamic_shapes=free or None), path)
    return path


def loaded(path: Path) -> Model:
    return backends.load("pytorch", path, PLAN)


def shapes(model: Model) -> tuple[dict[str, str], dict[str, str]]:
    signature = model.signature
    return {s.name: s.described for s in signature.inputs}, {s.name: s.described for s in signature.outputs}


def called(module: torch.nn.Module, *arrays: Array) -> Any:  # noqa: ANN401 (whatever it gives)
    with torch.inference_mode():
        return module.eval()(*map(torch.from_numpy, arrays))


def equal(got: object, wanted: torch.Tensor) -> None:
    assert isinstance(got, np.ndarray)
    np.testing.assert_array_equal(got, wanted.numpy())
    assert got.dtype == wanted.numpy().dtype


@pytest.mark.parametrize("name", ["model.pt", "net.v1.2.pth", "my model.pt", "model.tar.pth"])
def test_a_traced_module_answers_as_in_process(tmp_path: Path, name: str) -> None:
    module = modules.Normalised()
    path = traced(tmp_path / name, module, torch.zeros(2, 4))
    assert find_model(tmp_path) == FoundModel("pytorch", path)
    model = loaded(path)
    assert shapes(model) == ({"x": "float32 [batch, 4]"}, {"output": "float32 [batch, 2]"})
    equal(model.run({"x": X})["output"], called(module, X))
    assert model.is_steady
    assert model.alternatives == {}
    assert warm_up(model, 4).joins
    assert state_of(model) == ""
    assert notes_of(model) == ()


def test_an_exported_program_answers_as_in_process(tmp_path: Path) -> None:
    module = modules.Named()
    free = {"x": {0: BATCH}, "y": {0: BATCH}}
    path = exported(tmp_path / "model.pt2", module, torch.zeros(2, 4), torch.zeros(2, 4), free=free)
    assert find_model(tmp_path) == FoundModel("pytorch", path)
    model = loaded(path)
    inputs, outputs = shapes(model)
    assert inputs == {"x": "float32 [batch, 4]", "y": "float32 [batch, 4]"}
    assert outputs == {"sum": "float32 [batch, 4]", "half": "float32 [batch, 4]"}
    given, expected = model.run({"x": X, "y": X}), called(module, X, X)
    equal(given["sum"], expected["sum"])
    equal(given["half"], expected["half"].float())
    assert warm_up(model, 4).joins
    assert model.is_steady


@pytest.mark.parametrize(
    ("module", "inputs", "outputs"),
    [
        (modules.Normalised(), {"x": "float32 [batch, 4]"}, {"output": "float32 [batch, 2]"}),
        (modules.Pictures(), {"x": "float32 [batch, 3, 28, 28]"}, {"output": "float32 [batch, 10]"}),
        (modules.Sequences(), {"x": "float32 [batch, x.1, 5]"}, {"output": "float32 [batch, x.1, 7]"}),
        (
            modules.Tokens(),
            {"input_ids": "int64 [batch, input_ids.1]", "attention_mask": "int64 [batch, input_ids.1]"},
            {"output": "float32 [batch, 3]"},
        ),
        (modules.Fields(), {"x": "float32 [batch, 4]"}, {"sum": "float32 [batch]", "largest": "int64 [batch]"}),
        (
            modules.Nested(),
            {"x": "float32 [batch, 4]"},
            {f"output_{name}": "float32 [batch, 4]" for name in ("0", "1_0", "1_1")},
        ),
        (modules.Normalised().double(), {"x": "float64 [batch, 4]"}, {"output": "float64 [batch, 2]"}),
    ],
)
def test_the_first_layer_tells_what_a_scripted_module_takes(
    tmp_path: Path, module: torch.nn.Module, inputs: dict[str, str], outputs: dict[str, str]
) -> None:
    model = loaded(scripted(tmp_path / "model.pt", module))
    assert shapes(model) == (inputs, outputs)
    assert warm_up(model, 2).joins


def test_a_trace_tells_what_no_layer_could(tmp_path: Path) -> None:
    example = torch.zeros(2, 5, 3, dtype=torch.int32)
    model = loaded(traced(tmp_path / "model.pt", modules.Parameterless(), example))
    assert shapes(model)[0] == {"x": "int32 [batch, x.1, x.2]"}
    assert model.signature.inputs[0].usual == (1, 5, 3)


def test_golden_npz_tells_it_best(tmp_path: Path) -> None:
    path = scripted(tmp_path / "model.pt", modules.Parameterless())
    np.savez(tmp_path / "golden.npz", x=np.zeros((2, 6), np.int64))
    assert shapes(loaded(path)) == ({"x": "int64 [batch, x.1]"}, {"output": "int64 [batch, x.1]"})


def test_what_cannot_be_told_is_taken_in_any_shape(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = loaded(scripted(tmp_path / "model.pt", modules.Parameterless()))
    assert "golden.npz" in caplog.text
    assert shapes(model) == ({"x": "float32 of any shape"}, {"output": "float32 of any shape"})
    for given in (X, X[0], X.reshape(1, 3, 2, 2)):
        equal(model.run({"x": given})["output"], torch.from_numpy(given) * 2)
    assert not warm_up(model, 4).joins


STATEFUL = [(modules.Counter(), "calls"), (modules.Remembering(), "calls"), (modules.Listing(), "seen")]


@pytest.mark.parametrize(("module", "attribute"), STATEFUL)
def test_a_module_that_keeps_something_is_neither_warmed_up_nor_joined(
    tmp_path: Path, module: torch.nn.Module, attribute: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = scripted(tmp_path / "model.pt", module)
    model = loaded(path)
    assert f"it changes {attribute}" in state_of(model)
    assert "run one at a time" in caplog.text
    assert "run one at a time" in notes_of(model)[0]
    warmed = warm_up(model, 8)
    assert not warmed.joins
    assert warmed.rows == ()
    assert attribute in warmed.reason
    assert not model.is_steady


def counted(model: Model, calls: int) -> list[float]:
    zeros = np.zeros((1, 4), np.float32)
    found = []
    for _ in range(calls):
        output = model.run({"x": zeros})["output"]
        assert isinstance(output, np.ndarray)
        found.append(float(output[0, 0]))
    return found


@pytest.mark.parametrize("kind", ["scripted", "traced", "exported"])
def test_the_first_call_finds_it_as_it_was_saved_and_none_is_lost(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("model.pt2" if kind == "exported" else "model.pt")
    if kind == "scripted":
        scripted(path, modules.Counter())
    elif kind == "traced":
        with torch.no_grad():
            torch.jit.trace(modules.Counter().eval(), torch.zeros(1, 4), check_trace=False).save(path)
    else:
        exported(path, modules.Counter(), torch.zeros(1, 4))
    model = loaded(path)
    warm_up(model, 8)
    start = 1 if kind == "traced" else 0  # tracing is a call
    assert counted(model, 3) == [start + 1, start + 2, start + 3]
    results: list[list[float]] = [[] for _ in range(4)]

    def work(place: int) -> None:
        results[place] = counted(model, 25)

    threads = [Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(chain.from_iterable(results)) == [start + 3.0 + call for call in range(1, 101)]


def test_a_module_that_mixes_its_rows_is_not_joined(tmp_path: Path) -> None:
    model = loaded(scripted(tmp_path / "model.pt", modules.Centred()))
    assert not warm_up(model, 4).joins


def test_values_it_cannot_run_on_are_the_callers_fault(tmp_path: Path) -> None:
    model = loaded(scripted(tmp_path / "model.pt", modules.Tokens()))
    with pytest.raises(ModelRejectedInputError):
        model.run({"input_ids": np.array([[99]]), "attention_mask": np.array([[1]])})


def test_a_size_outside_the_programs_range_is_the_callers_fault(tmp_path: Path) -> None:
    free = {"x": {0: torch.export.Dim("rows", min=1, max=2)}}
    model = loaded(exported(tmp_path / "model.pt2", modules.Normalised(), torch.zeros(2, 4), free=free))
    model.run({"x": X[:2]})
    with pytest.raises(ModelRejectedInputError):
        model.run({"x": X})


def test_a_request_is_not_changed_by_a_module_that_works_in_place(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    traced(path, torch.nn.Sequential(torch.nn.ReLU(inplace=True), torch.nn.Linear(4, 2)), torch.zeros(2, 4))
    given = -X
    given.flags.writeable = False  # as what came in a body is
    model = loaded(path)
    name = model.signature.input_names[0]
    model.run({name: given})
    np.testing.assert_array_equal(given, -X)


def saved(path: Path, content: object, *, new: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=new)
    return path


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (modules.Normalised().state_dict(), TorchContent.WEIGHTS),
        ({"epoch": 3, "model": modules.Normalised().state_dict()}, TorchContent.WEIGHTS),
        ([torch.zeros(2)], TorchContent.WEIGHTS),
        (modules.Normalised(), TorchContent.MODULE),
        (torch.nn.Sequential(torch.nn.Linear(2, 2)), TorchContent.MODULE),
    ],
)
def test_what_is_no_program_is_told_apart_and_refused(
    tmp_path: Path, content: object, kind: TorchContent, *, new: bool
) -> None:
    path = saved(tmp_path / "model.pth", content, new=new)
    assert torch_content(path) is kind
    with pytest.raises(ModelLoadError, match=r"model\.pth holds .*torch\.export.*model_fn"):
        find_model(tmp_path)


def test_a_file_that_is_cut_off_is_told(tmp_path: Path) -> None:
    path = scripted(tmp_path / "model.pt", modules.Normalised())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelLoadError, match="cut off"):
        find_model(tmp_path)


def test_of_several_programs_model_pt_counts_as_in_awss_container(tmp_path: Path) -> None:
    scripted(tmp_path / "other.pt", modules.Normalised())
    saved(tmp_path / "weights.pth", modules.Normalised().state_dict())
    assert find_model(tmp_path).path.name == "other.pt"
    scripted(tmp_path / "third.pth", modules.Normalised())
    with pytest.raises(ModelLoadError, match="Several models"):
        find_model(tmp_path)
    scripted(tmp_path / "model.pt", modules.Normalised())
    assert find_model(tmp_path).path.name == "model.pt"


@pytest.mark.parametrize(
    ("module", "message"), [(modules.Texted(), "type str"), (modules.Numbered(), "'count' of type int")]
)
def test_a_module_that_cannot_be_served_says_why(tmp_path: Path, module: torch.nn.Module, message: str) -> None:
    with pytest.raises(ModelLoadError, match=message):
        loaded(scripted(tmp_path / "model.pt", module))


def test_a_damaged_program_is_told_with_its_path(tmp_path: Path) -> None:
    for name, make in (("model.pt", scripted), ("model.pt2", None)):
        path = tmp_path / name
        _ = make(path, modules.Normalised()) if make else exported(path, modules.Normalised(), torch.zeros(2, 4))
        content = path.read_bytes()
        path.write_bytes(content.replace(b"weight", b"height"))
        with pytest.raises(ModelLoadError, match=rf"{name} could not be loaded by PyTorch .*Expected: "):
            loaded(path)


def test_threads_are_the_plans(tmp_path: Path) -> None:
    loaded(scripted(tmp_path / "model.pt", modules.Normalised()))
    assert (torch.get_num_threads(), torch.get_num_interop_threads()) == (1, 1)
