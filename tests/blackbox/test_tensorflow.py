"""TensorFlow models: real pictures through a real Keras file, and the kernels' rounding."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from assets import keras_models
from assets.fetch import CIFAR10_KERAS, wheel_file
from assets.needed import needed
from assets.pictures import Picture, cifar10_input, cifar10_pictures
from blackbox.conftest import Shared
from harness.bodies import NPY, as_json, as_npy, document, npy
from harness.servers import Server
from harness.targets import Target

RIGHT = 20
"""All of the twenty pictures, which the model gets right only if its input is prepared as it should be."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("cifar10")
    made.chmod(0o755)
    shutil.copy(needed(lambda: wheel_file(CIFAR10_KERAS)), made / "model.h5")
    return made


@pytest.fixture(scope="session")
def pictures() -> list[Picture]:
    return list(needed(cifar10_pictures))


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


def test_all_twenty_pictures_are_right_through_npy(server: Server, pictures: list[Picture]) -> None:
    batch = np.concatenate([cifar10_input(picture) for picture in pictures])
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
    target: Target, shared: Shared, folder: Path, pictures: list[Picture], tmp_path_factory: pytest.TempPathFactory
) -> None:
    server = shared(folder)
    assert "serving_bf16 0.0" in server.client.get("/metrics").text
    if not target.has_arm_bf16:
        assert "serving_bf16_deviation NaN" in server.client.get("/metrics").text
        return
    # It was tried; on noise this classifier's best two are often too near to tell apart.
    assert "bf16 is off: " in server.logs()
    assert "serving_bf16_deviation NaN" not in server.client.get("/metrics").text
    batch = np.concatenate([cifar10_input(picture) for picture in pictures])
    strict = npy(server.post(as_npy(batch), NPY, NPY))
    scores = np.sort(strict, axis=1)
    clear = scores[:, -1] - scores[:, -2] > 0.05 * np.abs(strict).max()
    assert RIGHT / 2 < clear.sum() < RIGHT
    tried = tmp_path_factory.mktemp("golden")
    tried.chmod(0o755)
    shutil.copy(folder / "model.h5", tried)
    refused = server.post(as_json({"inputs": {"no such input": []}})).json()["error"]
    (name,) = re.findall(r"expected '([^']*)'", refused)
    np.savez(tried / "golden.npz", **{name: batch[clear], "output_0": strict[clear]})
    in_bf16 = shared(tried)
    difference = np.abs(npy(in_bf16.post(as_npy(batch), NPY, NPY)) - strict).max() / np.abs(strict).max()
    assert 1e-4 < difference < 1e-2
    assert "on golden.npz, within the tolerance" in in_bf16.logs()
    metrics = in_bf16.client.get("/metrics").text
    assert "serving_bf16 1.0" in metrics
    assert "serving_bf16_deviation NaN" not in metrics


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
