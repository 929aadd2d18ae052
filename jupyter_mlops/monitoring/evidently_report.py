"""Evidently's report of a check: it draws, our verdicts decide.

Every Evidently name lives in this module. Import it only when a report is wanted:
Evidently takes some three seconds to import.

What it must be protected from, all of it covered by tests: nothing is sent anywhere;
columns that are missing or empty on one side would end the whole report; columns of
pandas' own types would be left out without a word; its default tests alarm on tables
that never changed and overlook missing values; it calls a table unchanged until half of
its columns have drifted.

Once this module is imported, reports of one's own may ask for our test by its name::

    ValueDrift(column="delay", method="jupyter_mlops")
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pandas.core.dtypes.common
import polars as pl

from jupyter_mlops.monitoring.contents import compare_texts, psi_of
from jupyter_mlops.monitoring.drawing import Drawn, Side, drawn
from jupyter_mlops.monitoring.features import FeatureDrift, compare_columns, compare_features
from jupyter_mlops.monitoring.limits import Limits
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

TEST = "jupyter_mlops"
ENGINE = f"Evidently {evidently_version}"

_verdicts: ContextVar[Mapping[str, FeatureDrift] | None] = ContextVar("verdicts", default=None)


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
        Whether it is drawn from points that keep each distribution rather than from all rows.
    """

    html: bytes
    snapshot: str
    columns: list[str]
    notices: list[str]
    sampled: bool


def draw(
    reference: Side,
    current: Side,
    features: Sequence[FeatureDrift],
    title: str,
    limits: Limits | None = None,
) -> Page:
    """Draw two sides with the verdicts that were already reached.

    Parameters
    ----------
    reference, current : Side
        All rows of each, or their sketches; see `drawing`.
    features : sequence of FeatureDrift
        The verdicts; their columns are drawn where both sides hold a value.
    title : str
    limits : Limits, optional
        Those the verdicts were reached with, to be shown beside the scores.

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
    columns, notices, sampled = drawn(reference, current, features)
    limits = limits or Limits()
    try:
        return _page(columns, notices, sampled, features, title, limits, current.rows)
    except ValueError as error:
        # Where texts have no words that are told apart, it ends the whole report.
        others = [one for one in columns if one.kind != "text"]
        if len(others) == len(columns) or (
            "vocabulary" not in f"{error}" and "terms" not in f"{error}"
        ):
            raise
        told = [
            f"{one.name!r} isn't drawn: Evidently finds no words in it that differ"
            for one in columns
            if one.kind == "text"
        ]
        return _page(others, [*notices, *told], sampled, features, title, limits, current.rows)


def _page(
    columns: Sequence[Drawn],
    notices: list[str],
    sampled: bool,
    features: Sequence[FeatureDrift],
    title: str,
    limits: Limits,
    rows: int,
) -> Page:
    if not columns:
        raise Invalid(
            "no column has values on both sides, so there is nothing to draw",
            "; ".join(notices),
            "widen the window",
            code="E-MONITORING-007",
        )
    names = [one.name for one in columns]
    judged = {one.name: one for one in features}
    preset = DataDriftPreset(
        columns=names,
        num_method=TEST,
        cat_method=TEST,
        text_method=TEST,
        per_column_threshold={name: _limit(judged[name], limits.of(name)) for name in names},
        # One column that has drifted is enough for us.
        drift_share=min(0.01, 0.5 / len(names)),
    )
    metadata = {"title": title, "rows": str(rows)}
    report = Report([preset], include_tests=True, metadata=metadata)
    before, now = _datasets(columns)
    token = _verdicts.set(judged)
    try:
        with warnings.catch_warnings():
            # Correlations of constant columns, which it computes and we don't show.
            warnings.simplefilter("ignore", RuntimeWarning)
            run = report.run(now, before, name=title)
    finally:
        _verdicts.reset(token)
    snapshot = run.dumps()
    _check_complete(snapshot, names)
    return Page(_html(run), snapshot, names, notices, sampled)


def drifted_columns(snapshot: str) -> dict[str, bool]:
    """Which columns a stored snapshot calls drifted."""
    return {
        test["metric_config"]["params"]["column"]: str(test["status"]).endswith("FAIL")
        for test in Run.loads(snapshot).dict()["tests"]
        if "column" in test["metric_config"]["params"]
    }


def table_drifted(snapshot: str) -> bool:
    """Whether a stored snapshot calls the table as a whole drifted.

    Examples
    --------
    >>> table_drifted(page.snapshot)  # doctest: +SKIP
    False
    """
    (whole,) = (
        test
        for test in Run.loads(snapshot).dict()["tests"]
        if "drift_share" in test["metric_config"]["params"]
    )
    return str(whole["status"]).endswith("FAIL")


def _our_verdict(
    reference: pd.Series, current: pd.Series, kind: ColumnType, threshold: float
) -> tuple[float, bool]:
    """Our test as Evidently asks for it, three times a column."""
    judged = _verdicts.get()
    if judged is not None:
        # All rows were judged once, before.
        found = judged[str(current.name)]
        return found.effect, found.verdict == "drifted"
    # Asked in a report that isn't ours: of these rows alone, missing ones dropped before.
    if kind == ColumnType.Text:
        texts = [pl.Series("x", side.astype(str).to_list()) for side in (reference, current)]
        content = {"x": ("text", len(texts[1]), compare_texts(*texts))}
        (found,) = compare_columns({}, {}, Limits(), content)
        return found.effect, found.verdict == "drifted"
    before, now = (
        pl.DataFrame({"x": side.to_numpy(float)})
        if kind == ColumnType.Numerical
        else pl.DataFrame({"x": side.astype(str).to_list()})
        for side in (reference, current)
    )
    (found,) = compare_features(before, now, ["x"], Limits(psi_act=threshold))
    return found.effect, found.verdict == "drifted"


register_stattest(
    StatTest(
        name=TEST,
        display_name="PSI above its noise floor, missing and unseen values too (jupyter_mlops)",
        allowed_feature_types=[ColumnType.Numerical, ColumnType.Categorical, ColumnType.Text],
        default_threshold=Limits().psi_act,
    ),
    default_impl=_our_verdict,
)


def _limit(one: FeatureDrift, limits: Limits) -> float:
    """From which score on a column has drifted: of texts and vectors the area's, as a PSI."""
    return limits.psi_act if one.auc is None else psi_of(limits.auc_act)


def _datasets(columns: Sequence[Drawn]) -> tuple[Dataset, Dataset]:
    """Both sides as frames that hold nothing but float64 and object columns, each declared."""
    definition = DataDefinition(
        numerical_columns=[one.name for one in columns if one.kind == "number"],
        categorical_columns=[one.name for one in columns if one.kind == "category"],
        text_columns=[one.name for one in columns if one.kind == "text"],
        datetime_columns=[],
        unknown_columns=[],
        list_columns=[],
    )
    before = pd.DataFrame({one.name: one.reference for one in columns})
    now = pd.DataFrame({one.name: one.current for one in columns})
    return (
        Dataset.from_pandas(before, data_definition=definition),
        Dataset.from_pandas(now, data_definition=definition),
    )


def _check_complete(snapshot: str, names: Sequence[str]) -> None:
    evaluated = set(drifted_columns(snapshot))
    if evaluated != set(names):
        left_out = ", ".join(sorted(set(names) - evaluated))
        raise RuntimeError(f"Evidently left out {left_out} without saying so")


def _html(run: Run) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        # A Path is silently ignored there.
        run.save_html(str(path))
        return path.read_bytes()
