"""What is in a file, told by its first bytes and without importing any framework or running anything.

A pickle's ending says nothing of the framework that reads it. Its opcodes do: the first class that they name is
that of the object.
"""

import bz2
import gzip
import lzma
import pickletools
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

# The module of a pickled Booster; that of XGBoost's estimators is another, and scikit-learn serves those.
XGBOOST_MODULE = "xgboost.core"
PICKLES = (".joblib", ".pkl", ".pickle")
# How pickles of protocols 2 to 5 begin, and of the text protocol that old ones are in.
PICKLED = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"ccopy_reg\n", b"cxgboost")
# XGBoost's JSON, and not any other that lies in an archive; anything in an archive may be JSON.
XGBOOST_JSON = re.compile(rb'\s*\{\s*"(?:learner|version)"\s*:')
# XGBoost's binary JSON begins with a key of one of these names, its length in 8 bytes.
XGBOOST_UBJ = re.compile(rb"\{L\x00{7}(?:\x07learner|\x07version|\x06Config|\x05Model)")
# Its binary format up to 3.0: a struct, then the names of the objective and the booster, each after its length.
XGBOOST_BINARY = re.compile(
    rb"(?:binf)?.{136}.\x00{7}[a-z]+:[a-z0-9_]+(?:\x06|\x08|\x04)\x00{7}(?:gbtree|gblinear|dart)", re.DOTALL
)
# A text model of LightGBM's, and not any other text.
LIGHTGBM = b"tree\nversion=v"
# Enough to hold the first class of any pickle: it comes before the object's contents.
PREFIX_BYTES = 65_536
# The beginnings of what joblib compresses pickles with, and what reads them; lz4 has no reader here.
COMPRESSED: Mapping[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZ": bz2.open,
    b"\xfd7zXZ": lzma.open,
    b"\x5d\x00": lzma.open,
}
ZLIB = b"\x78"
# Modules whose names come before that of the object's class: they only say how it is made.
MAKERS = frozenset({"copyreg", "copy_reg", "builtins", "__builtin__", "collections", "numpy", "joblib"})


def is_pickle(content: bytes) -> bool:
    """Whether this begins as pickles do; not one that joblib has compressed."""
    return content.startswith(PICKLED)


def is_xgboost_json(path: Path) -> bool:
    """Whether a JSON file is a model of XGBoost's."""
    try:
        with path.open("rb") as file:
            return XGBOOST_JSON.match(file.read(PREFIX_BYTES)) is not None
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
    return any(form.match(beginning) for form in (XGBOOST_JSON, XGBOOST_UBJ, XGBOOST_BINARY))


def is_lightgbm(path: Path) -> bool:
    """Whether a text file is a model of LightGBM's."""
    try:
        with path.open("rb") as file:
            return file.read(len(LIGHTGBM) + 1).replace(b"\r", b"").startswith(LIGHTGBM)
    except OSError:
        return False


def pickled_module(path: Path) -> str:
    """The module of the first class that a pickle names, perhaps compressed by joblib; empty where it names none."""
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


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        raw = file.read(PREFIX_BYTES)
    if raw.startswith(ZLIB):
        return zlib.decompressobj().decompress(raw, PREFIX_BYTES)
    for magic, opened in COMPRESSED.items():
        if raw.startswith(magic):
            with opened(path) as stream:
                return bytes(stream.read(PREFIX_BYTES))
    return raw


def _modules(pickle: bytes) -> Iterator[str]:
    """The modules of the classes and functions that a pickle names, in order. Raises ValueError where it ends."""
    strings: list[str] = []
    for opcode, argument, _ in pickletools.genops(pickle):
        if opcode.name in ("GLOBAL", "INST"):
            yield str(argument).partition(" ")[0]
        elif opcode.name == "STACK_GLOBAL":
            yield strings[-2]
        elif isinstance(argument, str):
            strings.append(argument)
