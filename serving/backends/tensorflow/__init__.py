"""TensorFlow models: SavedModels, Keras's `.keras` and `.h5`; one concrete function for each signature."""

from serving.backends.tensorflow.loading import load

__all__ = ["load"]
