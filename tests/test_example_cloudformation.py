"""The stack of the example is one that CloudFormation takes, by AWS's own schemas, and does what `deploy` does."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from harness.targets import ROOT
from serving.cloud import scaling

TEMPLATE: Final = ROOT / "examples/cloudformation/endpoint.yaml"


def linted(path: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--include-checks", "I", "--", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_cfn_lint_finds_nothing() -> None:
    done = linted(TEMPLATE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("right", "wrong", "rule"),
    [
        ("ProductionVariants:", "ProductionVariant:", "E3002"),
        ("Default: ml.c7g.xlarge", "Default: ml.c7g.huge", "W1030"),
        ("sagemaker:variant:DesiredInstanceCount", "sagemaker:variant:Count", "E3030"),
        ("!GetAtt Model.ModelName", "!GetAtt Model.Name", "E1010"),
    ],
)
def test_cfn_lint_would_find_a_mistake(right: str, wrong: str, rule: str, tmp_path: Path) -> None:
    text = TEMPLATE.read_text()
    assert right in text
    (tmp_path / "endpoint.yaml").write_text(text.replace(right, wrong))
    assert rule in linted(tmp_path / "endpoint.yaml").stdout


def test_it_scales_as_deploy_does() -> None:
    text = TEMPLATE.read_text()
    register, put = (call.parameters for call in scaling.registration("${Endpoint.EndpointName}", 1, 2, 600))
    metric = put["TargetTrackingScalingPolicyConfiguration"]["PredefinedMetricSpecification"]
    for key in ("ServiceNamespace", "ScalableDimension"):
        assert f"{key}: {register[key]}\n" in text
    assert f"ResourceId: !Sub {register['ResourceId']}\n" in text
    assert f"PolicyType: {put['PolicyType']}\n" in text
    assert f"PredefinedMetricType: {metric['PredefinedMetricType']}\n" in text
