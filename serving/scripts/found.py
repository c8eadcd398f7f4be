"""What an archive holds besides its model: `code/`, with the script, its libraries and its requirements."""

from dataclasses import dataclass
from pathlib import Path

FOLDER = "code"
SCRIPT = "inference.py"
LIBRARIES = "lib"
REQUIREMENTS = "requirements.txt"


@dataclass(frozen=True, slots=True)
class Script:
    """A script as found. `requirements` is None where none are to be installed."""

    file: Path
    libraries: Path | None
    requirements: Path | None

    @property
    def folder(self) -> Path:
        """The folder that it is in."""
        return self.file.parent

    def module_path(self, installed: Path | None) -> list[str]:
        """The folders from which it may import, the first counts most; `installed` is where its requirements are."""
        return [str(folder) for folder in (self.folder, self.libraries, installed) if folder is not None]


def find_script(model_dir: Path) -> Script | None:
    """The script of a model directory, None where there is none.

    As in AWS's TensorFlow Serving container, libraries that came with the archive make its
    requirements.txt unnecessary.
    """
    folder = model_dir / FOLDER
    if not (folder / SCRIPT).is_file():
        return None
    libraries, requirements = folder / LIBRARIES, folder / REQUIREMENTS
    return Script(
        folder / SCRIPT,
        libraries if libraries.is_dir() else None,
        requirements if requirements.is_file() and not libraries.is_dir() else None,
    )
