"""Models as others log them with MLflow's own tools, for the tests of asking MLflow exactly."""

from __future__ import annotations

import base64
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd

TABLE = pd.DataFrame({"a": np.arange(60.0) % 7, "b": np.arange(60.0) % 5})
TRUTH = (TABLE["a"] > TABLE["b"]).astype(int)


def _python(path: Path, function: Callable[..., Any], given: Any, more: Any = None) -> None:
    """A `python_model`: the function, with a signature of what it is given and returns."""
    import mlflow
    from mlflow.models import infer_signature

    class Model(mlflow.pyfunc.PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return function(model_input, params or {})

    signature = given
    if not isinstance(given, mlflow.models.ModelSignature):
        signature = infer_signature(given, params=more)
    # A model's process doesn't find this module: the model holds what it needs of it.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    try:
        mlflow.pyfunc.save_model(
            path, python_model=Model(), signature=signature, pip_requirements=["mlflow"]
        )
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def _report(given: Any, params: dict[str, Any]) -> Any:
    """What the model gets, in words: two ways that tell the same hand over the same."""
    import numpy as np
    import pandas as pd

    def told(value: Any) -> Any:
        if isinstance(value, pd.DataFrame):
            kinds = [f"{name}: {kind}" for name, kind in value.dtypes.items()]
            return [kinds, [[repr(one) for one in row] for row in value.to_numpy(object)]]
        if isinstance(value, dict):
            return {name: told(one) for name, one in value.items()}
        if isinstance(value, np.ndarray):
            return [str(value.dtype), list(value.shape), value.tolist()]
        return repr(value)

    return {"given": told(given), "params": repr(sorted(params.items()))}


def _rank(given: Any, params: dict[str, Any]) -> Any:
    """An answer that depends on all the rows of the request."""
    return given["a"].rank().to_numpy()


def _frame(given: Any, params: dict[str, Any]) -> Any:
    import pandas as pd

    times = params.get("times", 1.0)
    words = ["high" if one > 3 else "low" for one in given["a"]]
    return pd.DataFrame({"score": given["a"] * times, "word": words})


def _dict(given: Any, params: dict[str, Any]) -> Any:
    return {"half": (given["a"] / 2).to_numpy(), "list": [str(one) for one in given["b"]]}


def _odd(given: Any, params: dict[str, Any]) -> Any:
    """Fails, or answers a number, a text, fewer rows, or an integer of many digits."""
    import numpy as np

    kind = int(given["a"].iloc[0])
    if kind == 0:
        raise RuntimeError(f"secret {given['b'].iloc[0]}")
    answers = [None, 3.5, "one text", [1, 2], {"n": np.int64(4)}, 10**30]
    return answers[kind]


def save(kind: str, path: Path) -> Path:
    """Save the model of that kind with MLflow; what it is given goes by its name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        KINDS[kind](path)
    return path


def _sklearn(path: Path, **more: Any) -> None:
    import mlflow
    from mlflow.models import infer_signature
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit(TABLE, TRUTH)
    mlflow.sklearn.save_model(
        model,
        path,
        signature=infer_signature(TABLE, model.predict(TABLE)),
        input_example=TABLE.head(2),
        pip_requirements=["scikit-learn"],
        **more,
    )


def _xgboost(path: Path) -> None:
    import mlflow
    from mlflow.models import infer_signature
    from xgboost import XGBClassifier

    model = XGBClassifier(n_estimators=3).fit(TABLE, TRUTH)
    signature = infer_signature(TABLE, model.predict(TABLE))
    mlflow.xgboost.save_model(
        model, path, signature=signature, input_example=TABLE.head(2), pip_requirements=["xgboost"]
    )


def _lightgbm(path: Path) -> None:
    import mlflow
    from lightgbm import LGBMClassifier
    from mlflow.models import infer_signature

    model = LGBMClassifier(n_estimators=3, verbose=-1).fit(TABLE, TRUTH)
    signature = infer_signature(TABLE, model.predict(TABLE))
    mlflow.lightgbm.save_model(
        model, path, signature=signature, input_example=TABLE.head(2), pip_requirements=["lightgbm"]
    )


def _statsmodels(path: Path) -> None:
    import mlflow
    import statsmodels.api
    from mlflow.models import infer_signature

    model = statsmodels.api.OLS(TRUTH, TABLE).fit()
    mlflow.statsmodels.save_model(
        model,
        path,
        signature=infer_signature(TABLE, model.predict(TABLE)),
        input_example=TABLE.head(2),
        pip_requirements=["statsmodels"],
    )


def _onnx(path: Path) -> None:
    import mlflow
    from mlflow.models import infer_signature
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    rows = TABLE.to_numpy(np.float32)
    model = LogisticRegression().fit(rows, TRUTH)
    graph = to_onnx(model, rows[:1], options={"zipmap": False}, target_opset=17)
    mlflow.onnx.save_model(
        graph,
        path,
        signature=infer_signature(rows, model.predict(rows)),
        input_example=rows[:2],
        pip_requirements=["onnxruntime"],
    )


def _columns(path: Path) -> None:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    columns = [
        ColSpec("datetime", "at"),
        ColSpec("binary", "raw"),
        ColSpec("string", "word"),
        ColSpec("boolean", "flag"),
        ColSpec("long", "whole"),
        ColSpec("integer", "small"),
        ColSpec("float", "single"),
        ColSpec("double", "maybe", required=False),
        ColSpec("string", "perhaps", required=False),
    ]
    params = ParamSchema(
        [
            ParamSpec("k", "long", 3),
            ParamSpec("names", "string", ["x"], shape=(-1,)),
            ParamSpec("rate", "double", 0.5),
        ]
    )
    _python(path, _report, ModelSignature(Schema(columns), params=params))


def _tensors(path: Path) -> None:
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    specs = [
        TensorSpec(np.dtype("float32"), (-1, 2, 2), "image"),
        TensorSpec(np.dtype("int64"), (-1,), "code"),
        TensorSpec(np.dtype("float64"), (-1, -1), "series"),
    ]
    _python(path, _report, ModelSignature(Schema(specs)))


def _tensor(path: Path) -> None:
    _python(path, _report, np.zeros((3, 2, 2), np.float32))


def _matrix(path: Path) -> None:
    _python(path, _report, np.zeros((3, 4)))


def _nested(path: Path) -> None:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import AnyType, Array, Map, Object, Property

    person = Object([Property("name", "string"), Property("age", "long", required=False)])
    columns = [
        ColSpec(Array("string"), "words"),
        ColSpec(person, "person"),
        ColSpec(Map("double"), "weights"),
        ColSpec(AnyType(), "extra"),
        ColSpec("double", "x"),
    ]
    _python(path, _report, ModelSignature(Schema(columns)))


def _hinted(path: Path) -> None:
    import mlflow

    class Upper(mlflow.pyfunc.PythonModel):
        def predict(self, model_input: list[str]) -> list[str]:
            return [one.upper() for one in model_input]

    mlflow.pyfunc.save_model(path, python_model=Upper(), pip_requirements=["mlflow"])


KINDS: dict[str, Callable[[Path], None]] = {
    "skops": _sklearn,
    "probabilities": lambda path: _sklearn(path, pyfunc_predict_fn="predict_proba"),
    "cloudpickle": lambda path: _sklearn(path, serialization_format="cloudpickle"),
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "statsmodels": _statsmodels,
    "onnx": _onnx,
    "columns": _columns,
    "tensors": _tensors,
    "tensor": _tensor,
    "matrix": _matrix,
    "nested": _nested,
    "hinted": _hinted,
    "rank": lambda path: _python(path, _rank, TABLE),
    "frame": lambda path: _python(path, _frame, TABLE, {"times": 2.0}),
    "dict": lambda path: _python(path, _dict, TABLE),
    "odd": lambda path: _python(path, _odd, TABLE),
}

ROW = {"a": 3.0, "b": 4.0}
COLUMNS = {
    "at": "2026-01-31T10:00:00",
    "raw": base64.b64encode(b"\x00\xff").decode(),
    "word": "ä",
    "flag": True,
    "whole": 7,
    "small": 8,
    "single": 0.1,
}
IMAGE = [[1, 2], [3, 4.5]]
TENSORS = {"image": IMAGE, "code": 5, "series": [0.5, 1.5, 2.5]}
NESTED = {
    "words": ["a", "b"],
    "person": {"name": "ada", "age": 36},
    "weights": {"u": 1.0, "v": 2.5},
    "extra": {"anything": [1, None]},
    "x": 1.5,
}


def forms(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The same rows in all four forms of MLflow's protocol."""
    names = list(rows[0])
    return {
        "dataframe_records": rows,
        "dataframe_split": {"columns": names, "data": [[r[n] for n in names] for r in rows]},
        "instances": rows,
        "inputs": {name: [row[name] for row in rows] for name in names},
    }


def _all(rows: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    return [{form: body} for form, body in forms(rows).items() if not names or form in names]


TWO = [ROW, {"a": 1.0, "b": 2.0}]
WRONG: list[dict[str, Any]] = [
    {"dataframe_records": [{"a": 1.0}]},
    {"dataframe_records": [{"a": "far", "b": 1.0}]},
    {"dataframe_records": "text"},
    {"dataframe_split": {"columns": ["a", "b"], "data": [[1.0]]}},
    {"inputs": {"a": [1.0, 2.0], "b": [1.0]}},
    {"inputs": [[1.0, 2.0]], "instances": []},
    {"rows": []},
]
#: What MLflow converts without a word, and loses or guesses something by.
LOSSY: dict[str, dict[str, Any]] = {
    "columns": {"whole": 1.5, "single": "0.25", "word": 12, "flag": "yes"},
    "tensors": {"code": 5.5},
}
#: Bodies by kind of model, right and wrong.
BODIES: dict[str, list[Any]] = {
    **{
        kind: [*_all(TWO), {"dataframe_records": [{**ROW, "more": 1}]}, *WRONG]
        for kind in ("skops", "probabilities", "cloudpickle", "xgboost", "lightgbm", "statsmodels",
                     "rank", "dict")
    },
    "frame": [
        *_all(TWO),
        *[
            {"dataframe_records": [ROW], "params": params}
            for params in (None, {}, {"times": 3}, {"times": 3.5, "other": 1}, {"times": "x"}, [1])
        ],
    ],
    "odd": [{"dataframe_records": [{"a": float(n), "b": 9.0}]} for n in range(5)],
    "onnx": [{form: [[1, 2], [3.5, 4]]} for form in ("inputs", "instances")]
    + [{"inputs": [[1, 2, 3]]}, {"inputs": [["x", "y"]]}, {"inputs": [[1], [1, 2]]}],
    "columns": [
        *_all([COLUMNS, {**COLUMNS, "word": "b", "flag": False}], "dataframe_records",
              "dataframe_split"),
        {"dataframe_records": [{**COLUMNS, "maybe": 2.5, "perhaps": "x"}]},
        {"dataframe_records": [{**COLUMNS, "maybe": None}, {**COLUMNS, "maybe": 1}]},
        {"dataframe_records": [{**COLUMNS, "at": "2026-02-30"}]},
        {"dataframe_records": [{**COLUMNS, "whole": None}]},
        {"dataframe_records": [{n: v for n, v in COLUMNS.items() if n != "word"}]},
        *[
            {"dataframe_records": [COLUMNS], "params": params}
            for params in ({"k": 5, "names": ["a", "b"], "rate": 2}, {"k": 1.5}, {"names": "a"})
        ],
    ],
    "tensors": [
        *_all([TENSORS, {"image": [[0, 0], [0, 0]], "code": 6, "series": [1, 2, 3]}],
              "instances", "inputs"),
        {"inputs": {"image": [IMAGE], "code": [5]}},
        {"inputs": {"image": [[[1, 2, 3], [4, 5, 6]]], "code": [5], "series": [[1.0]]}},
        {"inputs": {"image": [IMAGE], "code": ["x"], "series": [[1.0]]}},
        {"inputs": {"image": [[1, [2]]], "code": [5], "series": [[1.0]]}},
    ],
    "tensor": [
        {"inputs": [IMAGE, IMAGE]},
        {"instances": [IMAGE]},
        {"inputs": [[1, 2], [3, 4]]},
        {"inputs": [[[1, 2], [3, "x"]]]},
        {"inputs": {"image": [IMAGE]}},
    ],
    "matrix": [
        {"inputs": [[1, 2, 3, 4], [5, 6, 7, 8.5]]},
        {"instances": [[1, 2, 3, 4]]},
        {"dataframe_split": {"data": [[1, 2, 3, 4]]}},
        {"inputs": [[1, 2, 3]]},
    ],
    "nested": [
        {"dataframe_records": [NESTED, {**NESTED, "words": [], "person": {"name": "b"}}]},
        {"dataframe_split": {"columns": list(NESTED), "data": [list(NESTED.values())]}},
        {"dataframe_records": [{**NESTED, "words": "a"}]},
        {"dataframe_records": [{**NESTED, "person": {"age": 3}}]},
        {"dataframe_records": [{**NESTED, "person": {"name": "a", "sex": "f"}}]},
        {"dataframe_records": [{**NESTED, "weights": {"u": "heavy"}}]},
    ],
    "hinted": [{"inputs": ["a", "b"]}, {"inputs": ["x"]}, {"inputs": [1]}, {"inputs": [{"a": 1}]}],
}  # fmt: skip
