"""The booster inside a pickle, taken out of it without running the pickle.

A pickled booster is a dict with its model as bytes. What the pickle names besides that class is refused, so that
nothing of the pickle's own can be called.
"""

import io
import pickle
from typing import Any

# What is built of plain data on the way.
HARMLESS = {
    ("builtins", "bytearray"): bytearray,
    ("__builtin__", "bytearray"): bytearray,
    ("builtins", "set"): set,
}


class ForeignPickleError(Exception):
    """The pickle holds something else than a booster; the text says what."""


class State:
    """Stands for the booster's class while the pickle is read: keeps what the booster would be made of."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.state = state


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 (any class or function)
        if module == "xgboost.core" and name == "Booster":
            return State
        if (module, name) == ("copyreg", "_reconstructor") or (module, name) == ("copy_reg", "_reconstructor"):
            return _reconstructed
        if (module, name) == ("_codecs", "encode"):  # how bytes were pickled by protocols up to 2
            return str.encode
        if (module, name) in HARMLESS:
            return HARMLESS[module, name]
        raise ForeignPickleError(f"it names {module}.{name}")


def booster_state(content: bytes) -> dict[str, Any]:
    """What a pickled booster is made of; `handle` is its model. Raises ForeignPickleError."""
    try:
        found = _Unpickler(io.BytesIO(content)).load()
    except ForeignPickleError:
        raise
    # Whatever a pickle that is none makes of the unpickler.
    except Exception as error:
        raise ForeignPickleError(f"it cannot be read ({type(error).__name__}: {error})") from error
    state = getattr(found, "state", None)
    if not isinstance(state, dict) or not isinstance(state.get("handle"), bytes | bytearray):
        raise ForeignPickleError(f"it holds a {type(found).__name__} without a model")
    return state


def _reconstructed(kind: type[State], *_base: object) -> State:
    return kind()
