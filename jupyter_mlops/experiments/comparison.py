"""Is one run better than another? The same rows, their losses paired, and an interval."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from jupyter_mlops.experiments.losses import Numbers, choose_loss, losses
from jupyter_mlops.experiments.trials import Run, find_run
from jupyter_mlops.experiments.verdict import Comparison
from jupyter_mlops.workspace import Invalid, Workspace, closest

__all__ = ["compare", "groups_of", "matched", "paired_difference", "validation_rows"]

CONFIDENCE = 0.95
# Below this many groups the normal theory behind the interval is thin.
FEW_GROUPS = 10
PERIODS = {"hour": "h", "day": "D", "week": "W", "month": "M"}


def compare(
    ws: Workspace,
    a: str | Run,
    b: str | Run,
    *,
    by: Sequence[str] | None = None,
    metric: str | None = None,
) -> Comparison:
    """Compare two runs on the validation rows both were scored on.

    Rows are matched by the dataset's key column where both have it, else by position when
    the truth is the same row by row.

    Parameters
    ----------
    ws : Workspace
    a, b : str or Run
    by : sequence of str, optional
        Columns whose values form groups that aren't independent inside, such as a day; or
        ``hour``, ``day``, ``week``, ``month`` of the dataset's time column.
    metric : str, optional
        ``log_loss`` (default), ``brier`` or ``error_rate`` for classes; ``squared_error``
        (default) or ``absolute_error`` for numbers.

    Raises
    ------
    Invalid
        A run has no validation rows, the rows differ, a column or metric is unknown, or
        there are fewer than two groups.
    """
    first, second = find_run(ws, a), find_run(ws, b)
    rows_a, rows_b = validation_rows(ws, first), validation_rows(ws, second)
    rows_a, rows_b = matched(first, second, rows_a, rows_b)
    name = choose_loss(first, second, metric)
    loss_a, loss_b = losses(first, rows_a, name), losses(second, rows_b, name)
    columns = tuple(by or ())
    groups = groups_of(first, rows_a, columns) if columns else None
    difference, low, high, count = paired_difference(loss_a, loss_b, groups)
    notes = []
    if columns and count < FEW_GROUPS:
        notes.append(f"With {count} groups the interval is rough; {FEW_GROUPS} or more are better.")
    better = "a" if low > 0 else "b" if high < 0 else None
    means = float(loss_a.mean()), float(loss_b.mean())
    return Comparison(
        first,
        second,
        name,
        *means,
        difference,
        low,
        high,
        len(loss_a),
        columns,
        count,
        better,
        tuple(notes),
    )


def paired_difference(
    loss_a: Numbers,
    loss_b: Numbers,
    groups: np.ndarray[Any, Any] | None = None,
    confidence: float = CONFIDENCE,
) -> tuple[float, float, float, int]:
    """Mean of (loss_b - loss_a) with its confidence interval.

    Without groups this is the paired t interval. With groups the variance is the
    cluster-robust one of a mean: for G groups of n_g rows with differences d,
    V = G/(G-1) · Σ_g (Σ_{i in g} (d_i - d̄))² / n², with G - 1 degrees of freedom.

    Parameters
    ----------
    loss_a, loss_b : ndarray of float, shape (rows,)
    groups : ndarray, shape (rows,), optional
        The group of each row.
    confidence : float
        Of the two-sided interval, between 0 and 1.

    Returns
    -------
    difference, low, high : float
    count : int
        How many groups (rows, when there are no groups).

    Raises
    ------
    Invalid
        There are fewer than two groups.

    References
    ----------
    Liang, Zeger (1986), Biometrika 73(1); Cameron, Miller (2015), Journal of Human Resources
    50(2), section II.B, for the intercept-only regression and its small-sample factor.

    Examples
    --------
    >>> import numpy as np
    >>> a, b = np.zeros(4), np.array([1.0, 1.2, 0.8, 1.0])
    >>> difference, low, high, count = paired_difference(a, b)
    >>> f"{difference:.2f} {low:.2f} {high:.2f} {count}"
    '1.00 0.74 1.26 4'
    """
    d = loss_b - loss_a
    mean = float(d.mean())
    if groups is None:
        sums = d - mean
    else:
        codes, _ = pd.factorize(groups, use_na_sentinel=False)
        sums = np.bincount(codes, weights=d - mean).astype(np.float64)
    count = len(sums)
    if count < 2:
        raise Invalid(
            f"an interval needs two groups at least, and there is {count}",
            fix="leave --by out, or group by a column with more values",
            code="E-COMPARE-006",
        )
    variance = count / (count - 1) * float((sums**2).sum()) / len(d) ** 2
    reach = float(stats.t.ppf((1 + confidence) / 2, count - 1)) * variance**0.5
    return mean, mean - reach, mean + reach, count


def validation_rows(ws: Workspace, run: Run) -> pd.DataFrame:
    """Truth and prediction of each validation row, as they were kept with the run."""
    key = run.validation.get("file")
    if not key:
        raise Invalid(
            f"run {run.short} of {run.name} has no validation rows to compare on",
            f"it is {run.status}" if run.status != "finished" else "",
            "train it with --valid and --target",
            code="E-COMPARE-001",
        )
    return pd.read_parquet(io.BytesIO(ws.artifacts.read_bytes(key)))


def matched(
    a: Run, b: Run, rows_a: pd.DataFrame, rows_b: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of both runs, one beside the other: by the key, else by position."""
    key = a.validation.get("key")
    name = f"by.{key}"
    keyed = key and key == b.validation.get("key") and name in rows_a and name in rows_b
    if keyed and rows_a[name].is_unique and rows_b[name].is_unique:
        both = rows_a[[name]].merge(rows_b[[name]], on=name)[name]
        if len(both) < 2:
            raise _differ(a, b, f"they have {len(both)} values of {key!r} in common")
        kept_a = rows_a.set_index(name).loc[both].reset_index()
        kept_b = rows_b.set_index(name).loc[both].reset_index()
        if not _equal(kept_a["truth"], kept_b["truth"]):
            raise _differ(a, b, f"rows of the same {key!r} have another truth")
        return kept_a, kept_b
    if len(rows_a) != len(rows_b):
        raise _differ(a, b, f"{len(rows_a):,} rows against {len(rows_b):,}")
    if not _equal(rows_a["truth"], rows_b["truth"]):
        raise _differ(a, b, "their truth differs row by row")
    return rows_a, rows_b


