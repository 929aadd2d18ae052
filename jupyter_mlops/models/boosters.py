"""Models of XGBoost and LightGBM in the formats these libraries made for it.

Both hold trees and settings, and no code. The libraries are imported where a model of theirs
is met.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import pandas as pd

from jupyter_mlops.workspace import Denied, Unavailable

__all__ = ["BoosterModel", "freeze", "thaw_lightgbm", "thaw_xgboost"]

#: The classes of XGBoost that are made again from a file; it names none itself.
_XGBOOST = ("XGBClassifier", "XGBRegressor", "XGBRFClassifier", "XGBRFRegressor", "XGBRanker")


def freeze(model: Any) -> tuple[Literal["xgboost", "lightgbm"], bytes] | None:
    """A booster's bytes in its own format; None for a model that is no booster.

    Raises
    ------
    Denied
        It holds what its format has no place for: a loss or a metric of the notebook's own,
        or another mark for missing values than NaN.
    """
    module = type(model).__module__.partition(".")[0]
    if module == "xgboost":
        return "xgboost", _xgboost_bytes(model)
    if module == "lightgbm":
        return "lightgbm", _lightgbm_bytes(model)
    return None


def _xgboost_bytes(model: Any) -> bytes:
    name = type(model).__name__
    if name not in _XGBOOST:
        raise _refused(f"a {name} of XGBoost isn't kept", f"train one of {', '.join(_XGBOOST)}")
    if callable(model.objective):
        raise _refused("its loss is a function of the notebook", "choose one of XGBoost's own")
    if not (isinstance(model.missing, float) and math.isnan(model.missing)):
        raise _refused(
            f"it takes {model.missing!r} for missing, which its file doesn't keep",
            "replace that by NaN before training",
        )
    with TemporaryDirectory(prefix="jupyter-mlops-") as folder:
        path = Path(folder) / "model.ubj"
        model.save_model(path)
        return path.read_bytes()


def _lightgbm_bytes(model: Any) -> bytes:
    if callable(getattr(model, "objective", None)):
        raise _refused("its loss is a function of the notebook", "choose one of LightGBM's own")
    booster = getattr(model, "booster_", model)
    if type(booster).__name__ != "Booster":
        raise _refused(
            f"a {type(model).__name__} of LightGBM isn't kept",
            "train an LGBMClassifier, LGBMRegressor or LGBMRanker",
        )
    text: str = booster.model_to_string()
    return text.encode()


def _refused(what: str, fix: str) -> Denied:
    return Denied(what, fix=fix, code="E-MODEL-028")


def thaw_xgboost(path: Path, told: Mapping[str, Any]) -> Any:
    """Load an XGBoost model; `told` is what MLmodel says: ``class`` and ``categories``.

    Raises
    ------
    Unavailable
        XGBoost isn't installed, or the file can't be read.
    """
    xgboost = _library("xgboost")
    name = str(told.get("class", "")).rpartition(".")[2]
    if name not in _XGBOOST:
        raise Unavailable(
            f"the model file {path} is of {name or 'no class'}, which isn't loaded",
            fix="register the run again",
            code="E-MODEL-029",
        )
    model = getattr(xgboost, name)(enable_categorical=True)
    try:
        model.load_model(path)
    # Its message quotes the file, which needn't be text.
    except (xgboost.core.XGBoostError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    classes = told.get("classes")
    return _of(model, told, list(classes) if classes else None)


def thaw_lightgbm(path: Path, told: Mapping[str, Any]) -> Any:
    """Load a LightGBM model as its booster with classes; `told` as for `thaw_xgboost`.

    Raises
    ------
    Unavailable
        LightGBM isn't installed, or the file can't be read.
    """
    lightgbm = _library("lightgbm")
    try:
        booster = lightgbm.Booster(model_str=path.read_text("utf-8"))
    except (lightgbm.basic.LightGBMError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    return _of(booster, told, told.get("classes"))


def _of(model: Any, told: Mapping[str, Any], classes: Sequence[Any] | None) -> Any:
    features, categories = told.get("features") or (), told.get("categories") or {}
    if not classes:
        return BoosterModel(model, features, categories)
    return BoosterClassifier(model, features, categories, classes)


class BoosterModel:
    """A loaded booster that answers as the estimator it was saved from.

    Parameters
    ----------
    booster : Any
        Of LightGBM, or an estimator of XGBoost.
    features : sequence of str
        The columns it takes, in order; none when it was fitted on an array.
    categories : mapping of str to sequence
        The categories of those columns that have them, in the order of the training data.
    """

    def __init__(
        self, booster: Any, features: Sequence[str], categories: Mapping[str, Sequence[Any]]
    ) -> None:
        self.booster = booster
        self.categories = dict(categories)
        if features:
            self.feature_names_in_ = np.asarray(features, dtype=object)
        self.n_features_in_ = len(features) or int(
            getattr(booster, "n_features_in_", None) or booster.num_feature()
        )

    def predict(self, rows: Any) -> Any:
        """Numbers, shape (rows,)."""
        return np.asarray(self.booster.predict(self._prepared(rows)))

    def _prepared(self, rows: Any) -> Any:
        if not isinstance(rows, pd.DataFrame):
            return rows
        if hasattr(self, "feature_names_in_"):
            rows = rows[list(self.feature_names_in_)]
        changed = {
            name: pd.Categorical(rows[name], values) for name, values in self.categories.items()
        }
        return rows.assign(**changed) if changed else rows


class BoosterClassifier(BoosterModel):
    """A booster that chooses among `classes_`; takes them after what `BoosterModel` does."""

    def __init__(
        self,
        booster: Any,
        features: Sequence[str],
        categories: Mapping[str, Sequence[Any]],
        classes: Sequence[Any],
    ) -> None:
        super().__init__(booster, features, categories)
        self.classes_ = np.asarray(classes)

    def predict_proba(self, rows: Any) -> Any:
        """Probabilities, shape (rows, classes)."""
        given = self._prepared(rows)
        ask = getattr(self.booster, "predict_proba", self.booster.predict)
        found = np.asarray(ask(given), dtype=np.float64)
        return np.column_stack([1.0 - found, found]) if found.ndim == 1 else found

    def predict(self, rows: Any) -> Any:
        """The likeliest class of each row, shape (rows,)."""
        return self.classes_[np.argmax(self.predict_proba(rows), axis=1)]


def _library(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        raise Unavailable(
            f"the model is one of {name}, which isn't installed here",
            fix=f"pip install {name}",
            code="E-MODEL-030",
        ) from None


def _unreadable(path: Path, error: Exception) -> Unavailable:
    return Unavailable(
        f"the model file {path} can't be read by its own library",
        str(error).splitlines()[0][:300],
        "register the run again",
        code="E-MODEL-031",
    )
