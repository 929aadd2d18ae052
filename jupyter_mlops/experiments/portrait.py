"""What is known of a fitted model: its task, its inputs and a few rows of them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from jupyter_mlops.experiments.scoring import task_of

__all__ = ["column_type", "parameters", "portray", "to_pandas"]

EXAMPLE_ROWS = 5
MOST_CATEGORIES = 1_000
MOST_PARAMETERS = 100
LONGEST_VALUE = 250


def portray(
    model: Any, frames: Iterable[pd.DataFrame], target: str | None
) -> tuple[dict[str, Any], list[str]]:
    """Describe a fitted model and the frame it was fitted on.

    Parameters
    ----------
    model : fitted estimator
    frames : iterable of pandas.DataFrame
        Where its training rows may be, the likeliest first.
    target : str or None
        The column it predicts, if that is known.

    Returns
    -------
    dict
        ``class``, ``task``, ``target``, ``classes``, ``features``; and where the columns have
        names and plain types: ``signature`` (inputs and outputs as MLflow writes them),
        ``dtypes``, ``categories`` and ``example`` (columns and rows).
    list of str
        Why something of this is missing.
    """
    kind = type(model)
    classes = getattr(model, "classes_", None)
    told: dict[str, Any] = {
        "class": f"{kind.__module__}.{kind.__qualname__}",
        "task": task_of(model),
        "target": target,
        "classes": None if classes is None else _plain(np.asarray(classes).tolist()),
    }
    candidates = list(frames)
    features = _features(model, candidates, target)
    if features is None:
        return told, ["it was fitted on arrays without column names; fit it on a data frame"]
    told["features"] = features
    frame = next((f for f in candidates if set(features) <= {str(c) for c in f.columns}), None)
    if frame is None:
        return told, ["the frame it was fitted on isn't in a variable of the cell"]
    frame = frame[features]
    inputs = []
    for name in features:
        kind_name = column_type(frame[name])
        if kind_name is None:
            return told, [f"column {name!r} holds {frame[name].dtype} values that can't be served"]
        required = not bool(frame[name].isna().any())
        inputs.append({"name": name, "type": kind_name, "required": required})
    told["signature"] = {"inputs": inputs, "outputs": _outputs(model, told["task"])}
    told["dtypes"] = {name: str(frame[name].dtype) for name in features}
    told["categories"] = {
        name: _plain(frame[name].cat.categories[:MOST_CATEGORIES].tolist())
        for name in features
        if isinstance(frame[name].dtype, pd.CategoricalDtype)
    }
    told["example"] = _example(frame)
    return told, []


def column_type(column: pd.Series[Any]) -> str | None:
    """The MLflow data type of a column; None when it has none."""
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return column_type(pd.Series(dtype.categories))
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    if pd.api.types.is_integer_dtype(dtype):
        size = getattr(dtype, "itemsize", 8)
        unsigned = pd.api.types.is_unsigned_integer_dtype(dtype)
        return "integer" if size < 4 or (size == 4 and not unsigned) else "long"
    if pd.api.types.is_float_dtype(dtype):
        return "float" if getattr(dtype, "itemsize", 8) <= 4 else "double"
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return "datetime"
    if isinstance(dtype, pd.StringDtype):
        return "string"
    if isinstance(dtype, np.dtype) and dtype.kind == "O":
        kind = pd.api.types.infer_dtype(column, skipna=True)
        return {"string": "string", "empty": "string", "boolean": "boolean"}.get(kind)
    return None


def parameters(model: Any) -> dict[str, Any]:
    """The model's settings as plain values, those of its steps included."""
    if not hasattr(model, "get_params"):
        return {}
    found: dict[str, Any] = {}
    for name, value in sorted(model.get_params(deep=True).items()):
        if len(found) == MOST_PARAMETERS:
            break
        if value is None or isinstance(value, bool | int | str):
            found[name] = value[:LONGEST_VALUE] if isinstance(value, str) else value
        elif isinstance(value, float):
            found[name] = value if np.isfinite(value) else str(value)
        elif not hasattr(value, "get_params"):
            text = " ".join(repr(value).split())
            if len(text) <= LONGEST_VALUE:
                found[name] = text
    return found


def to_pandas(value: Any) -> pd.DataFrame | None:
    """The frame as pandas; None for anything that isn't a frame."""
    if isinstance(value, pd.DataFrame):
        return value
    # Where nobody has loaded it, nothing is one of its frames.
    pl = sys.modules.get("polars")
    if pl is None:
        return None
    if isinstance(value, pl.LazyFrame):
        value = value.collect()
    return value.to_pandas() if isinstance(value, pl.DataFrame) else None


def _features(model: Any, frames: list[pd.DataFrame], target: str | None) -> list[str] | None:
    names = getattr(model, "feature_names_in_", None)
    if names is not None:
        return _as_in_frames([str(name) for name in names], frames)
    count = getattr(model, "n_features_in_", None)
    if target is None:
        return None
    # Fitted on an array made from the frame: its columns but the target, if that many.
    for frame in frames:
        columns = [str(column) for column in frame.columns]
        if target in columns and len(columns) - 1 == count:
            return [column for column in columns if column != target]
    return None


def _as_in_frames(names: list[str], frames: list[pd.DataFrame]) -> list[str]:
    """The names as the frames have them: LightGBM writes ``_`` for each space."""
    if any(set(names) <= {str(column) for column in frame.columns} for frame in frames):
        return names
    for frame in frames:
        written = {"_".join(str(column).split(" ")): str(column) for column in frame.columns}
        if set(names) <= set(written):
            return [written[name] for name in names]
    return names


def _outputs(model: Any, task: str) -> list[dict[str, Any]]:
    classes = getattr(model, "classes_", None)
    dtype = np.dtype(np.float64) if task == "regression" else np.asarray(classes).dtype
    if dtype.kind in "OUST":
        return [{"type": "string", "required": True}]
    return [{"type": "tensor", "tensor-spec": {"dtype": dtype.name, "shape": [-1]}}]


def _example(frame: pd.DataFrame) -> dict[str, Any]:
    # Complete rows show best what is expected.
    complete = frame.head(1_000).dropna()
    rows = (complete if len(complete) >= EXAMPLE_ROWS else frame).head(EXAMPLE_ROWS)
    return {
        "columns": [str(column) for column in frame.columns],
        "data": [_plain(list(row)) for row in rows.itertuples(index=False, name=None)],
    }


def _plain(values: list[Any]) -> list[Any]:
    return [_plain_value(value) for value in values]


def _plain_value(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return None if value is pd.NaT else value.isoformat()
    if hasattr(value, "item"):
        value = value.item()
    if value is None or value is pd.NA or (isinstance(value, float) and not np.isfinite(value)):
        return None
    return value if isinstance(value, bool | int | float | str) else str(value)
