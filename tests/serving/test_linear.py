"""Linear models are asked without scikit-learn's checks where that changes no bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import linear_model as models
from sklearn.ensemble import RandomForestRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import LinearSVC, LinearSVR

from jupyter_mlops.serving.fields import Field, field_type
from jupyter_mlops.serving.linear import arithmetic_of
from jupyter_mlops.serving.predictor import Predictor

rng = np.random.default_rng(3)
ROWS = rng.normal(size=(150, 12)) * 10.0 ** rng.integers(-2, 3, 12)
NUMBERS = ROWS.sum(axis=1)
TWO = NUMBERS > 0
THREE = np.array(["early", "on time", "late"])[np.digitize(ROWS[:, 0], [-0.3, 0.3])]
DOUBLE = field_type("double")
assert DOUBLE is not None
FIELDS = tuple(Field(f"c{n}", DOUBLE) for n in range(12))

SHORT = [
    (models.LogisticRegression(max_iter=500), TWO),
    (models.LogisticRegression(max_iter=500), THREE),
    (models.LogisticRegression(solver="liblinear"), TWO),
    (models.LogisticRegressionCV(cv=2, max_iter=200), TWO),
    (models.LinearRegression(), NUMBERS),
    (models.LinearRegression(), np.c_[NUMBERS, -NUMBERS]),
    (models.Ridge(), NUMBERS),
    (models.Lasso(), NUMBERS),
    (models.ElasticNet(), NUMBERS),
    (models.HuberRegressor(max_iter=20), NUMBERS),
    (LinearSVR(max_iter=50), NUMBERS),
    (LinearSVC(), TWO),
    (LinearSVC(), THREE),
    (models.Perceptron(), THREE),
    (make_pipeline(StandardScaler(), models.LogisticRegression()), TWO),
    (make_pipeline(StandardScaler(with_mean=False), models.Ridge()), NUMBERS),
    (make_pipeline(StandardScaler(with_std=False), models.LogisticRegression()), THREE),
]
LONG = [
    (RandomForestRegressor(3), NUMBERS),
    (models.SGDClassifier(loss="log_loss"), TWO),
    (models.PoissonRegressor(), np.abs(NUMBERS)),
    (make_pipeline(MinMaxScaler(), models.Ridge()), NUMBERS),
    (make_pipeline(StandardScaler(), StandardScaler(), models.Ridge()), NUMBERS),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("model", "target"), SHORT)
def test_the_answers_are_the_models_own_to_the_last_bit(model: Any, target: Any) -> None:
    model.fit(ROWS, target)
    found = arithmetic_of(model, ROWS[:3])
    assert found is not None
    for count in (1, 4, 64, 150):
        for rows in (ROWS[:count], np.asfortranarray(ROWS[:count]), ROWS[:count] * 1e6):
            ours, theirs = found.predict(rows), model.predict(rows)
            assert ours.dtype == theirs.dtype
            assert np.array_equal(ours, theirs)
            if found.predict_proba is not None:
                assert np.array_equal(found.predict_proba(rows), model.predict_proba(rows))
    assert (found.predict_proba is None) == (not hasattr(model, "predict_proba"))


class Twice(models.LinearRegression):
    def predict(self, rows: Any) -> Any:
        return 2 * super().predict(rows)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("model", "target"), [*LONG, (Twice(), NUMBERS)])
def test_other_models_are_asked_themselves(model: Any, target: Any) -> None:
    assert arithmetic_of(model.fit(ROWS, target), ROWS[:3]) is None


def test_a_model_that_was_changed_is_asked_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    model = models.Ridge().fit(ROWS, NUMBERS)
    assert arithmetic_of(model, ROWS[:3]) is not None
    real = models.Ridge._decision_function
    monkeypatch.setattr(
        models.Ridge, "_decision_function", lambda self, rows: np.round(real(self, rows), 6)
    )
    assert arithmetic_of(model, ROWS[:3]) is None


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("hole", [np.nan, np.inf])
def test_what_a_model_refuses_is_refused_as_ever(hole: float) -> None:
    named = pd.DataFrame(ROWS, columns=[f.name for f in FIELDS])
    model = models.LogisticRegression(max_iter=500).fit(named, TWO)
    predictor = Predictor(model, FIELDS)
    predictor.hasten({f.name: ROWS[:3, n] for n, f in enumerate(FIELDS)})
    assert predictor.as_array
    block = np.ascontiguousarray(ROWS[:5].T)
    answer = predictor.of_block(block)
    theirs = np.asfortranarray(ROWS[:5])
    assert np.array_equal(answer.probability, model.predict_proba(theirs)[:, 1])
    assert np.array_equal(answer.prediction, model.predict(theirs))
    block[3, 2] = hole
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        predictor.of_block(block)


def test_a_scaler_leaves_what_was_sent_as_it_is() -> None:
    model = make_pipeline(StandardScaler(), models.LinearRegression()).fit(ROWS, NUMBERS)
    found = arithmetic_of(model, ROWS[:3])
    assert found is not None
    rows = np.asfortranarray(pd.DataFrame(ROWS).to_numpy())
    before = rows.copy()
    found.predict(rows)
    assert np.array_equal(rows, before)
