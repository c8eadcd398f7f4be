"""Finding the model in the model directory, without importing any framework."""

from dataclasses import dataclass
from pathlib import Path

from serving.errors import ModelLoadError

# At the top of the archive, or in one folder of it: deeper down files belong to something else.
PATTERNS = ("*.onnx", "*/*.onnx")
# As many entries as fit a log line that people read.
LISTED = 20
EXPECTED = (
    "Expected: exactly one .onnx file, at the top or one folder down, with its external data files (if any) beside it."
)


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model file and the framework that runs it."""

    framework: str
    path: Path


def find_model(directory: Path) -> FoundModel:
    """The one model in `directory`. Raises ModelLoadError when there is none, or more than one."""
    if not directory.is_dir():
        what = "is a file" if directory.exists() else "does not exist"
        raise ModelLoadError(
            f"The model directory {directory} {what}. {EXPECTED} Mount the unpacked model archive there "
            "(docker run -v DIR:/opt/ml/model:ro), or set SERVING_MODEL_DIR."
        )
    try:
        found = sorted(path for pattern in PATTERNS for path in directory.glob(pattern) if _counts(path, directory))
    except OSError as error:
        raise ModelLoadError(f"The model directory {directory} cannot be read: {error}. {EXPECTED}") from error
    if len(found) == 1:
        return FoundModel("onnx", found[0])
    if found:
        names = ", ".join(str(path.relative_to(directory)) for path in found)
        raise ModelLoadError(
            f"Several models were found in {directory}: {names}. {EXPECTED} Keep the one to serve and make the "
            "archive again."
        )
    raise ModelLoadError(
        f"No model was found in {directory}, which holds {_listing(directory)}. {EXPECTED} On SageMaker, check "
        "that ModelDataUrl names a .tar.gz made from inside the model's folder (tar -czf model.tar.gz -C DIR .)."
    )


def _counts(path: Path, directory: Path) -> bool:
    """Hidden files and folders do not: macOS's tar leaves a `._model.onnx` beside each file."""
    parts = path.relative_to(directory).parts
    return path.is_file() and not any(part.startswith(".") for part in parts)


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
