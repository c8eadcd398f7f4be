"""PyTorch models: TorchScript modules and the programs of torch.export, on the CPU.

loading   a file as a model; threads
scripted  TorchScript: what a module takes and gives, learnt from its file and by trial
examples  what such a module may be tried on: golden.npz, the inputs it was traced with, its first layer
axes      which axes of its inputs are free, and what its outputs' have to do with them
state     whether it keeps something between calls
exported  torch.export: a program tells all of that itself
model     running either
tensors   from arrays to tensors and back
"""

from serving.backends.torch.loading import load

__all__ = ["load"]
