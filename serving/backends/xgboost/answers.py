"""What AWS's XGBoost container reads and answers, to the byte, and this server's own formats beside it.

By default an answer is what the model predicts:

    text/csv                        one prediction a line, without a break at the end but for Batch Transform
    application/json                {"predictions": [{"score": 0.43}, ...]}
    application/jsonlines           {"score": 0.43}, one a line
    application/x-recordio-protobuf a record a row with the label `score`

A body that is not what its type says is 415, as there; one of too many features is 400.

With SAGEMAKER_INFERENCE_OUTPUT it is what that names of KEYS, in each of the four. Numbers are written as
Python writes a double, of a float32 that the model gave: 0.43861907720565796.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from serving.codecs import Decode, Format, Together, csv, formats, libsvm, recordio
from serving.codecs.request import Decoded, Form
from serving.codecs.together import decode_csv
from serving.errors import BadRequestError, ModelLoadError, UnreadableBodyError, WrongDimensionError
from serving.signature import Array, Outputs, Signature

ACCEPT = "text/csv"
SCORE = "score"
LABEL, LABELS = "predicted_label", "labels"
PROBABILITY, PROBABILITIES = "probability", "probabilities"
RAW, RAWS = "raw_score", "raw_scores"
PREDICTED = "predicted_score"
# The order in which an answer has them.
KEYS = (LABEL, LABELS, PROBABILITY, PROBABILITIES, RAW, RAWS, PREDICTED)
CLASSES = frozenset({LABEL, LABELS, RAW, RAWS})
REGRESSION = frozenset({PREDICTED})
# Which of them an objective has; others are NaN.
OF_OBJECTIVE: Mapping[str, frozenset[str]] = {
    "reg:squarederror": REGRESSION,
    "reg:logistic": REGRESSION,
    "reg:gamma": REGRESSION,
    "reg:tweedie": REGRESSION,
    "binary:logistic": CLASSES | {PROBABILITY, PROBABILITIES},
    "binary:logitraw": CLASSES,
    "binary:hinge": CLASSES,
    "multi:softmax": CLASSES,
    "multi:softprob": CLASSES | {PROBABILITY, PROBABILITIES},
}
SOFTPROB = "multi:softprob"
# From which prediction on the label is 1.
THRESHOLDS = {"binary:logistic": 0.5, "binary:logitraw": 0.0}


@dataclass(frozen=True, slots=True)
class Answers:
    """How predictions are answered.

    `selected` are the keys asked for, none for the default; `ends_lines` says that CSV ends with a line break.
    """

    objective: str
    classes: int
    selected: tuple[str, ...] = ()
    ends_lines: bool = False

    def formats(self, limit: int) -> tuple[Format, ...]:
        """The formats; the first is read where a request names none, as in AWS's container."""
        own: dict[str, tuple[Callable[[list[dict[str, Any]]], bytes], frozenset[str]]] = {
            "text/csv": (self._csv, frozenset({"csv"})),
            "application/json": (_json, frozenset()),
            "application/jsonlines": (_json_lines, frozenset()),
        }
        read: dict[str, Decode] = {
            "text/libsvm": partial(libsvm.decode, limit=limit),
            "text/csv": partial(csv.decode, loose=True),
            "application/x-recordio-protobuf": partial(recordio.decode, limit=limit),
        }
        usual = {entry.media_type: entry for entry in formats(limit)}
        made = [
            Format("text/libsvm", _or_415(read["text/libsvm"]), None, frozenset({"text/x-libsvm", "libsvm"})),
            *(
                Format(
                    name,
                    _or_415(read[name]) if name in read else usual[name].decode,
                    self._encoder(encode),
                    usual[name].aliases | aliases,
                    # Lines of plain numbers are the same by both rules.
                    together=Together(decode_csv) if name == "text/csv" else None,
                )
                for name, (encode, aliases) in own.items()
            ),
            Format(
                "application/x-recordio-protobuf",
                _or_415(read["application/x-recordio-protobuf"]),
                self._encoder(recordio.encode),
            ),
        ]
        names = {entry.media_type for entry in made}
        return (*made, *(entry for name, entry in usual.items() if name not in names))

    def check(self, where: str) -> tuple[str, ...]:
        """What is to be known of the keys asked for. Raises ModelLoadError where the objective has no keys at all."""
        if not self.selected:
            return ()
        if self.objective not in OF_OBJECTIVE:
            raise ModelLoadError(
                f"SAGEMAKER_INFERENCE_OUTPUT is set, and {where} has the objective {self.objective}, for which "
                f"there is nothing to select. Expected one of {', '.join(OF_OBJECTIVE)}. Unset the variable."
            )
        strange = [key for key in self.selected if key not in OF_OBJECTIVE[self.objective]]
        if not strange:
            return ()
        known = ", ".join(key for key in KEYS if key in OF_OBJECTIVE[self.objective])
        return (
            f"SAGEMAKER_INFERENCE_OUTPUT names {', '.join(strange)}, answered as NaN: {self.objective} has {known}",
        )

    def rows(self, outputs: Outputs) -> list[dict[str, Any]]:
        """An object a row: the score, or what was selected."""
        (predictions,) = outputs.values()
        assert isinstance(predictions, np.ndarray)  # a model of XGBoost's gives nothing else  # noqa: S101
        if not self.selected:
            return [{SCORE: value} for value in predictions.tolist()]
        return [self._selected(row) for row in predictions]

    def _selected(self, prediction: Array) -> dict[str, Any]:
        has = OF_OBJECTIVE[self.objective]
        known = {key: self._value(key, prediction) for key in KEYS if key in self.selected and key in has}
        return known | {key: float("nan") for key in self.selected if key not in has}

    def _value(self, key: str, prediction: Array) -> Any:  # noqa: ANN401 (a number or a list of some)
        if key == LABEL:
            return self._label(prediction)
        if key == LABELS:
            return list(range(self.classes)) if self.objective.startswith("multi:") else [0, 1]
        several = key in (PROBABILITIES, RAWS)
        if self.objective == SOFTPROB:
            return prediction.tolist() if several else prediction.max().item()
        value = prediction.item()
        return [1.0 - value, value] if several else value

    def _label(self, prediction: Array) -> float:
        if self.objective == SOFTPROB:
            return int(prediction.argmax())
        if self.objective in THRESHOLDS:
            return int(prediction > THRESHOLDS[self.objective])
        return float(prediction.item())

    def _encoder(self, write: Callable[[list[dict[str, Any]]], bytes]) -> Callable[[Outputs, Form, int], bytes]:
        def encode(outputs: Outputs, _form: Form, _rows: int) -> bytes:
            return write(self.rows(outputs))

        return encode

    def _csv(self, rows: list[dict[str, Any]]) -> bytes:
        if self.selected:
            lines = [",".join(_field(row[key]) for key in self.selected) for row in rows]
        else:
            lines = [str(row[SCORE]) for row in rows]
        return ("\n".join(lines) + ("\n" if self.ends_lines else "")).encode()


def _or_415(decode: Decode) -> Decode:
    """The decoder with AWS's container's status for bodies that it cannot read; counting features comes after that."""

    def decoded(body: bytes, signature: Signature) -> Decoded:
        if body.isspace():
            raise UnreadableBodyError("expected at least one row, got blanks alone")
        try:
            return decode(body, signature)
        except WrongDimensionError:
            raise
        except BadRequestError as error:
            raise UnreadableBodyError(error.message) from error

    return decoded


def _field(value: Any) -> str:  # noqa: ANN401 (a number or a list of some)
    return f'"{value}"' if isinstance(value, list) else str(value)


def _json(rows: list[dict[str, Any]]) -> bytes:
    return json.dumps({"predictions": rows}).encode()


def _json_lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()
