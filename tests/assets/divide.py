"""Run inside the image: divides the mounted model and prints how far its ways to run it are apart."""

import json
import os
from pathlib import Path

from serving.preparation import apply_environment, prepare
from serving.settings import Settings


def main() -> None:
    """Print whether bf16 is on, and the largest differences of the wide and of the narrow session from the model."""
    prepared = prepare(Settings(model_dir=Path("/opt/ml/model")), os.environ)
    apply_environment(prepared.plan)
    import numpy as np  # noqa: PLC0415 (only now, as in the server)

    from serving import backends  # noqa: PLC0415
    from serving.warmup import synthesise  # noqa: PLC0415

    model = backends.load(prepared.found.framework, prepared.found.path, prepared.plan)
    assert isinstance(model, backends.Divisible)
    wide, narrow = model.divide()
    inputs = synthesise(model.signature, 4, 3)
    expected, *others = (np.asarray(next(iter(one.run(inputs).values()))) for one in (model, wide, narrow))
    apart = [float(np.abs(other - expected).max()) for other in others]
    print(json.dumps({"bf16": prepared.plan.bf16, "apart": apart, "largest": float(np.abs(expected).max())}))  # noqa: T201


main()
