"""The frame of a benchmark that is a program: its options, a table on standard output, and its figures kept."""

import argparse
import compileall
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from assets.fetch import AssetError
from benchmarks.client import BenchmarkError
from benchmarks.contestants import ROOT
from benchmarks.records import keep

Found = TypeVar("Found")


def run(
    name: str,
    about: str | None,
    add_options: Callable[[argparse.ArgumentParser], None],
    measure: Callable[[argparse.Namespace, Path], Sequence[Found]],
    table: Callable[[Sequence[Found]], str],
    **settings: Any,  # noqa: ANN401 (any JSON value)
) -> int:
    """Measure as the command line says and print the table; 1 where something failed or is missing.

    `measure` is given the options and a folder that is removed afterwards, and finds dataclasses. With --save these
    are kept in benchmarks/results, with what follows from them (their properties), the settings and the options.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--save", action="store_true", help="keep the figures in benchmarks/results/")
    options = parser.parse_args()
    # As the image's modules are, and every installed package's; where PYTHONDONTWRITEBYTECODE is set they are not else.
    compileall.compile_dir(ROOT / "serving", quiet=1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(options, Path(folder))
    except (AssetError, BenchmarkError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    print(table(found))
    if options.save:
        asked = {key: value for key, value in vars(options).items() if key != "save"}
        print(f"saved as {keep(name, [row_of(one) for one in found], **asked, **settings)}")
    return 0


def row_of(one: Any) -> dict[str, Any]:  # noqa: ANN401 (any dataclass)
    """A dataclass's fields and properties, by name."""
    properties = [name for name, value in vars(type(one)).items() if isinstance(value, property)]
    return asdict(one) | {name: getattr(one, name) for name in properties}


def names(text: str) -> tuple[str, ...]:
    """An option's comma-separated names."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
