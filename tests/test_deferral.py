"""A package's own code waits until it is asked for; its modules do not."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from serving.deferral import defer

NAME = "a_package_of_a_test"
WHOLE = {
    "__init__.py": f"from {NAME}.heavy import answer\nextra = 1\n",
    "heavy.py": "answer = 42\n",
    "light.py": "x = 7\n",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of that name, from which it is imported; forgotten afterwards."""
    folder = tmp_path / NAME
    folder.mkdir()
    for name, code in WHOLE.items():
        (folder / name).write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[name]


def is_executed() -> bool:
    return f"{NAME}.heavy" in sys.modules


def test_its_modules_are_imported_without_it(package: Path) -> None:
    del package
    defer(NAME, {"x": f"{NAME}.light"})
    assert import_module(f"{NAME}.light").x == 7
    assert not is_executed()


@pytest.mark.parametrize("name", ["answer", "extra"])
def test_what_it_defines_is_there_as_ever(package: Path, name: str) -> None:
    del package
    defer(NAME, {"x": f"{NAME}.light"})
    light = import_module(f"{NAME}.light")
    whole = import_module(NAME)
    assert not hasattr(whole, "__no_such_name__")
    assert not is_executed()
    assert getattr(whole, name) == {"answer": 42, "extra": 1}[name]
    assert is_executed()
    assert whole.light is light
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = whole.no_such_name


def test_what_is_known_to_be_in_a_module_is_found_there(package: Path) -> None:
    del package
    defer(NAME, {"x": f"{NAME}.light"})
    assert import_module(NAME).x == 7
    assert not is_executed()


def test_one_that_has_been_imported_stays_as_it_is(package: Path) -> None:
    del package
    before = import_module(NAME)
    defer(NAME, {"x": f"{NAME}.light"})
    assert import_module(NAME) is before
    assert is_executed()


def test_one_that_is_not_installed_is_missed_where_it_is_imported() -> None:
    defer("no_such_package", {})
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        import_module("no_such_package")
