"""Makes PyTorch's models for the tests: `make_torch_models.py WEIGHTS FOLDER`, a folder in it for each.

Run by torch_environment.py with the interpreter that has PyTorch.
"""

import sys
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch_modules as modules  # type: ignore[import-not-found]  # beside this file
from efficientnet_lite_pytorch import EfficientNet  # type: ignore[import-not-found,import-untyped,unused-ignore]

# The tracer takes an axis of length 1 for a constant.
PICTURES: Final = torch.zeros(2, 3, 224, 224)


def efficientnet(weights: Path) -> Any:  # noqa: ANN401  (PyTorch is not there when types are checked)
    """EfficientNet-Lite0 with its trained weights: `inputs` float32 [N, 3, 224, 224] -> [N, 1000]."""
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return network.eval()


def main() -> None:
    """Read WEIGHTS, write all models."""
    weights, folder = map(Path, sys.argv[1:])
    warnings.simplefilter("ignore")  # programmers are told to leave TorchScript

    def place(*parts: str) -> Path:
        path = folder.joinpath(*parts)
        path.parent.mkdir()
        return path

    network = efficientnet(weights)
    # A name with dots and blanks, as users have them.
    torch.jit.trace(network, PICTURES).save(place("efficientnet", "EfficientNet Lite0.v1.pth"))
    exported = torch.export.export(network, (PICTURES,), dynamic_shapes=({0: torch.export.Dim("N")},))
    torch.export.save(exported, place("efficientnet-exported", "model.pt2"))
    products = modules.Products().eval()
    torch.jit.trace(products, torch.zeros(2, 258)).save(place("products", "model.pt"))
    np.save(folder / "products" / "weight.npy", products.layer.weight.detach().numpy())
    torch.save(products.state_dict(), place("weights", "model.pt"))
    torch.jit.script(modules.Counter().eval()).save(place("counter", "model.pt"))


if __name__ == "__main__":
    main()
