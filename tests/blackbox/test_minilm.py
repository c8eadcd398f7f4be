"""A real sentence encoder: sentences of any length, alone, in one batch and of many clients at once, as in process."""

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from assets.minilm import ALIKE, IDS, MASK, OUTPUT, UNLIKE, WANTED_LEAD, minilm_onnx, token_ids
from assets.needed import needed
from blackbox.conftest import Folder, Shared
from harness.bodies import NPY, NPZ, Tensor, as_json, as_npz, document, npy, refusal
from harness.crowd import at_once
from harness.servers import Server
from harness.targets import Target

# Vectors of length 1, whose elements are some 0.05. float32 on another processor adds up in another order; bf16 keeps
# 8 bits in every product of six layers.
TOLERANCE, BF16_TOLERANCE = 1e-5, 5e-3
# With those two tokens that every sentence has: 32, a usual length of what people search for.
LONG = (
    "the old man who lived near the river told us that his two sons had left the village many long years before "
    "the war began and never came back home"
)
SHORT = ("hello", "good morning", "where is the station", "the train to the city leaves at noon today")
SENTENCES = (*SHORT, *ALIKE, UNLIKE, LONG)
# A sentence takes seconds under emulation: no more than four short ones in a batch, and no run at start that can be
# spared.
EMULATED = (SHORT[0], *ALIKE, UNLIKE)
SPARED = {"SERVING_LANES": "1", "SERVING_BATCH": "false"}


@pytest.fixture(scope="session")
def onnx_file() -> Path:
    return needed(minilm_onnx)


@pytest.fixture(scope="session")
def folder(onnx_file: Path, model_folder: Folder) -> Path:
    return model_folder(partial(shutil.copy, onnx_file))


@pytest.fixture(scope="session")
def vectors(onnx_file: Path) -> dict[str, Tensor]:
    """What each sentence gives alone in this process: float32 [1, 384]."""
    session = onnxruntime.InferenceSession(onnx_file, providers=["CPUExecutionProvider"])
    return {text: session.run([OUTPUT], tokens([text]))[0] for text in SENTENCES}


@pytest.fixture
def server(target: Target, shared: Shared, folder: Path) -> Server:
    if not target.emulated:
        return shared(folder)
    return shared(folder, **SPARED, SERVING_FPMATH="bf16" if target.has_arm_bf16 else "auto")


def tokens(texts: list[str]) -> dict[str, Tensor]:
    """`input_ids` and `attention_mask`, int64 [N, L], the shorter ones filled up with zeros."""
    numbers = token_ids(texts)
    length = max(map(len, numbers))
    ids = np.array([one + [0] * (length - len(one)) for one in numbers])
    return {IDS: ids, MASK: (np.arange(length) < np.array([[len(one)] for one in numbers])).astype(np.int64)}


def tolerance(target: Target) -> float:
    return BF16_TOLERANCE if target.has_arm_bf16 else TOLERANCE


def embedded(server: Server, texts: list[str]) -> Tensor:
    return npy(server.post(as_npz(**tokens(texts)), NPZ, NPY))


@pytest.mark.any_graviton
def test_a_sentence_of_32_tokens(target: Target, server: Server, vectors: dict[str, Tensor]) -> None:
    given = tokens([LONG])
    assert given[IDS].shape == (1, 32)
    np.testing.assert_allclose(embedded(server, [LONG]), vectors[LONG], atol=tolerance(target), rtol=0)


def test_all_lengths_in_one_batch_tell_meanings_apart(
    target: Target, server: Server, vectors: dict[str, Tensor]
) -> None:
    """The mask takes the filling out again, so each is what it is alone."""
    texts = EMULATED if target.emulated else SENTENCES
    answer = embedded(server, list(texts))
    wanted = np.concatenate([vectors[text] for text in texts])
    np.testing.assert_allclose(answer, wanted, atol=tolerance(target), rtol=0)
    one, other, unlike = (answer[texts.index(text)] for text in (*ALIKE, UNLIKE))
    assert one @ other - max(one @ unlike, other @ unlike) > WANTED_LEAD


@pytest.mark.any_graviton
def test_tokens_may_be_json(target: Target, server: Server, vectors: dict[str, Tensor]) -> None:
    text = SHORT[0]
    row = {name: values[0].tolist() for name, values in tokens([text]).items()}
    (answer,) = document(server.post(as_json({"instances": [row]})))["predictions"]
    np.testing.assert_allclose(answer, vectors[text][0], atol=tolerance(target), rtol=0)


@pytest.mark.any_graviton
def test_requests_of_mixed_lengths_at_once_get_their_own_answers(
    target: Target, server: Server, vectors: dict[str, Tensor]
) -> None:
    asked = SENTENCES[:-1] if target.emulated else SENTENCES * 8
    answers = at_once(lambda text: embedded(server, [text]), asked)
    for text, answer in zip(asked, answers, strict=True):
        np.testing.assert_allclose(answer, vectors[text], atol=tolerance(target), rtol=0, err_msg=text)


def test_ids_and_mask_of_different_lengths_are_refused(server: Server) -> None:
    given = tokens([LONG])
    assert refusal(server.post(as_npz(**{IDS: given[IDS], MASK: given[MASK][:, 1:]}), NPZ))[0] == 400
