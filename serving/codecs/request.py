"""What every decoder gives: arrays by input name, and the form that the answer will take."""

from enum import Enum
from typing import NamedTuple

from serving.signature import Inputs


class Form(Enum):
    """How a request lays its rows out; the answer follows it."""

    ROW = "row"  # one JSON value a row: {"instances": [...]} -> {"predictions": [...]}
    COLUMN = "column"  # one array an input: {"inputs": ...} -> {"outputs": ...}


class Decoded(NamedTuple):
    """A request's arrays as the body gave them: dtypes and shapes not yet held against the signature.

    `signature` is the name of the one that they are for, if the body names it.
    """

    inputs: Inputs
    form: Form
    signature: str | None = None
