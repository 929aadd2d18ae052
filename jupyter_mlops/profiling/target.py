"""How each column relates to the target, on a bounded sample of labelled rows.

The strength of one column alone is the area under the ROC curve (AUC) of out-of-fold means: the
sample is cut into five parts, the column into at most 64 quantile bins (or its categories), and
each row gets the target's mean in its bin over the *other* parts.  So a column of a thousand
categories gains nothing by remembering its rows.  Several classes are averaged one against the
rest; a numeric target is judged by R² of the same means.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from jupyter_mlops.profiling.columns import ColumnProfile
from jupyter_mlops.profiling.engine import Scan

__all__ = ["Pair", "TargetAnalysis", "analyse", "auc", "one_strength"]

FOLDS: Final = 5
BINS: Final = 64
CLASSES: Final = 20
_SMOOTH: Final = 5.0
_PAIR_ROWS: Final = 4000
_PAIR_COLUMNS: Final = 40
_MIN_ROWS: Final = 50

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pair:
    """Two columns whose difference tells the target."""

    first: str
    second: str
    score: float


@dataclass(frozen=True)
class TargetAnalysis:
    """What the target is and how strongly each column alone predicts it.

    Attributes
    ----------
    task : {"binary", "multiclass", "regression", "none"}
        ``none`` when the target has no two different values.
    metric : str
        ``AUC`` (0.5 is chance) or ``R²`` (0 is chance).
    strength : dict of str to float
        By column.
    gap_rates : dict of str to (float, float, int)
        For columns with gaps and a binary target: the rate of the positive class where the
        column is missing and where it isn't, and how many sampled rows lack it.
    gap_means : dict of str to (float, float, float)
        For columns with gaps and a numeric target: its mean where the column is missing, its
        mean where it isn't, and the standard error of the difference.
    pairs : list of Pair
        Differences of two columns that tell a binary target much better than either alone.
    """

    column: str
    task: str
    metric: str
    rows: int
    missing: int
    sampled: int
    classes: list[tuple[str, int]] = field(default_factory=list)
    strength: dict[str, float] = field(default_factory=dict)
    gap_rates: dict[str, tuple[float, float, int]] = field(default_factory=dict)
    pairs: list[Pair] = field(default_factory=list)
    gap_means: dict[str, tuple[float, float, float]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The analysis as JSON."""
        state = dict(vars(self))
        state["pairs"] = [[p.first, p.second, p.score] for p in self.pairs]
        return state

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> TargetAnalysis:
        """The analysis back from JSON."""
        state = dict(state)
        state["pairs"] = [Pair(*p) for p in state["pairs"]]
        state["classes"] = [(name, count) for name, count in state["classes"]]
        state["gap_rates"] = {k: (a, b, n) for k, (a, b, n) in state["gap_rates"].items()}
        state["gap_means"] = {k: (a, b, e) for k, (a, b, e) in state["gap_means"].items()}
        return cls(**state)


def analyse(scan: Scan) -> TargetAnalysis | None:
    """Relate every column to the target on the scan's sample.

    Returns
    -------
    TargetAnalysis or None
        None when the scan has no target.
    """
    if scan.target is None:
        return None
    target = scan.columns[scan.target]
    task = _task(target)
    metric = "R²" if task == "regression" else "AUC"
    top = target.values.top(CLASSES) if task in {"binary", "multiclass"} else []
    classes = [(target.shown(value), count) for value, count in top]
    frame = scan.sample.frame()
    known = frame.filter(_labelled(frame[scan.target])) if frame.width else frame
    empty = TargetAnalysis(
        scan.target, task, metric, target.rows, target.missing, known.height, classes
    )
    if task == "none" or known.height < _MIN_ROWS:
        return empty
    truths = _truths(known[scan.target], task)
    fold = np.arange(known.height, dtype=np.int64) % FOLDS
    strength: dict[str, float] = {}
    gaps: dict[str, tuple[float, float, int]] = {}
    means: dict[str, tuple[float, float, float]] = {}
    ordered: dict[str, Floats] = {}
    for name, column in scan.columns.items():
        if name == scan.target or column.values.distinct() < 2 or not _usable(column):
            continue
        values = known[name]
        codes, numbers = _codes(values, column)
        strength[name] = round(_strength(codes, numbers, truths, fold, task), 4)
        if numbers is not None:
            ordered[name] = numbers
        missing = codes == 0
        if task == "binary" and 20 <= missing.sum() <= known.height - 20:
            y = truths[0]
            gaps[name] = (float(y[missing].mean()), float(y[~missing].mean()), int(missing.sum()))
        elif task == "regression" and 20 <= missing.sum() <= known.height - 20:
            means[name] = _apart(truths[0][missing], truths[0][~missing])
    pairs = _pairs(ordered, scan, truths[0], strength) if task == "binary" else []
    return TargetAnalysis(
        scan.target,
        task,
        metric,
        target.rows,
        target.missing,
        known.height,
        classes,
        strength,
        gaps,
        pairs,
        means,
    )


