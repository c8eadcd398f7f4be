"""XGBoost's models: one booster, or several that answer together.

loading  files of every format that XGBoost has had, as boosters
binary   the binary format that XGBoost itself reads no more, as today's JSON
pickled  the booster inside a pickle, without running the pickle
model    what runs them
answers  what an answer looks like: that of AWS's container
"""

from serving.backends.xgboost.loading import load

__all__ = ["load"]
