"""Every estimator of scikit-learn that predicts is kept, loaded and served, or says why not."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import is_classifier
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils import all_estimators

from jupyter_mlops.models.freezing import freeze, thaw
from jupyter_mlops.serving.fields import Field, field_type
from jupyter_mlops.serving.jsonbody import write_json
from jupyter_mlops.serving.predictor import Predictor
from jupyter_mlops.workspace import Denied

X, Y = make_classification(60, 5, n_informative=3, random_state=0)
X = np.abs(X)
# Reviewed: what can't be kept safely, with the sentence that a person gets.
EXCEPTIONS = {
    # Its tree of clusters is a web of objects that point at each other, which skops doesn't write.
    "Birch": "has no safe file format",
}
# Fitted on an array of other shape, or with what has no default.
SETTINGS: dict[str, dict[str, Any]] = {
    "GridSearchCV": {"param_grid": {}},
    "HalvingGridSearchCV": {"param_grid": {}},
    "HalvingRandomSearchCV": {"param_distributions": {}},
    "RandomizedSearchCV": {"param_distributions": {}, "n_iter": 1},
    "LocalOutlierFactor": {"novelty": True},
    "SelfTrainingClassifier": {"estimator": LogisticRegression()},
    # Small ones, for the time it takes.
    "ExtraTreesClassifier": {"n_estimators": 5},
    "ExtraTreesRegressor": {"n_estimators": 5},
    "GradientBoostingClassifier": {"n_estimators": 5},
    "GradientBoostingRegressor": {"n_estimators": 5},
    "HistGradientBoostingClassifier": {"max_iter": 5},
    "HistGradientBoostingRegressor": {"max_iter": 5},
    "IsolationForest": {"n_estimators": 5},
    "MLPClassifier": {"hidden_layer_sizes": (4,), "max_iter": 20},
    "MLPRegressor": {"hidden_layer_sizes": (4,), "max_iter": 20},
    "RandomForestClassifier": {"n_estimators": 5},
    "RandomForestRegressor": {"n_estimators": 5},
}
SEVERAL_TARGETS = {"CCA", "PLSCanonical", "PLSRegression", "ClassifierChain", "RegressorChain"}
# Each row is answered by two numbers or labels.
SEVERAL_ANSWERS = {
    *SEVERAL_TARGETS,
    *("MultiOutputClassifier", "MultiOutputRegressor", "MultiTaskElasticNet"),
    *("MultiTaskElasticNetCV", "MultiTaskLasso", "MultiTaskLassoCV"),
}
ESTIMATORS = dict(all_estimators())
PREDICTING = sorted(
    name
    for name, kind in ESTIMATORS.items()
    if hasattr(kind, "predict") or name == "LocalOutlierFactor"
)


def fitted(name: str) -> tuple[Any, np.ndarray[Any, Any]]:
    """An estimator fitted on toy data, and the rows it was fitted on."""
    kind = ESTIMATORS[name]
    takes = inspect.signature(kind.__init__).parameters
    told = dict(SETTINGS.get(name, {}))
    # What wraps others is given a linear model, or that and a tree.
    classifies = is_classifier(kind.__new__(kind)) if name == "VotingClassifier" else "Cla" in name
    one: Any = LogisticRegression() if classifies or "OneVs" in name else Ridge()
    two: Any = DecisionTreeClassifier() if classifies else DecisionTreeRegressor()
    needed = {"estimator": one, "estimators": [("a", one), ("b", two)], "steps": [("m", one)]}
    for word, value in needed.items():
        if word in takes and takes[word].default is inspect.Parameter.empty:
            told.setdefault(word, value)
    rows = X[:, 0] if name == "IsotonicRegression" else X
    target: Any = Y
    if name in SEVERAL_TARGETS or "MultiTask" in name or name.startswith("MultiOutput"):
        target = np.c_[Y, 1 - Y] if classifies else np.c_[Y + X[:, 1], X[:, 0]]
    if name == "GammaRegressor":
        target = Y + 1
    return kind(**told).fit(rows, target), rows


@pytest.mark.parametrize("name", PREDICTING)
@pytest.mark.filterwarnings("ignore")
def test_is_kept_and_answers_as_before(name: str, tmp_path: Path) -> None:
    model, rows = fitted(name)
    if name in EXCEPTIONS:
        with pytest.raises(Denied, match=EXCEPTIONS[name]):
            freeze(model)
        return
    path = tmp_path / "model.skops"
    path.write_bytes(freeze(model).content)
    again = thaw(path)
    for answer in ("predict", "predict_proba", "decision_function", "transform"):
        if not hasattr(model, answer):
            continue
        expected, found = getattr(model, answer)(rows), getattr(again, answer)(rows)
        # Arrays come back in another order of memory, in which sums round otherwise.
        if isinstance(expected, np.ndarray) and expected.dtype.kind == "f":
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
        else:
            np.testing.assert_array_equal(found, expected)
    # As an endpoint's process asks it: columns in, one row of JSON out for each.
    columns = {str(n): column for n, column in enumerate(np.atleast_2d(rows.T))}
    double = field_type("double")
    assert double is not None
    predictor = Predictor(again, tuple(Field(one, double) for one in columns), tensor=True)
    predictor.settle(predictor(columns))
    answer = predictor(columns)
    expected = np.asarray(model.predict(rows))
    given = write_json(answer.predictions if expected.ndim < 2 else answer.prediction.tolist())
    expected = expected.reshape(answer.prediction.shape)
    np.testing.assert_allclose(json.loads(given), expected, atol=1e-12)
    assert (predictor.task == "any") == (name in SEVERAL_ANSWERS)


def test_the_exceptions_are_estimators() -> None:
    assert set(EXCEPTIONS) <= set(PREDICTING)
    assert len(PREDICTING) > 90
