"""Evidently's report of a check: it draws, our verdicts decide.

Every Evidently name lives in this module. Import it only when a report is wanted:
Evidently takes some three seconds to import.

What it must be protected from, all of it covered by tests: nothing is sent anywhere;
columns that are missing or empty on one side would end the whole report; columns of
pandas' own types would be left out without a word; its default tests alarm on tables
that never changed and overlook missing values.
"""

from __future__ import annotations

import os
import tempfile
import warnings
import zlib
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pandas.core.dtypes.common
import polars as pl

from jupyter_mlops.monitoring.columns import as_numbers, as_text
from jupyter_mlops.monitoring.features import FeatureDrift
from jupyter_mlops.workspace.errors import Invalid

# Before the first import of Evidently, which reads it then.
os.environ["DO_NOT_TRACK"] = "1"

if not hasattr(pandas.core.dtypes.common, "infer_dtype_from_object"):  # pandas 3.1 dropped it

    def _infer_dtype_from_object(dtype: object) -> object:
        if isinstance(dtype, type) and issubclass(dtype, np.generic):
            return dtype
        found = pd.api.types.pandas_dtype(dtype)
        return getattr(found, "numpy_dtype", found).type

    vars(pandas.core.dtypes.common)["infer_dtype_from_object"] = _infer_dtype_from_object

from evidently import DataDefinition, Dataset, Report, Run
from evidently import __version__ as evidently_version
from evidently.legacy.calculations.stattests.registry import (
    StatTest,
    register_stattest,
)
from evidently.legacy.core import ColumnType
from evidently.presets import DataDriftPreset

RAW_ROWS = 50_000
POINTS = 2_000
FEW_VALUES = 50
SHOWN_CATEGORIES = 30
OTHERS = "(others)"
TEST = "jupyter_mlops"
ENGINE = f"Evidently {evidently_version}"

_verdicts: ContextVar[Mapping[str, FeatureDrift]] = ContextVar("verdicts")


@dataclass(frozen=True)
class Page:
    """A drawn report.

    Attributes
    ----------
    html : bytes
        A page of its own, scripts included.
    snapshot : str
        What Evidently's ``Run.loads`` reads back.
    columns : list of str
        The columns it shows.
    notices : list of str
        Columns it can't show, and why.
    sampled : bool
        Whether it is drawn from quantile points rather than from all rows.
    """

    html: bytes
    snapshot: str
    columns: list[str]
    notices: list[str]
    sampled: bool


def draw(
    reference: pl.DataFrame, current: pl.DataFrame, features: Sequence[FeatureDrift], title: str
) -> Page:
    """Draw two frames with the verdicts that were already reached.

    Parameters
    ----------
    reference, current : polars.DataFrame
        All rows of both sides.
    features : sequence of FeatureDrift
        The verdicts; their columns are drawn where both sides hold a value.
    title : str

    Raises
    ------
    Invalid
        ``E-MONITORING-007``: no column has a value on both sides.

    Notes
    -----
    Above 50,000 rows a side, each column is drawn from 2,000 points that keep its
    distribution: its quantiles, or its values in proportion. Scores and verdicts are
    those of all rows either way.
    """
    shown, notices = _drawable(reference, current, features)
    if not shown:
        raise Invalid(
            "no column has values on both sides, so there is nothing to draw",
            "; ".join(notices),
            "widen the window",
            code="E-MONITORING-007",
        )
    sampled = max(reference.height, current.height) > RAW_ROWS
    frames = _frames(reference, current, shown, sampled)
    numbers = [one.name for one in shown if one.kind == "number"]
    categories = [one.name for one in shown if one.kind == "category"]
    definition = DataDefinition(
        numerical_columns=numbers,
        categorical_columns=categories,
        text_columns=[],
        datetime_columns=[],
        unknown_columns=[],
        list_columns=[],
    )
    before, now = (Dataset.from_pandas(frame, data_definition=definition) for frame in frames)
    names = [one.name for one in shown]
    report = Report(
        [DataDriftPreset(columns=names, num_method=TEST, cat_method=TEST)],
        include_tests=True,
        metadata={"title": title, "rows": str(current.height)},
    )
    token = _verdicts.set({one.name: one for one in shown})
    try:
        with warnings.catch_warnings():
            # Correlations of constant columns, which it computes and we don't show.
            warnings.simplefilter("ignore", RuntimeWarning)
            run = report.run(now, before, name=title)
    finally:
        _verdicts.reset(token)
    _check_complete(run, names)
    return Page(_html(run), run.dumps(), names, notices, sampled)


def drifted_columns(snapshot: str) -> dict[str, bool]:
    """Which columns a stored snapshot calls drifted."""
    return {
        test["metric_config"]["params"]["column"]: str(test["status"]).endswith("FAIL")
        for test in Run.loads(snapshot).dict()["tests"]
        if "column" in test["metric_config"]["params"]
    }


