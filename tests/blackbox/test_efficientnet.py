"""A real ImageNet classifier gets real pictures right, the same ones as in this process."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from assets.efficientnet import PREDICTIONS, WANTED_RIGHT, efficientnet_onnx, logits
from assets.needed import needed
from assets.pictures import Picture, efficientnet_input, imagenet_pictures
from blackbox.conftest import Folder, Shared
from harness.bodies import NPY, as_json, as_npy, document, npy
from harness.crowd import at_once, metric, until
from harness.servers import Server
from harness.targets import Target

Serve = Callable[..., Server]
# float32 on another processor adds up in another order; bf16 in the last layer keeps 8 bits of logits of some 10.
# The closest two classes differ by 0.25.
TOLERANCE, BF16_TOLERANCE = 0.02, 0.1
# A run takes seconds under emulation, and all twenty at once the server's deadline of a minute on a busy machine.
EMULATED_PICTURES, EMULATED_AT_ONCE = 8, 4


@pytest.fixture(scope="session")
def onnx_file() -> Path:
    return needed(efficientnet_onnx)


@pytest.fixture(scope="session")
def folder(onnx_file: Path, model_folder: Folder) -> Path:
    return model_folder(partial(shutil.copy, onnx_file))


@pytest.fixture(scope="session")
def pictures() -> list[Picture]:
    return list(needed(imagenet_pictures))


@pytest.fixture
def few(target: Target, pictures: list[Picture]) -> list[Picture]:
    """All pictures, and under emulation those that are run at once."""
    return pictures[:EMULATED_AT_ONCE] if target.emulated else pictures


@pytest.fixture
def server(shared: Shared, folder: Path) -> Server:
    return shared(folder)


def test_pictures_through_npy(target: Target, server: Server, onnx_file: Path, pictures: list[Picture]) -> None:
    if target.emulated:
        pictures = pictures[:EMULATED_PICTURES]
    batch = np.concatenate([efficientnet_input(picture) for picture in pictures])
    requests = np.split(batch, EMULATED_PICTURES // EMULATED_AT_ONCE if target.emulated else 1)
    answer = np.concatenate([npy(server.post(as_npy(request), NPY, NPY)) for request in requests])
    tolerance = BF16_TOLERANCE if target.has_arm_bf16 else TOLERANCE
    np.testing.assert_allclose(answer, logits(onnx_file, pictures), atol=tolerance, rtol=0)
    predicted = answer.argmax(axis=1)
    assert tuple(predicted) == PREDICTIONS[: len(pictures)]
    assert target.emulated or sum(predicted == [picture.label for picture in pictures]) >= WANTED_RIGHT


@pytest.mark.any_graviton
def test_pictures_of_many_clients_at_once(target: Target, serve: Serve, folder: Path, few: list[Picture]) -> None:
    """Whatever was found best for it: wide runs, narrow ones on one copy of the weights, joint ones."""
    server = serve(folder).until_ready()
    until(server, lambda: "lanes: " in server.logs())

    def predict(picture: Picture) -> int:
        return int(npy(server.post(as_npy(efficientnet_input(picture)), NPY, NPY)).argmax())

    asked = few if target.emulated else few * 5
    expected = list(PREDICTIONS * 5)[: len(asked)]
    assert at_once(predict, asked, clients=8) == expected


@pytest.mark.any_graviton
def test_lanes_may_be_chosen(serve: Serve, folder: Path, few: list[Picture]) -> None:
    server = serve(folder, SERVING_LANES="2").until_ready()
    assert metric(server, "serving_lanes") == 2

    def predict(picture: Picture) -> int:
        return int(npy(server.post(as_npy(efficientnet_input(picture)), NPY, NPY)).argmax())

    assert at_once(predict, few, clients=8) == list(PREDICTIONS[: len(few)])


@pytest.mark.any_graviton
def test_pictures_through_json(server: Server, few: list[Picture]) -> None:
    predicted = []
    for picture in few:
        (answer,) = document(server.post(as_json(efficientnet_input(picture).tolist())))["predictions"]
        predicted.append(int(np.argmax(answer)))
    assert tuple(predicted) == PREDICTIONS[: len(few)]
