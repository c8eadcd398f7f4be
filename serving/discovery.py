"""Finding the models in the model directory, without importing any framework.

There is one, but for TensorFlow's SavedModels in folders named by their versions: of those an archive may
have several versions, and several models with names of their own, as AWS's TensorFlow Serving container
serves them all and lets each request choose.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from serving.contents import (
    PICKLES,
    XGBOOST_MODULE,
    TorchContent,
    is_lightgbm,
    is_xgboost,
    is_xgboost_json,
    pickled_module,
    torch_content,
)
from serving.errors import ModelLoadError

SAVED_MODEL = "saved_model.pb"
# At the top of the archive, or in one folder of it: deeper down files belong to something else.
FILES: Mapping[str, str] = {".onnx": "onnx", ".keras": "tensorflow", ".h5": "tensorflow", ".skops": "scikit-learn"}
# What AWS's XGBoost container leaves, perhaps with a number behind it for each model of a cross-validation.
XGBOOST_NAME = "xgboost-model"
XGBOOST_ENDINGS = frozenset({".ubj", ".bst"})
# PyTorch's files, and what of them is a model by itself; of several AWS's PyTorch container takes this one.
TORCH_ENDINGS = (".pt2", ".pt", ".pth")
TORCH_PROGRAMS = frozenset({TorchContent.TORCHSCRIPT, TorchContent.EXPORTED})
TORCH_PREFERRED = "model.pt"
# SavedModels are folders, named by their version at any depth, as AWS's TensorFlow Serving container finds
# them. `**` follows no links to folders; the others do.
SAVED_MODELS = (SAVED_MODEL, f"*/{SAVED_MODEL}", f"*/*/{SAVED_MODEL}", f"**/{SAVED_MODEL}")
# Folders that hold a model's parts or the user's scripts, whatever is in them.
NO_MODELS = frozenset({"code", "assets", "assets.extra", "variables"})
# Keras names weights without a model so.
WEIGHTS_ALONE = ".weights.h5"
# The name of a model whose place in the archive gives it none, as in AWS's container.
DEFAULT_NAME = "model"
# As many entries as fit a log line that people read.
LISTED = 20
EXPECTED = (
    "Expected: exactly one .onnx file (with its external data files beside it), .keras, .h5, .skops, .joblib or .pkl "
    "file, at the top or one folder down, or XGBoost's models (xgboost-model, .ubj, .json), or a "
    "LightGBM text model (.txt), or PyTorch's TorchScript (.pt, .pth) or exported program (.pt2), or one TensorFlow "
    "SavedModel: saved_model.pb at the top or in folders named by their versions (MODEL/VERSION/saved_model.pb, of "
    "which there may be several)."
)


class FoundModel(NamedTuple):
    """A model and the framework that runs it.

    `path` is the model's file, or a SavedModel's folder. `name` and `version` are what TensorFlow Serving
    calls the model; `version` is None for a model that is in no folder named by a number.
    """

    framework: str
    path: Path
    name: str = DEFAULT_NAME
    version: int | None = None


def find_model(directory: Path) -> FoundModel:
    """The model that answers when a request names none: see `find_models`. Raises ModelLoadError."""
    return find_models(directory)[0]


def find_models(directory: Path, default: str = "") -> tuple[FoundModel, ...]:
    """All that is to be served from `directory`, the one that answers when a request names none first.

    That is the highest version of the model called `default`, or of the first by name.

    Raises:
        ModelLoadError: there is none, more than one where there may be only one, or none called `default`.
    """
    if not directory.is_dir():
        what = "is a file" if directory.exists() else "does not exist"
        raise ModelLoadError(
            f"The model directory {directory} {what}. {EXPECTED} Mount the unpacked model archive there "
            "(docker run -v DIR:/opt/ml/model:ro), or set SERVING_MODEL_DIR."
        )
    try:
        found = [*_files(directory), *_torch_programs(directory), *_saved_models(directory)] or [
            *_ensemble(list(_boosters(directory))),
            *_texts(directory),
        ]
        # Beside a model of another kind a pickle is something else of its user's: a scaler, a list of labels.
        found = found or list(_pickles(directory))
        # AWS's XGBoost container takes whatever is in the archive for its model, so its users name it as they like.
        found = found or _ensemble([FoundModel("xgboost", path) for path in _of_any_name(directory)])
        if not found:
            _refuse_torch(directory)
            raise ModelLoadError(
                f"No model was found in {directory}, which holds {_listing(directory)}. {EXPECTED} On SageMaker, "
                "check that ModelDataUrl names a .tar.gz made from inside the model's folder "
                "(tar -czf model.tar.gz -C DIR .)."
            )
    except OSError as error:
        raise ModelLoadError(f"The model directory {directory} cannot be read: {error}. {EXPECTED}") from error
    # One folder for each name: then requests can tell the models apart.
    versioned = all(model.version is not None for model in found)
    folders = {(model.name, model.path.parent) for model in found}
    if len(found) > 1 and not (versioned and len({name for name, _ in folders}) == len(folders)):
        names = ", ".join(sorted(_label(model.path, directory) for model in found))
        raise ModelLoadError(
            f"Several models were found in {directory}: {names}. {EXPECTED} Keep the one to serve and make the "
            "archive again."
        )
    return _default_first(found, default, directory)


def _default_first(found: Iterable[FoundModel], default: str, directory: Path) -> tuple[FoundModel, ...]:
    """By name, the default's first; of each the highest version first."""
    ordered = sorted(found, key=lambda model: (model.name != default, model.name, -(model.version or 0)))
    # The name of a model that has none in the archive is ours, so no default can be wrong about it.
    if default and ordered[0].name != default and ordered[0].version is not None:
        names = ", ".join(dict.fromkeys(model.name for model in ordered))
        raise ModelLoadError(
            f"SAGEMAKER_TFS_DEFAULT_MODEL_NAME is {default!r}, but {directory} has {names}. Set it to one of these, "
            "or leave it out."
        )
    return tuple(ordered)


