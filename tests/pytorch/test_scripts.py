"""What a script may leave out, where PyTorch is: the same bytes as AWS's toolkit gives."""

import csv
import io
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from assets import torch_modules as modules
from serving.scripts import hooks
from serving.scripts.contract import Answer, Call, Handler, ScriptError

JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"
X = np.random.default_rng(2).standard_normal((3, 4)).astype(np.float32)

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")


def handler_of(**functions: Any) -> Handler:  # noqa: ANN401 (a script's functions)
    module = ModuleType("inference")
    vars(module).update(functions)
    found = hooks.handler(module)
    assert found is not None
    return found


def call(body: bytes, content_type: str, accept: str = "") -> Call:
    return Call(body, content_type, accept, None, None, None, None, "", 60.0)


def npy(array: Any) -> bytes:  # noqa: ANN401 (what numpy.save takes)
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def bodies() -> list[tuple[bytes, str]]:
    text = io.StringIO()
    csv.writer(text).writerows(X.tolist())
    return [(json.dumps(X.tolist()).encode(), JSON), (text.getvalue().encode(), CSV), (npy(X), NPY)]


@pytest.mark.parametrize(("body", "content_type"), bodies())
def test_the_defaults_are_those_of_awss_pytorch_container(body: bytes, content_type: str) -> None:
    module = modules.Normalised()
    handler = handler_of(model_fn=lambda _dir: module)
    with torch.no_grad():
        expected = module.eval()(torch.from_numpy(X)).tolist()
    assert handler(call(body, content_type)) == Answer(json.dumps(expected).encode(), JSON)
    text = io.StringIO()
    np.savetxt(text, expected, delimiter=",", fmt="%s")
    assert handler(call(body, content_type, CSV)).body == text.getvalue().encode()
    assert handler(call(body, content_type, NPY)).body == npy(expected)
    assert not module.training


@pytest.mark.parametrize("name", ["model.pt", "any name.v2.pth"])
def test_without_model_fn_the_one_torchscript_file_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    module = modules.Normalised().eval()
    torch.jit.script(module).save(tmp_path / name)
    monkeypatch.setenv("SM_MODEL_DIR", str(tmp_path))
    handler = handler_of(input_fn=lambda body, _type: torch.tensor(json.loads(body)["rows"]))
    with torch.no_grad():
        expected = module(torch.from_numpy(X)).tolist()
    answer = handler(call(json.dumps({"rows": X.tolist()}).encode(), JSON))
    np.testing.assert_allclose(json.loads(answer.body), expected, rtol=1e-6)


def test_without_model_fn_weights_alone_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(modules.Normalised().state_dict(), tmp_path / "model.pt")
    monkeypatch.setenv("SM_MODEL_DIR", str(tmp_path))
    with pytest.raises(ScriptError, match=r"weights without the module.*model_fn\(model_dir\)"):
        handler_of(input_fn=print)


def test_output_fn_may_change_the_prediction_in_place() -> None:
    module = modules.Normalised()

    def output_fn(prediction: torch.Tensor, _accept: str) -> str:
        return json.dumps(prediction.mul_(0).tolist())

    handler = handler_of(model_fn=lambda _dir: module, output_fn=output_fn)
    assert json.loads(handler(call(*bodies()[0])).body) == [[0.0, 0.0]] * 3


def test_a_model_of_a_class_of_ones_own_gets_tensors() -> None:
    class Wrapped:
        def __call__(self, rows: torch.Tensor) -> torch.Tensor:
            assert isinstance(rows, torch.Tensor)
            return rows.sum(1)

    handler = handler_of(model_fn=lambda _dir: Wrapped())
    np.testing.assert_allclose(json.loads(handler(call(*bodies()[0])).body), X.sum(1), rtol=1e-6)
