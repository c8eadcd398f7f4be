"""What an archive holds besides its model: `code/`, with the script, its libraries and its requirements."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FOLDER = "code"
SCRIPT = "inference.py"
LIBRARIES = "lib"
REQUIREMENTS = "requirements.txt"
# What a script of AWS's TensorFlow Serving container defines; it asks the model over HTTP. One that defines any of
# the others, of AWS's other containers, loads the model by itself.
ASKING = frozenset({"handler", "input_handler", "output_handler"})
LOADING = frozenset({"model_fn", "input_fn", "predict_fn", "output_fn", "transform_fn"})

# Statements whose insides are the module's own names.
BLOCKS = (ast.Module, ast.If, ast.Try, ast.ExceptHandler, ast.With)


class Script(NamedTuple):
    """A script as found. `requirements` is None where none are to be installed.

    `loads_model` says that it loads the model by itself, so that the server has none to load.
    """

    file: Path
    libraries: Path | None
    requirements: Path | None
    loads_model: bool = False

    @property
    def folder(self) -> Path:
        """The folder that it is in."""
        return self.file.parent

    def module_path(self, installed: Path | None) -> list[str]:
        """The folders from which it may import, the first counts most; `installed` is where its requirements are."""
        return [str(folder) for folder in (self.folder, self.libraries, installed) if folder is not None]


def find_script(model_dir: Path) -> Script | None:
    """The script of a model directory, None where there is none."""
    return script_in(model_dir / FOLDER, SCRIPT)


def script_in(folder: Path, name: str) -> Script | None:
    """The script of that name in a folder, None where there is none.

    As in AWS's TensorFlow Serving container, libraries that came with the archive make its
    requirements.txt unnecessary.
    """
    # AWS's toolkits take a module's name, too.
    file = next((path for path in (folder / name, folder / f"{name}.py") if path.is_file()), None)
    if file is None:
        return None
    libraries, requirements = folder / LIBRARIES, folder / REQUIREMENTS
    defined = frozenset(_names(file))
    return Script(
        file,
        libraries if libraries.is_dir() else None,
        requirements if requirements.is_file() and not libraries.is_dir() else None,
        bool(defined & LOADING) and not defined & ASKING,
    )


def _names(file: Path) -> Iterator[str]:
    """The functions that a script defines or imports, told without running it; none where it is no Python."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return  # the worker will say what is wrong with it
    nodes: list[ast.AST] = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, BLOCKS):
            nodes += ast.iter_child_nodes(node)
        elif isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
