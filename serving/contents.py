"""What is in a file, told by its first bytes and without importing any framework or running anything.

A pickle's ending says nothing of the framework that reads it. Its opcodes do: the first class that they name is
that of the object.
"""

import io
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from zipfile import ZipFile

# The module of a pickled Booster; that of XGBoost's estimators is another, and scikit-learn serves those.
XGBOOST_MODULE = "xgboost.core"
PICKLES = (".joblib", ".pkl", ".pickle")
# How pickles of protocols 2 to 5 begin, and of the text protocol that old ones are in.
PICKLED = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"ccopy_reg\n", b"cxgboost")
# XGBoost's JSON, and not any other that lies in an archive; anything in an archive may be JSON.
XGBOOST_JSON = rb'\s*\{\s*"(?:learner|version)"\s*:'
# XGBoost's binary JSON begins with a key of one of these names, its length in 8 bytes.
XGBOOST_UBJ = rb"\{L\x00{7}(?:\x07learner|\x07version|\x06Config|\x05Model)"
# Its binary format up to 3.0: a struct, then the names of the objective and the booster, each after its length.
XGBOOST_BINARY = rb"(?s)(?:binf)?.{136}.\x00{7}[a-z]+:[a-z0-9_]+(?:\x06|\x08|\x04)\x00{7}(?:gbtree|gblinear|dart)"
# A text model of LightGBM's, and not any other text.
LIGHTGBM = b"tree\nversion=v"
# Enough to hold the first class of any pickle: it comes before the object's contents.
PREFIX_BYTES = 65_536
# The beginnings of what joblib compresses pickles with, and the modules that read them; lz4 has no reader here.
COMPRESSED: Mapping[bytes, str] = {b"\x1f\x8b": "gzip", b"BZ": "bz2", b"\xfd7zXZ": "lzma", b"\x5d\x00": "lzma"}
ZLIB = b"\x78"
# Modules whose names come before that of the object's class: they only say how it is made.
MAKERS = frozenset({"copyreg", "copy_reg", "builtins", "__builtin__", "collections", "numpy", "joblib"})
# The same of PyTorch's pickles, whose tensors are in no class of a module's.
TORCH_MAKERS = frozenset({"torch", "torch._utils", "torch._tensor", "torch.serialization", "torch.storage"})
# How torch.save began before version 1.6: a pickle of this number, then two more, then that of the object.
TORCH_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
PICKLES_BEFORE = 3
ZIP = b"PK\x03\x04"


class TorchContent(Enum):
    """What PyTorch's files hold, whatever their endings say: they are zip files, told apart by what is in them."""

    TORCHSCRIPT = "a TorchScript module"
    EXPORTED = "a program of torch.export"
    COMPILED = "a program that AOTInductor has compiled for one processor"
    WEIGHTS = "weights without the module that they belong to (a state_dict)"
    MODULE = "a pickled module, which is loaded by the classes of the code that made it"
    BROKEN = "an archive that is cut off or damaged"
    OTHER = "no file of PyTorch's"


def is_pickle(content: bytes) -> bool:
    """Whether this begins as pickles do; not one that joblib has compressed."""
    return content.startswith(PICKLED)


def is_xgboost_json(path: Path) -> bool:
    """Whether a JSON file is a model of XGBoost's."""
    try:
        with path.open("rb") as file:
            return re.match(XGBOOST_JSON, file.read(PREFIX_BYTES)) is not None
    except OSError:
        return False


def is_xgboost(path: Path) -> bool:
    """Whether a file of any name is a model of XGBoost's, in one of its formats or as a pickled booster."""
    try:
        with path.open("rb") as file:
            beginning = file.read(PREFIX_BYTES)
    except OSError:
        return False
    if is_pickle(beginning):
        return pickled_module(path) == XGBOOST_MODULE
    return any(re.match(form, beginning) for form in (XGBOOST_JSON, XGBOOST_UBJ, XGBOOST_BINARY))


def is_lightgbm(path: Path) -> bool:
    """Whether a text file is a model of LightGBM's."""
    try:
        with path.open("rb") as file:
            return file.read(len(LIGHTGBM) + 1).replace(b"\r", b"").startswith(LIGHTGBM)
    except OSError:
        return False


