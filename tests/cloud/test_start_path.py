"""What runs on the operator's machine stays out of the server's way."""

import subprocess
import sys

from harness.targets import ROOT


def imported_by(program: str) -> set[str]:
    """The packages that a program has imported in the end."""
    program = f"import sys; {program}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_the_command_line_imports_no_boto3_and_no_framework() -> None:
    imported = imported_by("from serving.commands import parser; parser()")
    assert "serving" in imported
    assert imported.isdisjoint({"boto3", "botocore", "numpy", "onnxruntime", "tensorflow"})


def test_serving_has_no_need_of_what_reads_options() -> None:
    assert "argparse" in imported_by("from serving.commands import parser; parser()")
    assert "argparse" not in imported_by("import serving.cli, serving.launch")