def _our_verdict(
    _reference: pd.Series, current: pd.Series, _kind: ColumnType, _threshold: float
) -> tuple[float, bool]:
    # Asked three times a column; all rows were judged once, before.
    found = _verdicts.get()[str(current.name)]
    return found.effect, found.verdict == "drifted"


register_stattest(
    StatTest(
        name=TEST,
        display_name="PSI above its noise floor, missing and unseen values too (jupyter_mlops)",
        allowed_feature_types=[ColumnType.Numerical, ColumnType.Categorical],
        default_threshold=0.25,
    ),
    default_impl=_our_verdict,
)


def _drawable(
    reference: pl.DataFrame, current: pl.DataFrame, features: Sequence[FeatureDrift]
) -> tuple[list[FeatureDrift], list[str]]:
    shown, notices = [], []
    for one in features:
        sides = [("the reference", reference), ("the traffic", current)]
        absent = [side for side, frame in sides if one.name not in frame.columns]
        empty = [side for side, frame in sides if not absent and _empty(frame[one.name], one.kind)]
        if absent:
            notices.append(f"{one.name!r} isn't drawn: {absent[0]} doesn't have it")
        elif empty:
            notices.append(f"{one.name!r} isn't drawn: it has no values in {' and '.join(empty)}")
        else:
            shown.append(one)
    return shown, notices


def _empty(column: pl.Series, kind: str) -> bool:
    if kind == "number":
        return not bool(as_numbers(column).is_finite().any())
    return column.null_count() == column.len()


def _frames(
    reference: pl.DataFrame, current: pl.DataFrame, shown: Sequence[FeatureDrift], sampled: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both sides as pandas frames that hold nothing but float64 and object columns."""
    sides: tuple[dict[str, np.ndarray], dict[str, np.ndarray]] = ({}, {})
    for one in shown:
        columns = (reference[one.name], current[one.name])
        if one.kind == "number":
            values = [as_numbers(column).to_numpy() for column in columns]
            values = [np.where(np.isfinite(side), side, np.nan) for side in values]
        else:
            values = _categories(*columns)
        for side, column in zip(sides, values, strict=True):
            side[one.name] = _points(column, one.name) if sampled else column
    return pd.DataFrame(sides[0]), pd.DataFrame(sides[1])


def _categories(reference: pl.Series, current: pl.Series) -> list[np.ndarray]:
    """Categories as text, the rare ones of both sides together as one."""
    sides = [_text(column) for column in (reference, current)]
    weight: dict[str, float] = {}
    for side in sides:
        values, counts = np.unique(side[side != None].astype(str), return_counts=True)  # noqa: E711
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            weight[value] = weight.get(value, 0.0) + count / max(1, side.size)
    if len(weight) <= SHOWN_CATEGORIES:
        return sides
    top = set(sorted(weight, key=lambda value: (-weight[value], value))[:SHOWN_CATEGORIES])
    return [
        np.asarray([v if v is None or v in top else OTHERS for v in side], dtype=object)
        for side in sides
    ]


def _text(column: pl.Series) -> np.ndarray:
    known = column.drop_nulls().unique()
    texts = [as_text(value) for value in known]
    mapped = column.replace_strict(known, texts, default=None, return_dtype=pl.String)
    return np.asarray(mapped.to_numpy(), dtype=object)


def _points(column: np.ndarray, name: str) -> np.ndarray:
    """2,000 values with the column's distribution, in an order that means nothing."""
    missing = pd.isna(column)
    values = column[~missing]
    kept = POINTS - round(POINTS * float(missing.mean()))
    kept = max(1, kept)
    distinct, counts = np.unique(
        values.astype(str) if column.dtype == object else values, return_counts=True
    )
    if column.dtype == object or distinct.size <= FEW_VALUES:
        points = np.repeat(distinct, _in_proportion(counts, kept)).astype(column.dtype)
    else:
        points = np.quantile(values, (np.arange(kept) + 0.5) / kept, method="inverted_cdf")
    gap = np.full(POINTS - kept, None if column.dtype == object else np.nan, dtype=column.dtype)
    # A fixed shuffle: sorted values would draw a trend over the rows.
    order = np.random.default_rng(zlib.crc32(name.encode())).permutation(POINTS)
    return np.asarray(np.concatenate([points, gap])[order])


def _in_proportion(counts: np.ndarray, total: int) -> np.ndarray:
    """Whole numbers in proportion to `counts` with the given sum (largest remainders)."""
    exact = counts * (total / counts.sum())
    whole = np.floor(exact).astype(int)
    order = np.argsort(whole - exact, kind="stable")
    whole[order[: total - whole.sum()]] += 1
    return np.asarray(whole)


def _check_complete(run: Run, names: Sequence[str]) -> None:
    drawn = set(drifted_columns(run.dumps()))
    if drawn != set(names):
        left_out = ", ".join(sorted(set(names) - drawn))
        raise RuntimeError(f"Evidently left out {left_out} without saying so")


def _html(run: Run) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        # A Path is silently ignored there.
        run.save_html(str(path))
        return path.read_bytes()
