"""The model gets an array instead of a data frame only where that changes nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from jupyter_mlops.serving.fields import Field, field_type
from jupyter_mlops.serving.predictor import Predictor

rng = np.random.default_rng(1)
TABLE = pd.DataFrame(rng.normal(size=(120, 3)), columns=["a", "b", "c"])
TARGET = (TABLE["a"] + TABLE["b"] ** 2 > 1).to_numpy()
THREE = np.array(["early", "on time", "late"])[np.digitize(TABLE["a"], [-0.5, 0.5])]
DOUBLE = field_type("double")
assert DOUBLE is not None
FIELDS = tuple(Field(name, DOUBLE) for name in TABLE)
INPUTS = {name: TABLE[name].to_numpy() for name in TABLE}


BY_NAME = make_column_transformer((StandardScaler(), ["a", "c"]))


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize(
    ("model", "array"),
    [
        (LogisticRegression(), True),
        (HistGradientBoostingClassifier(max_iter=5), True),
        (RandomForestClassifier(5), True),
        (make_pipeline(StandardScaler(), LogisticRegression()), True),
        (make_pipeline(BY_NAME, LogisticRegression()), False),
    ],
)
@pytest.mark.parametrize("target", [TARGET, THREE])
def test_both_ways_give_the_models_own_answers(model, array: bool, target: np.ndarray) -> None:
    model.fit(TABLE, target)
    predictor = Predictor(model, FIELDS)
    assert predictor.prefer_array({n: v[:3] for n, v in INPUTS.items()}) is array
    answer = predictor(INPUTS)
    assert np.array_equal(answer.prediction, model.predict(TABLE))
    expected = model.predict_proba(TABLE)
    expected = expected[:, 1] if len(model.classes_) == 2 else expected
    assert np.array_equal(answer.probability, expected)


def test_columns_in_another_order_than_the_models_stay_a_frame() -> None:
    model = make_pipeline(
        make_column_transformer((StandardScaler(), ["a", "c"]), remainder="passthrough"),
        LinearRegression(),
    ).fit(TABLE, TABLE["a"])
    turned = tuple(reversed(FIELDS))
    predictor = Predictor(model, turned)
    inputs = {field.name: INPUTS[field.name] for field in turned}
    assert not predictor.prefer_array(inputs)
    assert np.array_equal(predictor(inputs).prediction, model.predict(TABLE))


def test_a_classifier_without_probabilities_gives_labels() -> None:
    model = LinearSVC().fit(TABLE, THREE)
    predictor = Predictor(model, FIELDS)
    assert predictor.task == "classes"
    assert predictor.labels == ["early", "late", "on time"]
    answer = predictor(INPUTS)
    assert answer.probability is None
    assert np.array_equal(answer.prediction, model.predict(TABLE))
