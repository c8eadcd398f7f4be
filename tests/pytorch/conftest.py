"""These tests need PyTorch: tests/test_torch_backend.py runs them with the interpreter that has it."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("torch") else ["test_*.py"]
