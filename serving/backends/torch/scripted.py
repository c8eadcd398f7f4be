"""TorchScript modules: loaded, and tried for what they take, what they give and what they keep."""

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from serving.backends.torch import axes
from serving.backends.torch.examples import Example, examples, float_dtype
from serving.backends.torch.model import Program
from serving.backends.torch.state import Watch, has_loop, kept_by
from serving.backends.torch.tensors import UnservableError, array, named
from serving.errors import ModelLoadError
from serving.samples import GOLDEN
from serving.signature import Array, Signature

log = logging.getLogger(__name__)

# What a schema calls it.
TENSOR = "Tensor"
# What a module raises where it does not run on an example.
RUNNING = (RuntimeError, torch.jit.Error, IndexError, ValueError, TypeError, AssertionError)
# Errors of TorchScript hold a whole stack; what is wrong is at one of its ends.
ERROR_LENGTH = 600


def load(path: Path, places: Sequence[Path]) -> Program:
    """Load a module and learn what it takes; `places` are where a golden.npz may be. Raises ModelLoadError."""
    module = read(path)
    names = _inputs(module, path)
    watch = Watch(module)
    try:
        base, signature, changes = _tried(module, path, places, names)
    except UnservableError as error:
        raise ModelLoadError(
            f"{path} cannot be served: it takes or gives {error}. Expected: tensors, and tuples, lists and dicts of "
            "them. Wrap the module in one that gives those, or add a script with model_fn to the archive "
            "(code/inference.py)."
        ) from error
    state = kept_by(module) or watch.changed() or changes
    if state:
        module = read(path)  # as it was before it was tried
    dtypes = {name: example.dtype for name, example in base.items()}
    return Program(lambda tensors: module(**tensors), dtypes, signature, state, not has_loop(module))


def read(path: Path) -> Any:  # noqa: ANN401 (a ScriptModule)
    """The module, set to infer. Raises ModelLoadError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # newer versions tell programmers to use torch.export
            return torch.jit.load(str(path), map_location="cpu").eval()
    except Exception as error:
        raise ModelLoadError(
            f"{path} could not be loaded by PyTorch {torch.__version__}: {short(error)} Expected: a complete "
            "TorchScript module of operators that PyTorch itself has (those of torchvision and other extensions need a "
            "script with model_fn that imports them, code/inference.py)."
        ) from error


def short(error: Exception) -> str:
    """What an error says, on one line, with its type."""
    said = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return said if len(said) <= ERROR_LENGTH else f"{said[: ERROR_LENGTH // 2]} … {said[-ERROR_LENGTH // 2 :]}"


def _inputs(module: Any, path: Path) -> list[str]:  # noqa: ANN401 (a ScriptModule)
    """The names of the tensors that it must be given. Raises ModelLoadError for other things."""
    names = []
    for argument in module.forward.schema.arguments[1:]:
        kind = argument.type.annotation_str
        if kind == TENSOR and not argument.has_default_value():
            names.append(str(argument.name))
        elif not argument.has_default_value():
            raise ModelLoadError(
                f"{path}: its forward takes {argument.name!r} of type {kind}. Expected: tensors, and other things only "
                "where they may be left out. Wrap the module in one that takes tensors, or add a script with model_fn "
                "to the archive (code/inference.py)."
            )
    return names


def _tried(
    module: Any,  # noqa: ANN401 (a ScriptModule)
    path: Path,
    places: Sequence[Path],
    names: Sequence[str],
) -> tuple[Mapping[str, Example], Signature, str]:
    """The example that it runs on, the signature that follows, and what speaks against running calls together."""
    attempt = _attempt_of(module)
    failures: list[str] = []
    for base in _smallest_first(examples(module, path, places, names)):
        try:
            first = _run(module, base)
        except RUNNING as error:
            failures.append(short(error))
            continue
        same = _same(first, _run(module, base))
        inputs, outputs = axes.specs(base, first, attempt)
        return base, Signature(inputs, outputs), "" if same else "two calls with the same input give different answers"
    likely = dict.fromkeys(names, Example((), float_dtype(module)))
    log.warning(
        "what %s takes could not be told from its file%s: arrays of any shape are taken, as %s, and requests are run "
        "one by one. Trace it with torch.jit.trace, which leaves its example in the file, or put a %s beside it",
        path.name,
        f" (the last attempt: {failures[-1]})" if failures else "",
        next(iter(likely.values())).dtype if likely else "nothing",
        GOLDEN,
    )
    return likely, Signature(*axes.unknown(likely)), ""


def _smallest_first(given: Iterable[dict[str, Example]]) -> Iterator[dict[str, Example]]:
    for example in given:
        if lone := axes.with_one_row(example):
            yield lone
        if lone != example:
            yield example


def _attempt_of(module: Any) -> Callable[[Mapping[str, Example]], Mapping[str, Array] | None]:  # noqa: ANN401
    def attempt(given: Mapping[str, Example]) -> Mapping[str, Array] | None:
        try:
            return _run(module, given)
        except RUNNING:
            return None

    return attempt


def _run(module: Any, given: Mapping[str, Example]) -> dict[str, Array]:  # noqa: ANN401 (a ScriptModule)
    with torch.inference_mode():
        return dict(_arrays(module(**{name: example.values() for name, example in given.items()})))


def _arrays(given: Any) -> Iterator[tuple[str, Array]]:  # noqa: ANN401 (whatever a module gives)
    for name, value in named(given).items():
        yield name, array(value)


def _same(one: Mapping[str, Array], other: Mapping[str, Array]) -> bool:
    return one.keys() == other.keys() and all(
        np.array_equal(one[name], other[name], equal_nan=one[name].dtype.kind == "f") for name in one
    )
