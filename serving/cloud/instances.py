"""Which processor is behind an instance type: botocore's own list, and AWS's naming rule.

The rule: letters for the family, digits for the generation, then `g` where the processor is a Graviton,
then letters for what else is in it: `ml.c7gn.2xlarge`. `ml.g5.xlarge` begins with its `g` and is none.
"""

import re

from botocore.session import Session

GRAVITON = re.compile(r"ml\.(?P<family>[a-z]+)(?P<generation>\d+)g(?P<extra>[a-z]*)\.(?P<size>\w+)")
# NVIDIA's Grace beside its GPUs is an Arm processor too.
GRACE = re.compile(r"ml\.p\d\w*-gb\d+\.\w+")
AMD64, ARM64 = "amd64", "arm64"


def endpoint_types() -> tuple[str, ...]:
    """Every instance type that an endpoint may have, as botocore's model of the API lists them."""
    model = Session().get_service_model("sagemaker")
    return tuple(model.shape_for("ProductionVariantInstanceType").enum)


def architecture(instance_type: str) -> str:
    """The architecture of an instance type, as images name it."""
    return ARM64 if GRAVITON.fullmatch(instance_type) or GRACE.fullmatch(instance_type) else AMD64
