"""One loaded model: typed columns in, predictions and probabilities out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from jupyter_mlops.serving.answers import Answer
from jupyter_mlops.serving.fields import Array, Field
from jupyter_mlops.serving.linear import Arithmetic, arithmetic_of

# scikit-learn's classifiers whose `predict` is by definition the class of highest probability,
# so that one pass gives both. Others (SVC, tuned thresholds) are asked twice.
_ARGMAX = frozenset(
    {
        "BaggingClassifier",
        "BernoulliNB",
        "DecisionTreeClassifier",
        "ExtraTreeClassifier",
        "ExtraTreesClassifier",
        "GaussianNB",
        "GradientBoostingClassifier",
        "HistGradientBoostingClassifier",
        "LogisticRegression",
        "LogisticRegressionCV",
        "MLPClassifier",
        "MultinomialNB",
        "RandomForestClassifier",
    }
)


class Predictor:
    """Calls a scikit-learn estimator on typed columns.

    Parameters
    ----------
    model : estimator
        With `predict`, and `predict_proba` if it is a classifier that has one.
    fields : tuple of Field
        The signature's columns.
    tensor : bool
        The model was trained on an array: give it one.
    """

    def __init__(self, model: Any, fields: tuple[Field, ...], *, tensor: bool = False) -> None:
        self.model = model
        self.fields = fields
        self.as_array = tensor
        #: Rows of several requests are asked at once.
        self.together = True
        self.classes: list[Any] | None = None
        #: Predictions are labels of `labels`, or numbers; ``json`` where a row has several.
        self.answers = "typed"
        classes = getattr(model, "classes_", None)
        if isinstance(classes, list):
            classes = None  # a list of arrays: several things are predicted of each row
        if classes is not None and hasattr(model, "predict_proba"):
            self.classes = np.asarray(classes).tolist()
        last = model.steps[-1][1] if hasattr(model, "steps") else model
        self._argmax = type(last).__name__ in _ARGMAX and type(last).__module__.startswith(
            "sklearn."
        )
        self._labels = None if self.classes is None else np.asarray(classes)
        self.labels = None if classes is None else np.asarray(classes).tolist()
        self._arithmetic: Arithmetic | None = None

    @property
    def description(self) -> str:
        """The model's type."""
        return type(self.model).__name__

    @property
    def task(self) -> str:
        """ "binary", "multiclass", "classes" (labels without probabilities) or "regression".

        "any" where each row is answered by several numbers or labels.
        """
        if self.answers == "json":
            return "any"
        if self.classes is not None:
            return "binary" if len(self.classes) == 2 else "multiclass"
        return "regression" if self.labels is None else "classes"

    def settle(self, answer: Answer) -> None:
        """Take the answer to the input example for what answers are from now on."""
        if answer.prediction.ndim > 1:
            self.answers = "json"
            self.classes = self.labels = self._labels = None

    def __call__(self, inputs: Mapping[str, Array]) -> Answer:
        """Predict.

        Parameters
        ----------
        inputs : mapping of str to array, each of shape (n,)

        Raises
        ------
        ValueError
            The model gave another number of answers than it got rows.
        Exception
            Whatever the model raises.
        """
        count = len(next(iter(inputs.values())))
        given = self._stack(inputs) if self.as_array else self._frame(inputs)
        return self._counted(given, count)

    def _counted(self, given: Any, count: int) -> Answer:
        answer = self._ask(given)
        if len(answer.prediction) != count:
            raise ValueError(f"the model gave {len(answer.prediction)} answers to {count} rows")
        if self.answers == "json" and answer.prediction.ndim == 1:
            raise ValueError("the model gave one answer to a row, and several on its input example")
        return answer

    def named(self, block: Array) -> dict[str, Array]:
        """Return the rows of a block, shape (columns, n), by the columns' names."""
        return dict(zip((field.name for field in self.fields), block, strict=True))

    def of_block(self, block: Array) -> Answer:
        """Predict rows whose columns are doubles in one piece, shape (columns, n)."""
        # Column after column in memory, as `_stack` and a data frame have it.
        given: Any = block.T
        if not self.as_array:
            names = [field.name for field in self.fields]
            given = pd.DataFrame(given, columns=names, copy=False)
        return self._counted(given, block.shape[1])

    def _ask(self, given: Any) -> Answer:
        # What isn't finite the model refuses, in its own words.
        plain = self._arithmetic if self.as_array else None
        model: Any = self.model if plain is None or not np.isfinite(given).all() else plain
        if self._labels is None:
            return Answer(_rows(model.predict(given)), None)
        every = np.asarray(model.predict_proba(given), dtype=np.float64)
        # Of two equals each estimator has a rule of its own.
        equal = every.shape[1] == 2 and (every[:, 0] == every[:, 1]).any()
        if self._argmax and not equal:
            prediction = self._labels[np.argmax(every, axis=1)]
        else:
            prediction = _rows(model.predict(given))
        return Answer(
            prediction, np.ascontiguousarray(every[:, 1] if every.shape[1] == 2 else every)
        )

    def _stack(self, inputs: Mapping[str, Array]) -> Array:
        # Column after column in memory, as in a data frame: sums then round alike, too.
        return np.stack([inputs[field.name] for field in self.fields]).T

    def _frame(self, inputs: Mapping[str, Array]) -> pd.DataFrame:
        # MLflow hands models nanoseconds whatever was sent; models were fitted on those.
        return pd.DataFrame(
            {
                name: column.astype("datetime64[ns]") if column.dtype.kind == "M" else column
                for name, column in inputs.items()
            },
            copy=False,
        )

    def hasten(self, inputs: Mapping[str, Array]) -> None:
        """Choose the cheapest way to ask the model that answers the same, bit for bit.

        Parameters
        ----------
        inputs : mapping of str to array
            The model's input example.
        """
        if self.prefer_array(inputs) and all(f.type.name == "double" for f in self.fields):
            self._arithmetic = arithmetic_of(self.model, self._stack(inputs))

    def prefer_array(self, inputs: Mapping[str, Array]) -> bool:
        """Give the model arrays from now on, if that is proved to change nothing.

        Building a data frame and checking its names costs more than a small model's arithmetic.
        It is left out when all columns are numbers of one kind and the answers to `inputs` are
        the same bit for bit.

        Parameters
        ----------
        inputs : mapping of str to array
            The model's input example.

        Returns
        -------
        bool
            Whether the model gets arrays now.
        """
        if self.as_array or len({field.type.name for field in self.fields}) != 1:
            return self.as_array
        if self.fields[0].type.name not in ("double", "float"):
            return False
        known = getattr(self.model, "feature_names_in_", None)
        if known is not None and list(known) != [field.name for field in self.fields]:
            return False
        framed = self(inputs)
        self.as_array = True
        try:
            stacked = self(inputs)
            same = np.array_equal(framed.prediction, stacked.prediction) and (
                framed.probability is None
                or (
                    stacked.probability is not None
                    and np.array_equal(framed.probability, stacked.probability)
                )
            )
        except Exception:
            same = False  # the model wants names: a data frame it is
        self.as_array = same
        return same


def _rows(predicted: Any) -> Array:
    """Predictions by row: one value each, shape (n,), or several, shape (n, k)."""
    found = np.asarray(predicted)
    return found if found.ndim == 2 and found.shape[1] > 1 else found.reshape(-1)