def _files(directory: Path) -> Iterable[FoundModel]:
    for ending, framework in FILES.items():
        for path in _ending(ending, directory):
            if not path.name.endswith(WEIGHTS_ALONE):
                yield FoundModel(framework, path)


def _torch_files(directory: Path) -> Iterator[Path]:
    for ending in TORCH_ENDINGS:
        yield from _ending(ending, directory)


def _torch_programs(directory: Path) -> Iterator[FoundModel]:
    """TorchScript's and torch.export's files; beside one, a file of weights is something else of its user's."""
    found = [path for path in _torch_files(directory) if torch_content(path) in TORCH_PROGRAMS]
    preferred = directory / TORCH_PREFERRED
    yield from (FoundModel("pytorch", path) for path in ([preferred] if preferred in found else found))


def _refuse_torch(directory: Path) -> None:
    """Say of the first of PyTorch's files, where there is nothing else, why it is no model. Raises ModelLoadError."""
    for path in _torch_files(directory):
        content = torch_content(path)
        if content is TorchContent.OTHER:
            continue
        raise ModelLoadError(
            f"{path} holds {content.value}. Expected: a module with its code, as TorchScript "
            "(torch.jit.trace(module.eval(), example).save('model.pt')) or as a program of torch.export "
            "(torch.export.save(torch.export.export(module.eval(), (example,)), 'model.pt2')). Or add a script to the "
            "archive, code/inference.py, whose model_fn(model_dir) makes the module, loads this file into it and "
            "returns it."
        )


def _texts(directory: Path) -> Iterable[FoundModel]:
    """LightGBM's models, which are text files like others but for their first lines."""
    for path in _ending(".txt", directory):
        if is_lightgbm(path):
            yield FoundModel("lightgbm", path)


def boosters_in(folder: Path) -> list[Path]:
    """XGBoost's models in a folder, by name; several of them answer together."""
    return sorted(p for p in folder.iterdir() if p.is_file() and is_booster(p)) or _of_any_name(folder)


def _of_any_name(folder: Path) -> list[Path]:
    """XGBoost's models at the top of a folder by what is in them, whatever they are called."""
    files = (path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    return sorted(path for path in files if is_xgboost(path))


def is_booster(path: Path) -> bool:
    """Whether a file is a model of XGBoost's; a `.json` may be anything, so it is looked into."""
    if path.name.startswith("."):
        return False
    return (
        path.name.startswith(XGBOOST_NAME)
        or path.suffix in XGBOOST_ENDINGS
        or (path.suffix == ".json" and is_xgboost_json(path))
    )


def _boosters(directory: Path) -> Iterable[FoundModel]:
    for pattern in ("*", "*/*"):
        for path in sorted(directory.glob(pattern)):
            if _counts(path, directory) and is_booster(path):
                yield FoundModel("xgboost", path)


def _ensemble(found: list[FoundModel]) -> list[FoundModel]:
    """Several boosters of one folder as one model: the folder."""
    folders = {model.path.parent for model in found}
    return [FoundModel("xgboost", folders.pop())] if len(found) > 1 and len(folders) == 1 else found


def _pickles(directory: Path) -> Iterable[FoundModel]:
    for ending in PICKLES:
        for path in _ending(ending, directory):
            booster = pickled_module(path) == XGBOOST_MODULE
            yield FoundModel("xgboost" if booster else "scikit-learn", path)


def _ending(ending: str, directory: Path) -> Iterable[Path]:
    """The files with this ending, at the top and one folder down."""
    for pattern in (f"*{ending}", f"*/*{ending}"):
        yield from (path for path in sorted(directory.glob(pattern)) if _counts(path, directory))


def _saved_models(directory: Path) -> Iterable[FoundModel]:
    """The SavedModels, each version of each."""
    found = {path.parent for pattern in SAVED_MODELS for path in directory.glob(pattern) if _counts(path, directory)}
    numbered = {folder for folder in found if folder != directory and _is_version(folder.name)}
    for folder in sorted(numbered):
        name = DEFAULT_NAME if folder.parent == directory else folder.parent.name
        yield FoundModel("tensorflow", folder, name, int(folder.name))
    for folder in sorted(found - numbered):
        if folder == directory:
            yield FoundModel("tensorflow", folder)
        elif folder.parent == directory:
            yield FoundModel("tensorflow", folder, folder.name)


def _is_version(name: str) -> bool:
    return name.isascii() and name.isdecimal()


def _label(path: Path, directory: Path) -> str:
    return str((path / SAVED_MODEL if path.is_dir() else path).relative_to(directory))


def _counts(path: Path, directory: Path) -> bool:
    """Hidden files and folders do not: macOS's tar leaves a `._model.onnx` beside each file."""
    parts = path.relative_to(directory).parts
    hidden = any(part.startswith(".") for part in parts)
    return path.is_file() and not hidden and NO_MODELS.isdisjoint(parts[:-1])


def _listing(directory: Path) -> str:
    """What is in a directory, two levels of it, for the error message."""
    entries = sorted(
        str(path.relative_to(directory)) + ("/" if path.is_dir() else "")
        for pattern in ("*", "*/*")
        for path in directory.glob(pattern)
    )
    if not entries:
        return "nothing"
    rest = f" and {len(entries) - LISTED} more" if len(entries) > LISTED else ""
    return ", ".join(entries[:LISTED]) + rest
