"""What runs on the operator's machine stays out of the server's way."""

import subprocess
import sys

from harness.targets import ROOT


def test_the_command_line_imports_no_boto3_and_no_framework() -> None:
    program = "import sys, serving.cli; serving.cli._parser(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    imported = {name.partition(".")[0] for name in done.stdout.split()}
    assert "serving" in imported
    assert imported.isdisjoint({"boto3", "botocore", "numpy", "onnxruntime", "tensorflow"})
