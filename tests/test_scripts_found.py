"""What counts as a script."""

from pathlib import Path

import pytest

from serving.scripts.found import find_script


def made(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / "code" / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")
    return folder


def test_no_script_no_workers(tmp_path: Path) -> None:
    assert find_script(tmp_path) is None
    assert find_script(made(tmp_path, "helpers.py", "requirements.txt")) is None
    assert find_script(tmp_path / "missing") is None


def test_a_script_alone(tmp_path: Path) -> None:
    script = find_script(made(tmp_path, "inference.py"))
    assert script is not None
    assert script.file == tmp_path / "code" / "inference.py"
    assert (script.libraries, script.requirements) == (None, None)
    assert script.module_path(None) == [str(tmp_path / "code")]


def test_requirements_come_last_on_the_module_path(tmp_path: Path) -> None:
    script = find_script(made(tmp_path, "inference.py", "requirements.txt"))
    assert script is not None
    assert script.requirements == tmp_path / "code" / "requirements.txt"
    assert script.module_path(Path("/installed")) == [str(tmp_path / "code"), "/installed"]


def test_libraries_in_the_archive_make_requirements_unnecessary(tmp_path: Path) -> None:
    script = find_script(made(tmp_path, "inference.py", "requirements.txt", "lib/"))
    assert script is not None
    assert script.requirements is None
    assert script.module_path(None) == [str(tmp_path / "code"), str(tmp_path / "code" / "lib")]


@pytest.mark.parametrize(
    ("text", "loads"),
    [
        ("def model_fn(model_dir): ...", True),
        ("def predict_fn(data, model): ...", True),
        ("from helpers import load as model_fn", True),
        ("model_fn = object()", True),
        ("try:\n    import x\nexcept ImportError:\n    def model_fn(d): ...\n", True),
        ("def handler(data, context): ...", False),
        ("def model_fn(d): ...\ndef input_handler(data, context): ...\ndef output_handler(r, c): ...", False),
        ("class A:\n    def model_fn(self): ...\n", False),
        ("def f():\n    def model_fn(d): ...\n", False),
        ("", False),
        ("no python at all", False),
        ("\0", False),
    ],
)
def test_whether_a_script_loads_the_model_is_told_without_running_it(tmp_path: Path, text: str, *, loads: bool) -> None:
    (made(tmp_path, "inference.py") / "code" / "inference.py").write_text(text)
    script = find_script(tmp_path)
    assert script is not None
    assert script.loads_model is loads
