"""Whether a pickle may be loaded: it is code, which runs when it is.

Only files of the model directory are ever unpickled, never anything from a request; the .npy and .npz decoders
refuse what is pickled in those.
"""

import logging
from pathlib import Path

from serving.errors import ModelLoadError
from serving.settings import Settings

log = logging.getLogger(__name__)


def permit(path: Path, settings: Settings, instead: str) -> None:
    """Say in the log that a pickle is being loaded. Raises ModelLoadError where none may be.

    Args:
        path: the pickle.
        settings: which say whether pickles may be loaded.
        instead: what to do without one, as a sentence.
    """
    if not settings.allow_pickle:
        raise ModelLoadError(
            f"{path} is a pickle, which is code that runs when it is loaded, and SERVING_ALLOW_PICKLE says that none "
            f"may be. {instead} Or trust the archive, and set SERVING_ALLOW_PICKLE=true."
        )
    log.warning("%s is a pickle, and loading it runs the code in it; SERVING_ALLOW_PICKLE=false refuses that", path)
