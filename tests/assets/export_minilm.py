"""Turns the weights of the sentence encoder MiniLM into an ONNX file: `export_minilm.py FOLDER OUTPUT`.

It alone needs PyTorch and transformers, so minilm.py runs it with an interpreter of its own, and nothing
imports it. FOLDER has config.json and model.safetensors.
"""

import sys
from pathlib import Path
from typing import Any, Final

import onnx
import torch  # type: ignore[import-not-found,unused-ignore]
from export_efficientnet import forget_origin  # type: ignore[import-not-found,unused-ignore]
from transformers import BertModel  # type: ignore[import-not-found,unused-ignore]

IDS: Final = "input_ids"
MASK: Final = "attention_mask"
OUTPUT: Final = "sentence_embedding"
OPSET: Final = 18
# The tracer takes an axis of length 1 for a constant, and two axes of one length for one.
EXAMPLE_SHAPE: Final = (2, 7)
# The smallest divisor of a mean: a row without any token gives zeros instead of NaN, as in sentence-transformers.
LEAST_COUNT: Final = 1e-9


class Encoder(torch.nn.Module):  # type: ignore[misc,unused-ignore]
    """Tokens to a sentence's embedding, as modules.json of the package has it: encoder, mean of tokens, norm 1."""

    def __init__(self, bert: Any) -> None:  # noqa: ANN401  (PyTorch is not there when types are checked)
        super().__init__()
        self.bert = bert

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:  # noqa: ANN401
        """int64 [N, L] twice -> float32 [N, 384]."""
        # What is added to the scores. Given the mask itself, transformers exports the search for a better form of it.
        hidden = (1.0 - attention_mask[:, None, None, :].to(torch.float32)) * torch.finfo(torch.float32).min
        tokens = self.bert(input_ids=input_ids, attention_mask=hidden).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(tokens.dtype)
        mean = (tokens * mask).sum(1) / mask.sum(1).clamp(min=LEAST_COUNT)
        return torch.nn.functional.normalize(mean, p=2.0, dim=1)


def load(folder: Path) -> Encoder:
    """The network with its trained weights, set to infer."""
    # "eager" attention is exported as plain matrix products, which ONNX Runtime fuses as it likes.
    bert = BertModel.from_pretrained(folder, attn_implementation="eager", local_files_only=True)
    network: Encoder = Encoder(bert).eval()
    return network


def export(network: Encoder) -> onnx.ModelProto:
    """`input_ids`, `attention_mask` int64 [N, L] -> `sentence_embedding` float32 [N, 384]."""
    rows, length = torch.export.Dim("N"), torch.export.Dim("L", max=512)
    axes = {0: rows, 1: length}
    program = torch.onnx.export(
        network,
        (torch.ones(EXAMPLE_SHAPE, dtype=torch.int64), torch.ones(EXAMPLE_SHAPE, dtype=torch.int64)),
        input_names=[IDS, MASK],
        output_names=[OUTPUT],
        dynamic_shapes=(axes, axes),
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    model: onnx.ModelProto = program.model_proto
    forget_origin(model)
    return model


def main() -> None:
    """Read FOLDER, write OUTPUT."""
    folder, output = map(Path, sys.argv[1:])
    onnx.save_model(export(load(folder)), output)


if __name__ == "__main__":
    main()
