"""Packages whose own `__init__` is executed when something that it defines is asked for, and no sooner.

uvicorn's imports its command line, with click, multiprocessing and what restarts a server when files change: a third
of what it takes to import, 10 ms of a small model's way to readiness, for nothing that is used here. Python always
executes a package's `__init__` before its modules, so the package is put in place beforehand.
"""

import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any


class _Package(ModuleType):
    """Is executed at the first look at a name that it does not have; its modules are found without that."""

    __spec__: ModuleSpec
    _exports: Mapping[str, str]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (any attribute)
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self._exports:
            return getattr(import_module(self._exports[name]), name)
        self.__class__ = ModuleType  # type: ignore[assignment]  # a package as any from now on
        assert self.__spec__.loader  # it was found by one  # noqa: S101
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


def defer(name: str, exports: Mapping[str, str]) -> None:
    """Have this package's `__init__` wait until it is needed, if it has not been executed already.

    Args:
        name: the package's.
        exports: what of its names is found without that, and in which of its modules.
    """
    if name in sys.modules:
        return
    spec = find_spec(name)
    if spec is not None:
        package = module_from_spec(spec)
        package.__class__ = _Package
        vars(package)["_exports"] = exports
        sys.modules[name] = package
