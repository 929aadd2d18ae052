"""One model asked through ``mlflow.pyfunc``: exactly as MLflow's own scoring server asks it."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from jupyter_mlops.serving.answers import Answer, Whole
from jupyter_mlops.serving.fields import Array, Field
from jupyter_mlops.serving.modelfile import ModelFile

__all__ = ["BadParameter", "Exact", "Misfit"]

#: Loaders of models whose answer to a row depends on that row alone.
_BY_ROW: Final = frozenset({"mlflow.sklearn", "mlflow.xgboost", "mlflow.lightgbm", "mlflow.onnx"})
_FUNCTIONS: Final = frozenset({"predict", "predict_proba", "predict_log_proba"})


class Misfit(Exception):
    """MLflow's enforcement of the signature refused the rows."""


class BadParameter(Exception):
    """A parameter isn't of the type that the signature says; its name is the only argument."""


class Exact:
    """Builds what MLflow would build of a request, and reads what the model returns as it does.

    Parameters
    ----------
    model : mlflow.pyfunc.PyFuncModel
    file : ModelFile

    Attributes
    ----------
    together : bool
        Whether rows of several requests may be asked at once: where the kind of model promises
        that each row is answered by itself. Code of one's own may look at all rows it gets.
    answers : {"number", "boolean", "text", "json"}
        What predictions are, after the input example; ``json`` takes anything.
    """

    task = "any"
    classes = None
    labels = None
    as_array = False

    def __init__(self, model: Any, file: ModelFile) -> None:
        self.model = model
        self.fields = file.fields
        self.tensor = file.tensor
        self.unnamed = file.unnamed
        self.schema = model.metadata.get_input_schema()
        self.params_schema = model.metadata.get_params_schema()
        self.hinted = bool(model.metadata._is_signature_from_type_hint())
        function = model.metadata.flavors["python_function"]
        self.description = str(function.get("loader_module"))
        self.together = (
            self.description in _BY_ROW and function.get("predict_fn", "predict") in _FUNCTIONS
        )
        self.answers = "json"

    def __call__(
        self,
        inputs: Mapping[str, Array],
        params: Mapping[str, Any] | None = None,
        absent: Sequence[str] = (),
    ) -> Answer:
        """Predict.

        Parameters
        ----------
        inputs : mapping of str to array, each of shape (n, …)
        params : mapping, optional
            As sent; MLflow's defaults fill in the others.
        absent : sequence of str
            Optional columns that weren't sent, and that the model isn't given.

        Raises
        ------
        Misfit, BadParameter
            MLflow refuses what was sent.
        ValueError
            The answer is of another kind than that to the input example.
        Exception
            Whatever the model raises.
        """
        from mlflow.exceptions import MlflowException

        count = len(next(iter(inputs.values())))
        given = self._given({n: v for n, v in inputs.items() if n not in absent}, count)
        self._check(params or {})
        try:
            raw = self.model.predict(given, params=dict(params) if params else None)
        except MlflowException as error:
            if error.error_class == "SCHEMA_ENFORCEMENT_FAILED":
                raise Misfit(error.message) from error
            raise
        answer = _read(raw, count)
        if self.answers != "json" and kind_of(answer) != self.answers:
            raise ValueError(
                f"the model answered {kind_of(answer)}, and {self.answers} on its input example"
            )
        return answer

    def settle(self, answer: Answer) -> None:
        """Take the answer to the input example for what answers are from now on."""
        self.answers = kind_of(answer)

    def _check(self, params: Mapping[str, Any]) -> None:
        from mlflow.exceptions import MlflowException
        from mlflow.types import ParamSpec

        for spec in self.params_schema.params if self.params_schema else ():
            if spec.name in params:
                try:
                    ParamSpec.validate_param_spec(params[spec.name], spec)
                except MlflowException as error:
                    raise BadParameter(spec.name) from error

    def _given(self, inputs: Mapping[str, Array], count: int) -> Any:
        """The rows as the signature's kind has them."""
        if self.hinted:
            # A hint is always one input without a name; MLflow's wrapper of the model checks it.
            return next(iter(inputs.values())).tolist()
        if not self.schema.is_tensor_spec():
            names: Sequence[Any] = list(inputs) if self.schema.has_input_names() else (
                range(len(inputs))
            )  # fmt: skip
            columns = {
                name: _column(values, field)
                for name, field, values in zip(
                    names,
                    (one for one in self.fields if one.name in inputs),
                    inputs.values(),
                    strict=True,
                )
            }
            return pd.DataFrame(columns, index=pd.RangeIndex(count), copy=False)
        specs = self.schema.inputs
        if self.tensor:
            return np.stack(list(inputs.values()), axis=1).astype(specs[0].type, copy=False)
        arrays = {
            name: _array(values, spec.type)
            for name, spec in zip((one.name for one in self.fields), specs, strict=True)
            if (values := inputs.get(name)) is not None
        }
        return next(iter(arrays.values())) if self.unnamed else arrays


def _column(values: Array, field: Field) -> Any:
    if values.dtype.kind == "M":
        # MLflow hands models nanoseconds whatever was sent.
        return values.astype("datetime64[ns]")
    if field.type.name == "nested":
        return pd.Series(list(values), dtype=object)
    return values


def _array(values: Array, dtype: Any) -> Array:
    if values.dtype.kind != "O":
        return values.astype(dtype, copy=False)
    return np.array(values.tolist(), dtype=dtype)


def _read(raw: Any, count: int) -> Answer:
    """What the model returned, as MLflow writes it in JSON; by rows where it is a list of them."""
    if isinstance(raw, np.ndarray) and raw.dtype.kind in "biuf" and raw.ndim:
        if len(raw) == count:
            return Answer(raw, None)
        return _whole(raw.tolist(), count)
    from mlflow.pyfunc.scoring_server import predictions_to_json

    text = io.StringIO()
    predictions_to_json(raw, text)
    told = json.loads(text.getvalue())["predictions"]
    if isinstance(told, list) and len(told) == count:
        return Answer(_rows(told), None)
    return _whole(told, count)


def _rows(values: list[Any]) -> Array:
    for kind, dtype in ((float, np.float64), (int, np.int64), (bool, np.bool_)):
        if all(type(one) is kind for one in values):
            try:
                return np.array(values, dtype=dtype)
            except OverflowError:
                break
    return _objects(values)


def _objects(values: Sequence[Any]) -> Array:
    out = np.empty(len(values), dtype=object)
    for row, one in enumerate(values):
        out[row] = one
    return out


def _whole(told: Any, count: int) -> Answer:
    if isinstance(told, dict) and told and all(
        isinstance(one, list) and len(one) == count for one in told.values()
    ):  # fmt: skip
        rows = [dict(zip(told, row, strict=True)) for row in zip(*told.values(), strict=True)]
        return Answer(_objects(rows), None, Whole(told, by_row=True))
    return Answer(_objects([told, *[None] * (count - 1)]), None, Whole(told))


def kind_of(answer: Answer) -> str:
    """What predictions are: ``number``, ``boolean``, ``text``, or ``json`` for all else."""
    values = answer.prediction
    if answer.whole is not None or values.ndim != 1:
        return "json"
    if values.dtype.kind == "O":
        return "text" if all(type(one) is str for one in values) else "json"
    return "boolean" if values.dtype.kind == "b" else "number"
