"""Models that many workers or a GPU trained, as one process without either predicts with them.

Dask's estimators of XGBoost and LightGBM take collections of Dask's, and hold a client; those that
scikit-learn fitted on arrays of a GPU hold such arrays. What is scored, kept and served are the
plain classes, with the same trees and the same numbers.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final

__all__ = ["plain"]

#: Libraries whose arrays scikit-learn computes with, and that NumPy's rows don't fit.
_ARRAYS: Final = {"array_api_strict", "cupy", "dpnp", "torch"}


def plain(model: Any) -> Any:
    """The same model as a plain one; any other is returned as it is.

    Parameters
    ----------
    model : object
        ``DaskXGBClassifier`` and the like, a bare ``xgboost.Booster`` (as ``xgboost.dask.train``
        returns), ``DaskLGBMClassifier`` and the like, or an estimator whose fitted attributes are
        arrays of another library than NumPy.

    Notes
    -----
    A model with a loss of the notebook's own is returned as it is: no file holds that.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> model = LinearRegression()
    >>> plain(model) is model
    True
    """
    kind = type(model)
    library = kind.__module__.partition(".")[0]
    if library == "xgboost" and (kind.__name__ == "Booster" or kind.__name__.startswith("Dask")):
        return _xgboost(model)
    if library == "lightgbm" and kind.__name__.startswith("Dask"):
        return model.to_local()
    if not _ARRAYS.isdisjoint(sys.modules) and _holds_others(model):
        import numpy as np
        from sklearn.utils._array_api import move_estimator_to

        return move_estimator_to(model, np, "cpu")
    return model


def _xgboost(model: Any) -> Any:
    import xgboost

    if type(model).__name__ == "Booster":
        told = json.loads(model.save_config())["learner"]["objective"]["name"]
        family = told.partition(":")[0]
        name = {"binary": "XGBClassifier", "multi": "XGBClassifier", "rank": "XGBRanker"}.get(
            family, "XGBRegressor"
        )
        made, booster = getattr(xgboost, name)(), model
    elif callable(model.objective):
        return model
    else:
        made = getattr(xgboost, type(model).__name__.removeprefix("Dask"))()
        known = made.get_params()
        made.set_params(**{name: one for name, one in model.get_params().items() if name in known})
        booster = model.get_booster()
    made.load_model(bytearray(booster.save_raw("ubj")))
    return made


def _holds_others(value: Any) -> bool:
    """Whether an estimator holds arrays of another library, also in a step of it."""
    if isinstance(value, dict):
        return any(_holds_others(one) for one in value.values())
    if isinstance(value, list | tuple):
        return any(_holds_others(one) for one in value)
    if type(value).__module__.partition(".")[0] in _ARRAYS:
        return hasattr(value, "shape")
    return hasattr(value, "get_params") and _holds_others(vars(value))
