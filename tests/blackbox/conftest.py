"""Servers with the models that most black-box tests use."""

from collections.abc import Callable
from pathlib import Path

import pytest

from assets import onnx_models
from harness.servers import Server

Shared = Callable[..., Server]
Folder = Callable[..., Path]


@pytest.fixture
def echo(shared: Shared, model_folder: Folder) -> Server:
    """`x` float32 [N, L] -> `y`, the same."""
    return shared(model_folder(onnx_models.identity, columns="L"))


@pytest.fixture
def two(shared: Shared, model_folder: Folder) -> Server:
    """`a` float32 [N, 3], `b` int64 [N, 2] -> `sum` [N], `doubled` [N, 2]."""
    return shared(model_folder(onnx_models.two_inputs))


@pytest.fixture
def typed(shared: Shared, model_folder: Folder) -> Server:
    """Every element type in, the same out."""
    return shared(model_folder(onnx_models.every_type))


@pytest.fixture
def fixed(shared: Shared, model_folder: Folder) -> Server:
    """`x` float32 [1, 4] -> `y` [1, 2]: the left half plus the right half."""
    return shared(model_folder(onnx_models.fixed_shape))


@pytest.fixture
def table(shared: Shared, model_folder: Folder) -> Server:
    """`index` int64 [N] -> `row` float32 [N, 2]; an index outside the table makes the runtime fail."""
    return shared(model_folder(onnx_models.poison))
