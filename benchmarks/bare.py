"""What a server is held against: a script that imports the runtime, loads a model and runs it, and nothing else.

    python benchmarks/bare.py MODEL INPUTS.npz

INPUTS.npz has arrays named `RUN/INPUT`. When all have been run, in order, it prints its resident size in bytes, and
ends when its standard input does.
"""

import os
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
RESIDENT = 1


def main() -> None:
    """Run what is asked for."""
    model, inputs = sys.argv[1:]
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]
    with np.load(inputs) as arrays:
        for run in range(len(arrays.files) // len(names)):
            session.run(None, {name: arrays[f"{run}/{name}"] for name in names})
    print(int(Path("/proc/self/statm").read_text().split()[RESIDENT]) * PAGE_BYTES, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
