"""TensorFlow models: real pictures through a real Keras file, and the kernels' rounding."""

import json
import re
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from assets import keras_models
from assets.fetch import CIFAR10_KERAS, wheel_file
from assets.needed import needed
from assets.pictures import Picture, cifar10_input, cifar10_pictures
from blackbox.conftest import Shared
from harness.bodies import NPY, as_json, as_npy, document, npy
from harness.servers import Server
from harness.targets import Local, Target

RIGHT = 20
"""All of the twenty pictures, which the model gets right only if its input is prepared as it should be."""
FLOAT32_DIFFERENCE = 1e-5
"""Of the largest score; another processor adds up in another order."""


@pytest.fixture(scope="session")
def keras(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("cifar10")
    made.chmod(0o755)
    shutil.copy(needed(lambda: wheel_file(CIFAR10_KERAS)), made / "model.h5")
    return made


@pytest.fixture(scope="session")
def pictures() -> list[Picture]:
    return list(needed(cifar10_pictures))


@pytest.fixture(scope="session")
def batch(pictures: list[Picture]) -> np.ndarray:
    return np.concatenate([cifar10_input(picture) for picture in pictures])


class Strict(NamedTuple):
    """What the model makes of the pictures in float32, on this machine."""

    input_name: str
    scores: np.ndarray
    clear: np.ndarray
    """Of each picture, whether its best class is so far from the next that bf16 does not change it."""


@pytest.fixture(scope="session")
def strict(keras: Path, batch: np.ndarray) -> Strict:
    server = Local().start(keras, {"SERVING_FPMATH": "strict"})
    try:
        server.until_ready()
        scores = npy(server.post(as_npy(batch), NPY, NPY))
        refused = server.post(as_json({"inputs": {"no such input": []}})).json()["error"]
    finally:
        server.remove()
    (name,) = re.findall(r"expected '([^']*)'", refused)
    ranked = np.sort(scores, axis=1)
    clear = ranked[:, -1] - ranked[:, -2] > 0.05 * np.abs(scores).max()
    assert RIGHT / 2 < clear.sum() < RIGHT
    return Strict(name, scores, clear)


@pytest.fixture(scope="session")
def folder(
    target: Target, keras: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """With pictures to try bf16 on where the processor has it: on noise the best two classes are often too near."""
    if not target.has_arm_bf16:
        return keras
    # It takes a server of its own, which other processors do without.
    strict: Strict = request.getfixturevalue("strict")
    batch: np.ndarray = request.getfixturevalue("batch")
    tried = tmp_path_factory.mktemp("golden")
    tried.chmod(0o755)
    shutil.copy(keras / "model.h5", tried)
    np.savez(tried / "golden.npz", **{strict.input_name: batch[strict.clear]})
    return tried


@pytest.fixture
def server(shared: Shared, folder: Path) -> Server:
    return shared(folder)


def test_a_picture_as_the_walk_through_sends_it(server: Server, pictures: list[Picture]) -> None:
    (scores,) = document(server.post(as_json(cifar10_input(pictures[0]).tolist())))["predictions"]
    assert int(np.argmax(scores)) == pictures[0].label


@pytest.mark.any_graviton
def test_all_twenty_pictures_are_right_through_json(server: Server, pictures: list[Picture]) -> None:
    rows = [cifar10_input(picture)[0].tolist() for picture in pictures]
    scores = document(server.post(as_json({"instances": rows})))["predictions"]
    assert sum(np.argmax(scores, axis=1) == [picture.label for picture in pictures]) == RIGHT


@pytest.mark.any_graviton
def test_all_twenty_pictures_are_right_through_npy(server: Server, pictures: list[Picture], batch: np.ndarray) -> None:
    predicted = npy(server.post(as_npy(batch), NPY, NPY)).argmax(axis=1)
    assert sum(predicted == [picture.label for picture in pictures]) == RIGHT


@pytest.mark.any_graviton
def test_inspect_shows_the_plan_for_tensorflow(target: Target, folder: Path) -> None:
    done = target.run(["inspect", "--json"], folder)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["plan"]["framework"] == "tensorflow"
    environment = found["plan"]["environment"]
    assert environment["TF_ENABLE_ONEDNN_OPTS"] == "1"
    assert environment["TF_ONEDNN_ASSUME_FROZEN_WEIGHTS"] == "1"
    assert "DNNL_DEFAULT_FPMATH_MODE" not in environment
    assert found["plan"]["bf16_deviation"] is None
    assert [spec["shape"][1:] for spec in found["model"]["inputs"]] == [[32, 32, 3]]


@pytest.mark.graviton
def test_bf16_is_kept_for_pictures_that_stand_it_and_shows_in_the_numbers(
    target: Target, server: Server, pictures: list[Picture], batch: np.ndarray, strict: Strict
) -> None:
    scores = npy(server.post(as_npy(batch), NPY, NPY))
    labels = np.array([picture.label for picture in pictures])
    assert (scores.argmax(axis=1) == labels)[strict.clear].all()
    difference = np.abs(scores - strict.scores).max() / np.abs(strict.scores).max()
    metrics = server.client.get("/metrics").text
    tried = "serving_bf16_deviation NaN" not in metrics
    if target.has_arm_bf16:
        assert 1e-4 < difference < 1e-2
        assert "on golden.npz, within the tolerance" in server.logs()
        assert tried
        assert "serving_bf16 1.0" in metrics
    else:
        assert difference < FLOAT32_DIFFERENCE
        assert not tried
        assert "serving_bf16 0.0" in metrics


@pytest.fixture(scope="session")
def mobilenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MobileNetV2 with random weights; its kernels are those of the largest one, for which emulation takes long."""
    made = tmp_path_factory.mktemp("mobilenet")
    made.chmod(0o755)
    keras_models.mobilenet(made / "1")
    return made


@pytest.mark.graviton
def test_the_kernels_are_arms_and_bf16_where_it_is_asked_for(target: Target, mobilenet: Path) -> None:
    expected = "acl,no-ref,bf16" if target.has_arm_bf16 else "acl,no-ref"
    arguments = ["audit", "--json", "--expect", expected]
    done = target.run(arguments, mobilenet, SERVING_FPMATH="bf16")
    assert done.returncode == 0, done.stdout + done.stderr
    kernels = json.loads(done.stdout)["kernels"]
    assert kernels
    for kernel in kernels:
        assert "ref" not in kernel["implementation"]
        if kernel["operation"].lower() in {"convolution", "matmul", "inner_product", "fused convolution"}:
            assert "acl" in kernel["implementation"], kernel
            assert kernel["bf16"] is target.has_arm_bf16, kernel
