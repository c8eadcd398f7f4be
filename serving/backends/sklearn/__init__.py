"""Models of scikit-learn, and of what is built like them: pipelines, searches, XGBoost's and LightGBM's estimators.

loading  a .skops file or a pickle as an estimator
evidence which of an estimator's columns are text, by what it has learnt
layout   from the arrays of a request to what an estimator takes: a matrix, a list of texts, a data frame
model    its methods, each a signature
"""

from serving.backends.sklearn.loading import load

__all__ = ["load"]