def one_strength(values: Floats, labels: pl.Series, analysis: TargetAnalysis) -> float | None:
    """How strongly numbers derived from the sample's rows predict the target, alone.

    Parameters
    ----------
    values : array, one a sampled row
        NaN for none.
    labels : polars.Series
        The target of the same rows.
    analysis : TargetAnalysis

    Returns
    -------
    float or None
        In the analysis' metric; None where there is too little to tell.
    """
    marked = _labelled(labels)
    known = marked.to_numpy()
    if analysis.task == "none" or known.sum() < _MIN_ROWS:
        return None
    codes = _binned(values[known])
    if codes is None:
        return None
    truths = _truths(labels.filter(marked), analysis.task)
    fold = np.arange(len(codes), dtype=np.int64) % FOLDS
    return round(_strength(codes, values[known], truths, fold, analysis.task), 4)


def auc(truth: Floats, score: Floats) -> float:
    """The probability that a positive outranks a negative, ties counting half.

    Examples
    --------
    >>> auc(np.array([0.0, 0.0, 1.0]), np.array([0.1, 0.4, 0.9]))
    1.0
    """
    # SciPy's statistics take a second to import, and only targets need them.

    ours, others = np.sort(score[truth > 0]), np.sort(score[truth <= 0])
    if not ours.size or not others.size:
        return 0.5
    below = np.searchsorted(others, ours, side="left").sum(dtype=np.float64)
    upto = np.searchsorted(others, ours, side="right").sum(dtype=np.float64)
    return float((below + upto) / (2.0 * ours.size * others.size))


def _labelled(labels: pl.Series) -> pl.Series:
    """Which rows have a label: neither a gap nor infinity, of which there is no mean."""
    return labels.is_finite().fill_null(False) if labels.dtype.is_float() else labels.is_not_null()


def _task(target: ColumnProfile) -> str:
    distinct = target.values.distinct()
    if distinct < 2 or not _usable(target):
        return "none"
    if distinct == 2:
        return "binary"
    if not target.numeric or (target.type == "integer" and distinct <= CLASSES):
        return "multiclass" if target.values.exact else "none"
    return "regression"


def _usable(column: ColumnProfile) -> bool:
    return not column.type.startswith(("list", "record", "bytes"))


def _truths(labels: pl.Series, task: str) -> list[Floats]:
    """One 0/1 array a class (only the second of two), or the numbers of a regression."""
    if task == "regression":
        return [labels.cast(pl.Float64).to_numpy().astype(np.float64)]
    counted = labels.value_counts(sort=True, name="n")
    names = counted.to_series(0).to_list()[:CLASSES]
    if task == "binary":
        names = sorted(names, key=str)[-1:]
    return [(labels == name).fill_null(False).to_numpy().astype(np.float64) for name in names]


def _codes(values: pl.Series, column: ColumnProfile) -> tuple[Integers, Floats | None]:
    """Bins of a column, 0 for missing; for ordered values also the numbers themselves."""
    if column.numeric or column.temporal:
        # Missing numbers come out as NaN.
        physical = values.to_physical() if values.dtype.is_temporal() else values
        numbers = physical.cast(pl.Float64).to_numpy().astype(np.float64)
        codes = _binned(numbers)
        if codes is None:
            return np.zeros(len(values), dtype=np.int64), None
        return codes, numbers
    ranks = values.cast(pl.String).rank("dense").fill_null(0)
    return ranks.to_numpy().astype(np.int64), None


