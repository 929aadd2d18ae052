"""Linear models of scikit-learn, asked without the checks of what was checked already.

Of the time that scikit-learn takes for one row of a linear model, nine tenths go into looking at
the model, its parameters and the array. Rows that come here are doubles of the right columns, and
the arithmetic that is left is a handful of calls of NumPy: the same, on the same arrays, in the
same order as scikit-learn's own, so that the answers are the same to the last bit. That is looked
at when a model is opened; one that answers otherwise is asked as ever.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from jupyter_mlops.serving.fields import Array

__all__ = ["Arithmetic", "arithmetic_of"]

#: Rows of the tables that are asked about both ways: products of matrices have several kernels.
_ROWS: Final = (1, 2, 3, 5, 8, 16, 33, 64, 257)
#: scikit-learn's own `predict` of models whose answers are sums alone.
_SUMS: Final = frozenset(
    f"{name}.predict" for name in ("LinearModel", "MultiOutputLinearModel", "Ridge", "RidgeCV")
)
Step = Callable[[Array], Array]


class Arithmetic:
    """What a model computes of finite doubles.

    Parameters
    ----------
    predict : callable
        From rows, shape (n, columns), to what `predict` gives.
    predict_proba : callable, optional
        To what `predict_proba` gives, where the model has that.
    """

    def __init__(self, predict: Step, predict_proba: Step | None) -> None:
        self.predict = predict
        self.predict_proba = predict_proba


def arithmetic_of(model: Any, example: Array) -> Arithmetic | None:
    """Return the arithmetic of a linear model, alone or behind a `StandardScaler`.

    Parameters
    ----------
    model : estimator
        Fitted.
    example : array of float64, shape (n, columns)
        Rows that the model knows how to answer.

    Returns
    -------
    Arithmetic or None
        None for another model, and for one whose answers differ in any bit.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> rows = np.arange(6.0).reshape(3, 2)
    >>> found = arithmetic_of(LinearRegression().fit(rows, rows[:, 0]), rows)
    >>> found.predict(rows).round(6).tolist()
    [0.0, 2.0, 4.0]
    """
    if example.dtype != np.float64 or example.ndim != 2 or not len(example):
        return None
    try:
        found = _pipeline(model) if hasattr(model, "steps") else _linear(model)
        return found if found is not None and _same(model, found, example) else None
    except Exception:
        return None  # of another release, whose attributes are others


def _pipeline(model: Any) -> Arithmetic | None:
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    if type(model) is not Pipeline or len(model.steps) != 2 or model.memory is not None:
        return None
    scaler, last = model.steps[0][1], model.steps[1][1]
    found = _linear(last) if type(scaler) is StandardScaler else None
    if found is None:
        return None
    mean, scale = scaler.mean_, scaler.scale_
    with_mean, with_std = scaler.with_mean, scaler.with_std

    def scaled(rows: Array) -> Array:
        rows = rows.copy(order="K")
        if with_mean:
            rows -= mean
        if with_std:
            rows /= scale
        return rows

    predict, proba = found.predict, found.predict_proba
    return Arithmetic(
        lambda rows: predict(scaled(rows)),
        None if proba is None else lambda rows: proba(scaled(rows)),
    )


def _linear(model: Any) -> Arithmetic | None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.linear_model._base import LinearClassifierMixin, LinearModel

    kind = type(model)
    if not kind.__module__.startswith("sklearn."):
        return None
    # As scikit-learn transposes them: a copy in another order would be summed up otherwise.
    coefficients, intercept = model.coef_, model.intercept_
    if not isinstance(coefficients, np.ndarray):
        return None
    turned = coefficients.T if coefficients.ndim == 2 else coefficients
    if isinstance(model, LinearModel):
        own = kind.predict.__qualname__ in _SUMS
        return Arithmetic(lambda rows: rows @ turned + intercept, None) if own else None
    if not isinstance(model, LinearClassifierMixin):
        return None
    if (
        kind.predict is not LinearClassifierMixin.predict
        or kind.decision_function is not LinearClassifierMixin.decision_function
    ):
        return None
    classes = model.classes_

    def decide(rows: Array) -> Array:
        scores: Array = rows @ turned + intercept
        return scores.reshape(-1) if scores.ndim > 1 and scores.shape[1] == 1 else scores

    def predict(rows: Array) -> Array:
        scores = decide(rows)
        places = (scores > 0).astype(np.intp) if scores.ndim == 1 else np.argmax(scores, axis=1)
        return np.take(classes, places, axis=0)

    if not hasattr(model, "predict_proba"):
        return Arithmetic(predict, None)
    if getattr(kind, "predict_proba", None) is not LogisticRegression.predict_proba:
        return None
    return Arithmetic(predict, _binary(decide) if len(classes) == 2 else _softmax(decide))


def _binary(decide: Step) -> Step:
    from scipy.special import expit

    def probabilities(rows: Array) -> Array:
        scores = decide(rows)
        second = expit(scores, out=scores)
        return np.stack([1 - second, second], axis=1)

    return probabilities


def _softmax(decide: Step) -> Step:
    def probabilities(rows: Array) -> Array:
        scores = decide(rows)
        scores -= np.max(scores, axis=1).reshape(-1, 1)
        np.exp(scores, out=scores)
        scores /= np.sum(scores, axis=1).reshape(-1, 1)
        return scores

    return probabilities


def _same(model: Any, found: Arithmetic, example: Array) -> bool:
    """Whether both ways answer the same, to the example and to rows around it and far from it."""
    draws = np.random.default_rng(0)
    spread = np.abs(example).max(axis=0) + 1.0
    tables = [example]
    for count in _ROWS:
        far = 10.0 ** draws.integers(-3, 4, size=(count, 1))
        tables.append(draws.normal(size=(count, example.shape[1])) * spread * far)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Column after column in memory, as they come, and row after row.
        return all(
            _agree(model, found, ordered)
            for table in tables
            for ordered in (np.asfortranarray(table), np.ascontiguousarray(table))
        )


def _agree(model: Any, found: Arithmetic, rows: Array) -> bool:
    pairs = [(model.predict(rows), found.predict(rows))]
    if found.predict_proba is not None:
        pairs.append((model.predict_proba(rows), found.predict_proba(rows)))
    return all(
        theirs.dtype == ours.dtype and np.array_equal(theirs, ours) for theirs, ours in pairs
    )