def pickled_module(path: Path) -> str:
    """The module of the first class that a pickle names, perhaps compressed by joblib; empty where it names none."""
    import lzma  # noqa: PLC0415 (of use for pickles alone, and 3 ms of every start)
    import zlib  # noqa: PLC0415

    try:
        beginning = _beginning(path)
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        return ""
    try:
        for module in _modules(beginning):
            if module.partition(".")[0] not in MAKERS:
                return module
    except (ValueError, IndexError):
        pass  # no pickle, or cut off; who loads it says what is wrong
    return ""


def torch_content(path: Path) -> TorchContent:
    """What a `.pt`, `.pth` or `.pt2` file holds."""
    import zipfile  # noqa: PLC0415 (of use for such files alone, and 3 ms of every start)
    import zlib  # noqa: PLC0415

    try:
        with path.open("rb") as file:
            beginning = file.read(PREFIX_BYTES)
        if not beginning.startswith(ZIP):
            return _torch_legacy(beginning)
        with zipfile.ZipFile(path) as archive:
            return _torch_archive(archive)
    except (zipfile.BadZipFile, zlib.error):
        return TorchContent.BROKEN
    except (OSError, RuntimeError, ValueError, IndexError):  # RuntimeError: a zip that is encrypted
        return TorchContent.OTHER


def _torch_archive(archive: "ZipFile") -> TorchContent:
    # All of a file's records are in one folder, whose name counts for nothing.
    inside = {name.partition("/")[2]: name for name in archive.namelist()}
    if "constants.pkl" in inside:
        return TorchContent.TORCHSCRIPT
    # PyTorch 2.8 and later; the versions before. An AOTInductor package has no program beside what is compiled.
    if any(name.startswith("models/") for name in inside) or "serialized_exported_program.json" in archive.namelist():
        return TorchContent.EXPORTED
    if any("aotinductor/" in name for name in inside):
        return TorchContent.COMPILED
    if "data.pkl" not in inside:
        return TorchContent.OTHER
    with archive.open(inside["data.pkl"]) as pickle:
        return _torch_pickle(pickle.read(PREFIX_BYTES))


def _torch_legacy(beginning: bytes) -> TorchContent:
    if not beginning.startswith(TORCH_LEGACY):
        return TorchContent.OTHER
    stream: BinaryIO = io.BytesIO(beginning)
    for _ in range(PICKLES_BEFORE):
        list(_opcodes(stream))
    return _torch_pickle(stream.read())


def _torch_pickle(pickle: bytes) -> TorchContent:
    try:
        names = (name for name in _modules(pickle) if name.partition(".")[0] not in MAKERS)
        made = list(islice(names, 1))
    except (ValueError, IndexError):
        made = []  # cut off before it has named any: a long list of keys
    return TorchContent.WEIGHTS if not made or made[0] in TORCH_MAKERS else TorchContent.MODULE


def _opcodes(pickle: bytes | BinaryIO) -> Iterator[tuple[Any, Any, int | None]]:
    from pickletools import genops  # noqa: PLC0415 (of use for pickles alone, and 2 ms of every start)

    return genops(pickle)


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        raw = file.read(PREFIX_BYTES)
    if raw.startswith(ZLIB):
        from zlib import decompressobj  # noqa: PLC0415 (as above)

        return decompressobj().decompress(raw, PREFIX_BYTES)
    for magic, module in COMPRESSED.items():
        if raw.startswith(magic):
            with import_module(module).open(path) as stream:
                return bytes(stream.read(PREFIX_BYTES))
    return raw


def _modules(pickle: bytes) -> Iterator[str]:
    """The modules of the classes and functions that a pickle names, in order. Raises ValueError where it ends."""
    strings: list[str] = []
    for opcode, argument, _ in _opcodes(pickle):
        if opcode.name in ("GLOBAL", "INST"):
            yield str(argument).partition(" ")[0]
        elif opcode.name == "STACK_GLOBAL":
            yield strings[-2]
        elif isinstance(argument, str):
            strings.append(argument)
