"""The small variant serves ONNX models and says which image serves the others."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import of_image
from harness.bodies import document
from harness.targets import ROOT, Image

EXAMPLE = ROOT / "examples" / "digits"
COMPRESSED = ROOT / "build" / "compressed"


@pytest.mark.container
@pytest.mark.parametrize(("platform", "cpu"), [("amd64", ""), ("arm64", "neoverse-n1")])
def test_the_onnx_variant_reads_the_digit(image_of: Callable[[str, str], str], platform: str, cpu: str) -> None:
    target = Image(image_of(platform, "onnx"), platform, cpu)
    server = target.start(EXAMPLE / "model", {})
    try:
        server.until_ready()
        answer = document(server.post((EXAMPLE / "sample.json").read_bytes()))
        assert answer["predictions"][0]["label"] == int((EXAMPLE / "sample.label").read_text())
    finally:
        server.remove()


@pytest.mark.container
def test_the_onnx_variant_names_the_image_that_has_tensorflow(
    image_of: Callable[[str, str], str], tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"never read")
    done = Image(image_of("amd64", "onnx"), "amd64").run(["inspect"], tmp_path)
    assert done.returncode == 1
    assert "tensorflow" in done.stderr
    assert "variant" in done.stderr


@pytest.mark.container
def test_what_an_image_weighs_is_found_once(image_of: Callable[[str, str], str]) -> None:
    """It is what gzip makes of it; the second time the answer is at hand, and not that of another image."""
    name = image_of("amd64", "onnx")
    kept = COMPRESSED / of_image(name, "{{.Id}}")
    saved = subprocess.run(["bash", "-c", 'docker save "$0" | gzip | wc -c', name], capture_output=True, check=True)
    assert int(kept.read_text()) == pytest.approx(int(saved.stdout), rel=0.01)
    kept.write_text("123456789")
    try:
        told = weighed(name)
    finally:
        kept.unlink()
    assert told == "123456789"
    assert int(weighed(name)) == pytest.approx(int(saved.stdout), rel=0.01)


def test_an_image_that_cannot_be_weighed_weighs_nothing() -> None:
    command = "docker() { [[ $1 == image ]] && echo sha256:none; }; . docker/image.sh; compressed_bytes any"
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=ROOT, check=False)
    assert done.returncode != 0
    assert not list(COMPRESSED.glob("sha256:none*"))


def weighed(name: str) -> str:
    command = ["bash", "-euo", "pipefail", "-c", '. docker/image.sh; compressed_bytes "$0"', name]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
