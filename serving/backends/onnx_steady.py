"""Whether the time of an ONNX model's run follows from the shapes of its inputs, whatever their values.

Only then may a run that has been short be expected to be short again. A loop may be told its number of turns
by an input, and a Range or an Expand its size; a text may be of any length.
"""

import mmap
import re
from pathlib import Path

# Operators whose work, or whose output's size, an input's values may decide without a bound in the shapes, as they
# stand in a file: a node's field 4 (tag 0x22), the name's length, the name (onnx.proto, NodeProto.op_type).
UNSTEADY = re.compile(
    rb"\x22[\x02-\x40](?:Loop|Scan|If|Range|ConstantOfShape|Expand|Tile|NonZero|NonMaxSuppression|Compress|Unique|Resize"
    rb"|Upsample|CenterCropPad|Pad|OneHot|EyeLike|Sequence|SplitToSequence|Optional|Random|Multinomial|Bernoulli|String|Regex"
    rb"|TfIdf|Tokenizer|STFT|DFT|MelWeightMatrix|HannWindow|HammingWindow|BlackmanWindow|MaxUnpool|Col2Im|Attention"
    rb"|BeamSearch|GreedySearch|Sampling|WhisperBeamSearch)"
)
# A larger file's runs are longer than what this is asked for, and searching it would delay the start.
MOST_BYTES = 4 * 1024 * 1024


def is_steady(path: Path) -> bool:
    """Whether nothing in the file speaks against it; a mere tensor's name may, which costs nothing but speed."""
    if not 0 < path.stat().st_size <= MOST_BYTES:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return UNSTEADY.search(content) is None
