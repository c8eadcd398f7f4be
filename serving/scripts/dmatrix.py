"""Bodies as XGBoost's matrices, under the names that AWS's XGBoost container has for it, which its scripts import.

What libsvm and a sparse record leave out is absent, not 0; indices of libsvm count from 0 or from 1, as those that a
model without a script gets.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xgboost as xgb
from scipy import sparse

from serving.codecs import csv, libsvm, recordio
from serving.scripts.toolkit import CSV, UnsupportedFormatError, named
from serving.signature import Signature, TensorSpec

LIBSVM = ("text/libsvm", "text/x-libsvm")
RECORDIO = "application/x-recordio-protobuf"
ANY_WIDTH = Signature((TensorSpec("X", "float64", ("rows", "columns")),), ())


def csv_to_dmatrix(body: str | bytes, dtype: object = None) -> Any:  # noqa: ANN401 (a DMatrix)
    """CSV with any of the usual delimiters; an empty field is absent. Raises BadRequestError."""
    del dtype  # a DMatrix has float32
    return xgb.DMatrix(csv.decode(_bytes(body), ANY_WIDTH, loose=True).inputs["X"])


def libsvm_to_dmatrix(body: str | bytes) -> Any:  # noqa: ANN401 (a DMatrix)
    """Libsvm. Raises BadRequestError."""
    rows = libsvm.pairs(_bytes(body))
    first = libsvm.first_index(rows)
    return _sparse([([index - first for index, _ in row], [value for _, value in row]) for row in rows], 0)


def recordio_protobuf_to_dmatrix(body: bytes) -> Any:  # noqa: ANN401 (a DMatrix)
    """Records of SageMaker's, dense and sparse. Raises BadRequestError."""
    entries = recordio.entries(bytes(body))
    return _sparse([(entry.keys, entry.values) for entry in entries], max((e.width for e in entries), default=0))


def decode(body: str | bytes, content_type: str) -> Any:  # noqa: ANN401 (a DMatrix)
    """By the type. Raises BadRequestError and UnsupportedFormatError."""
    kind = named(content_type)
    if kind == CSV:
        return csv_to_dmatrix(body)
    if kind in LIBSVM:
        return libsvm_to_dmatrix(body)
    if kind == RECORDIO:
        return recordio_protobuf_to_dmatrix(_bytes(body))
    raise UnsupportedFormatError(content_type)


def json_to_jsonlines(document: str | Mapping[str, list[Any]]) -> bytes:
    """The entries of a document's one list, each on a line. Raises ValueError."""
    parts = json.loads(document) if isinstance(document, str) else document
    if len(parts) != 1:
        raise ValueError(f"expected an object with one list, got {len(parts)} entries")
    return "".join(f"{json.dumps(entry)}\n" for entries in parts.values() for entry in entries).encode()


def _sparse(rows: list[tuple[Any, Any]], width: int) -> Any:  # noqa: ANN401 (a DMatrix)
    """A matrix of the indices and the values of each row, as wide as they need and `width` at least."""
    indices = np.concatenate([np.asarray(keys, np.int64) for keys, _ in rows]) if rows else np.zeros(0, np.int64)
    values = np.concatenate([np.asarray(given, np.float64) for _, given in rows]) if rows else np.zeros(0)
    ends = np.cumsum([0, *(len(keys) for keys, _ in rows)])
    columns = max(width, int(indices.max()) + 1 if len(indices) else 0)
    return xgb.DMatrix(sparse.csr_matrix((values, indices, ends), shape=(len(rows), columns)))


def _bytes(body: str | bytes) -> bytes:
    return body.encode() if isinstance(body, str) else bytes(body)