def _binned(numbers: Floats) -> Integers | None:
    """Quantile bins of numbers, 0 for missing; None when there are none."""
    finite = numbers[np.isfinite(numbers)]
    if not finite.size:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        # Between numbers near the largest there is there may be no number halfway.
        edges = np.unique(np.quantile(finite, np.linspace(0, 1, BINS + 1)[1:-1]))
    codes = np.searchsorted(edges, numbers, side="right").astype(np.int64) + 1
    codes[np.isnan(numbers)] = 0
    return codes


def _apart(lacking: Floats, having: Floats) -> tuple[float, float, float]:
    """Two means and the standard error of their difference."""
    error = (lacking.var() / len(lacking) + having.var() / len(having)) ** 0.5
    return float(lacking.mean()), float(having.mean()), float(error)


def _held_out(codes: Integers, truth: Floats, fold: Integers) -> Floats:
    """The target's mean in each row's bin over the other parts, drawn to the mean of all."""
    width = int(codes.max()) + 1
    cell = codes * FOLDS + fold
    sums = np.bincount(cell, truth, width * FOLDS).reshape(width, FOLDS)
    counts = np.bincount(cell, minlength=width * FOLDS).reshape(width, FOLDS)
    prior = truth.mean()
    others = sums.sum(1, keepdims=True) - sums
    weight = counts.sum(1, keepdims=True) - counts
    means = (others + _SMOOTH * prior) / (weight + _SMOOTH)
    return np.asarray(means[codes, fold], dtype=np.float64)


def _strength(
    codes: Integers, numbers: Floats | None, truths: list[Floats], fold: Integers, task: str
) -> float:
    if task == "regression":
        truth = truths[0]
        spread = float(((truth - truth.mean()) ** 2).sum())
        rest = float(((truth - _held_out(codes, truth, fold)) ** 2).sum())
        return max(0.0, 1 - rest / spread) if spread else 0.0
    scores = [auc(truth, _held_out(codes, truth, fold)) for truth in truths]
    best = float(np.mean(scores))
    if task == "binary" and numbers is not None:
        # A threshold inside a bin: the order of the numbers themselves may tell more.
        present = np.isfinite(numbers)
        if present.mean() >= 0.8:
            plain = auc(truths[0][present], numbers[present])
            best = max(best, plain, 1 - plain)
    return max(0.5, best)


def _pairs(
    ordered: dict[str, Floats], scan: Scan, truth: Floats, strength: dict[str, float]
) -> list[Pair]:
    """Differences of two columns that tell the target much better than either alone."""
    rows = slice(0, _PAIR_ROWS)
    names = [n for n in ordered if scan.columns[n].present >= 0.8 * scan.rows][:_PAIR_COLUMNS]
    found = []
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            a, b = scan.columns[first], scan.columns[second]
            if a.temporal != b.temporal or not _overlap(a, b):
                continue
            gap = ordered[first][rows] - ordered[second][rows]
            present = np.isfinite(gap)
            if present.sum() < _MIN_ROWS:
                continue
            plain = auc(truth[rows][present], gap[present])
            score = max(plain, 1 - plain)
            if score >= max(strength.get(first, 0), strength.get(second, 0)) + 0.1:
                found.append(Pair(first, second, round(score, 4)))
    return sorted(found, key=lambda pair: -pair.score)[:10]


def _overlap(a: ColumnProfile, b: ColumnProfile) -> bool:
    """Whether each median lies within the other's range: else they measure different things."""
    middle_a, middle_b = a.quantile(0.5), b.quantile(0.5)
    if None in (a.low, a.high, b.low, b.high, middle_a, middle_b):
        return False
    return bool(b.low <= middle_a <= b.high and a.low <= middle_b <= a.high)  # type: ignore[operator]
