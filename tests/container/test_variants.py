"""The small variant serves ONNX models and says which image serves the others."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.bodies import document
from harness.targets import ROOT, Image

EXAMPLE = ROOT / "examples" / "digits"


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
