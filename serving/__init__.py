"""graviton-serving: serves a trained model on Amazon SageMaker, tuned to the processor it landed on."""

# pyproject.toml reads the version from here; the image's label too.
__version__ = "0.1.0"