def _differ(a: Run, b: Run, why: str) -> Invalid:
    return Invalid(
        f"runs {a.short} and {b.short} were validated on different rows",
        why,
        "train both with the same --valid, or add it as a dataset with --key",
        code="E-COMPARE-002",
    )


def _equal(left: pd.Series[Any], right: pd.Series[Any]) -> bool:
    return bool((left.to_numpy() == right.to_numpy()).all())


def groups_of(run: Run, rows: pd.DataFrame, by: Sequence[str]) -> np.ndarray[Any, Any]:
    """The group of each row, from stored columns or from the time column's calendar."""
    known = [str(column)[3:] for column in rows.columns if str(column).startswith("by.")]
    clock = run.validation.get("time")
    parts = []
    for name in by:
        if name in known:
            parts.append(rows[f"by.{name}"])
        elif name in PERIODS and clock in known:
            parts.append(_period(rows[f"by.{clock}"], name))
        else:
            raise Invalid(
                f"the validation rows have no column {name!r} to group by",
                f"they have {', '.join(known[:20])}" if known else "they keep no such column",
                closest(name, [*known, *PERIODS]) or "name one of these",
                code="E-COMPARE-005",
            )
    codes = [pd.factorize(part, use_na_sentinel=False)[0] for part in parts]
    return np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True)[1].reshape(-1)


def _period(column: pd.Series[Any], period: str) -> pd.Series[Any]:
    times = pd.to_datetime(column, utc=True).dt.tz_localize(None)
    return times.dt.to_period(PERIODS[period]).astype(str)
