"""Loading a file of PyTorch's as a model that runs on the plan's threads."""

import logging
from pathlib import Path

import torch

from serving.backends.torch import exported, scripted
from serving.backends.torch.model import TorchModel, state_note
from serving.contents import TorchContent, torch_content
from serving.plans import Plan
from serving.plans.torch import INTEROP_THREADS

log = logging.getLogger(__name__)


def load(path: Path, plan: Plan) -> TorchModel:
    """Load a TorchScript module or a program of torch.export, by what the file holds. Raises ModelLoadError."""
    _set_threads(plan.threads)
    if torch_content(path) is TorchContent.EXPORTED:
        program = exported.load(path)
    else:
        program = scripted.load(path, (path.parent, plan.settings.model_dir))
    if program.state:
        log.warning("%s", state_note(program.state))
    return TorchModel(program)


def _set_threads(threads: int) -> None:
    torch.set_num_threads(threads)
    # It can be said once in a process, and not after the first use.
    if torch.get_num_interop_threads() != INTEROP_THREADS:
        torch.set_num_interop_threads(INTEROP_THREADS)
