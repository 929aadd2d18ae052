"""How far each feature of a window lies from its reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
import polars as pl

from jupyter_mlops.monitoring import statistics
from jupyter_mlops.monitoring.bins import CategoryBins, Counts, NumberBins
from jupyter_mlops.monitoring.columns import (
    CategoryColumn,
    Column,
    NumberColumn,
    is_number,
    read_categories,
    read_numbers,
)
from jupyter_mlops.monitoring.contents import Content, psi_of
from jupyter_mlops.monitoring.histograms import Histogram, category_histogram, number_histogram
from jupyter_mlops.monitoring.limits import Limits
from jupyter_mlops.monitoring.novelty import new_ones, unseen
from jupyter_mlops.monitoring.separating import FEWEST

Verdict = Literal["drifted", "watch", "stable", "not enough data"]
THREE_ERRORS = 0.0027
#: Of bins, distribution function, location and scale: most of what happens moves the location.
WEIGHTS = (1.0, 1.0, 2.0, 1.0)
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


@dataclass(frozen=True)
class FeatureDrift:
    """One feature of a window beside the same feature of the reference.

    Attributes
    ----------
    name, kind : str
        The feature, and how it was compared: ``"number"``, ``"category"``, ``"text"`` or
        ``"embedding"``.
    verdict : str
        ``"drifted"``, ``"watch"``, ``"stable"`` or ``"not enough data"``.
    reason : str
        The number that decided, in words.
    effect : float
        PSI above its noise floor (as 8 x the Jensen-Shannon divergence, which
        agrees with the PSI for small differences and stays finite when a bin is
        empty on one side). Of texts and embeddings: that of two normals which are as hard to
        tell apart.
    psi : float or None
        The textbook PSI on the same bins, floor not taken off; None where a bin
        is empty on one side only.
    floor : float
        PSI to expect when nothing changed.
    distance : float or None
        Wasserstein distance above its floor, in interquartile ranges; numbers only.
    missing_reference, missing_current : float
        Share of missing values.
    unseen : float or None
        Share of rows with a category the reference never held, above the share
        expected when nothing changed; categories only.
    p_value : float
        Smallest p-value of the feature's tests times their number, adjusted over
        all features (Benjamini-Hochberg).
    rows, rows_needed : int
        Rows of the window, and how many the verdict needs.
    histogram : Histogram
        Shares for drawing, not the bins of the test.
    vanished : float or None
        Share of the reference's rows with a category that the window doesn't hold, above the
        share expected when nothing changed; categories only.
    appeared, gone : list of str
        The most frequent categories that are new, and that are no more.
    auc : float or None
        How well a classifier tells the window from the reference; texts and embeddings only.
    """

    name: str
    kind: str
    verdict: Verdict
    reason: str
    effect: float
    psi: float | None
    floor: float
    distance: float | None
    missing_reference: float
    missing_current: float
    unseen: float | None
    p_value: float
    rows: int
    rows_needed: int
    histogram: Histogram
    vanished: float | None = None
    appeared: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    auc: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe mapping; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> FeatureDrift:
        """Read what `to_dict` wrote."""
        return cls(**{**stored, "histogram": Histogram(**stored["histogram"])})


@dataclass(frozen=True)
class _Measured:
    """A feature's numbers before the p-values of all features are known together."""

    drift: FeatureDrift
    missing_p: float
    unseen_p: float
    vanished_p: float = 1.0
    notes: tuple[str, ...] = ()


def compare_features(
    reference: pl.DataFrame,
    current: pl.DataFrame,
    names: Iterable[str],
    limits: Limits | None = None,
) -> list[FeatureDrift]:
    """Compare the named columns of two frames and give each a verdict.

    Parameters
    ----------
    reference, current : polars.DataFrame
        Frames that both hold all of `names`.
    names : iterable of str
        Columns to compare; they share one false-alarm budget.
    limits : Limits, optional

    Returns
    -------
    list of FeatureDrift
        Most alarming first.

    Examples
    --------
    >>> import polars as pl
    >>> before = pl.DataFrame({"x": range(1000)})
    >>> [d.verdict for d in compare_features(before, before + 500, ["x"])]
    ['drifted']
    """
    names = list(names)
    sides: tuple[dict[str, Column], dict[str, Column]] = ({}, {})
    for name in names:
        # The reference alone decides how a column is read.
        read = read_numbers if is_number(reference.schema[name]) else read_categories
        sides[0][name], sides[1][name] = read(reference[name]), read(current[name])
    return compare_columns(*sides, limits)


def compare_columns(
    reference: Mapping[str, Column],
    current: Mapping[str, Column],
    limits: Limits | None = None,
    contents: Mapping[str, tuple[str, int, Content]] | None = None,
) -> list[FeatureDrift]:
    """Compare columns that have been counted, and contents that have been compared.

    Parameters
    ----------
    reference, current : mapping of str to Column
        The same columns of both sides, of one kind each.
    limits : Limits, optional
    contents : mapping of str to (str, int, Content), optional
        Kind, rows of the window and what was found of texts and embeddings.

    Returns
    -------
    list of FeatureDrift
        Most alarming first; all share one false-alarm budget.
    """
    limits = limits or Limits()
    measured = []
    for name, before in reference.items():
        now, own = current[name], limits.of(name)
        if isinstance(before, NumberColumn) and isinstance(now, NumberColumn):
            measured.append(_measure_numbers(name, before, now, own))
        elif isinstance(before, CategoryColumn) and isinstance(now, CategoryColumn):
            measured.append(_measure_categories(name, before, now, own))
    measured += [_of_content(name, *one) for name, one in (contents or {}).items()]
    adjusted = statistics.benjamini_hochberg([one.drift.p_value for one in measured])
    judged = [
        _judge(one, p, limits.of(one.drift.name)) for one, p in zip(measured, adjusted, strict=True)
    ]
    return sorted(judged, key=lambda d: (VERDICTS.index(d.verdict), -d.effect, d.name))


def _of_content(name: str, kind: str, rows: int, found: Content) -> _Measured:
    auc = found.separation.auc if found.separation is not None else None
    sizes = found.sizes
    missing_p = statistics.two_shares(found.missing[0], sizes[0], found.missing[1], sizes[1])
    p_values = [found.p_value, missing_p] if any(found.missing) else [found.p_value]
    drift = FeatureDrift(
        name=name,
        kind=kind,
        verdict="stable",
        reason="",
        effect=0.0 if auc is None else psi_of(auc),
        psi=None,
        floor=0.0,
        distance=None,
        missing_reference=found.missing[0] / max(1, sizes[0]),
        missing_current=found.missing[1] / max(1, sizes[1]),
        unseen=None,
        p_value=min(1.0, min(p_values) * len(p_values)),
        rows=rows,
        # A window whose values have all gone missing has rows enough to say that.
        rows_needed=FEWEST,
        histogram=Histogram([], [], []),
        auc=auc,
    )
    return _Measured(drift, missing_p, 1.0, notes=tuple(found.notes))


def _measure_numbers(
    name: str, reference: NumberColumn, current: NumberColumn, limits: Limits
) -> _Measured:
    bins = NumberBins.of(reference)
    counts = bins.count(reference), bins.count(current)
    alike = max(reference.repeats, current.repeats)
    p_values = [statistics.chi2_two_samples(*(one / alike for one in counts))]
    distance: float | None = None
    if reference.present and current.present:
        finite = reference.finite()
        scale = statistics.robust_scale(finite)
        # Values far outside count as just outside: one outlier can't make or hide a shift.
        low, high = finite.quantiles([0.01, 0.99]).tolist() if finite.present else (0.0, 0.0)
        ends = low - 3 * scale, high + 3 * scale
        apart = statistics.distances(reference, current, ends)
        if scale > 0:
            distance = max(0.0, apart.moved - apart.noise) / scale
        sizes = reference.present, current.present
        p_values.append(statistics.chance_of_gap(apart.largest, *sizes, alike))
        p_values += statistics.normal_scores(reference, current, alike)
        p_values = [statistics.together(p_values, WEIGHTS)]
    return _measured(
        name, "number", reference, current, counts, p_values, limits,
        distance=distance, histogram=number_histogram(reference, current),
    )  # fmt: skip


def _measure_categories(
    name: str, reference: CategoryColumn, current: CategoryColumn, limits: Limits
) -> _Measured:
    bins = CategoryBins.of(reference)
    counts = bins.count(reference), bins.count(current)
    alike = max(reference.repeats, current.repeats)
    p_values = [statistics.chi2_two_samples(*(one / alike for one in counts))]
    share, unseen_p = unseen(reference, current)
    vanished, vanished_p = unseen(current, reference)
    # They are powers of a chance, to the number of rows.
    unseen_p, vanished_p = unseen_p ** (1 / alike), vanished_p ** (1 / alike)
    p_values += [unseen_p, vanished_p]
    found = _measured(
        name, "category", reference, current, counts, p_values, limits,
        unseen=share, unseen_p=unseen_p,
        histogram=category_histogram(reference, current),
    )  # fmt: skip
    drift = replace(
        found.drift,
        vanished=vanished,
        appeared=new_ones(reference, current) if unseen_p <= THREE_ERRORS else [],
        gone=new_ones(current, reference) if vanished_p <= THREE_ERRORS else [],
    )
    return replace(found, drift=drift, vanished_p=vanished_p)


def _measured(
    name: str,
    kind: str,
    reference: NumberColumn | CategoryColumn,
    current: NumberColumn | CategoryColumn,
    counts: tuple[Counts, Counts],
    p_values: list[float],
    limits: Limits,
    *,
    histogram: Histogram,
    distance: float | None = None,
    unseen: float | None = None,
    unseen_p: float = 1.0,
) -> _Measured:
    gaps = max(reference.gaps, current.gaps)
    sizes = (reference.missing, reference.rows, current.missing, current.rows)
    missing_p = statistics.two_shares(*(round(one / gaps) for one in sizes))
    p_values = [*p_values, missing_p] if reference.missing or current.missing else p_values
    used = int(np.count_nonzero(counts[0] + counts[1]))
    effect, psi, floor = 0.0, None, statistics.psi_floor(used, reference.rows, current.rows)
    if reference.rows and current.rows:
        effect = max(0.0, 8 * statistics.jensen_shannon(*counts) - floor)
        psi = statistics.psi(*counts)
    needed = statistics.rows_needed(
        int(np.count_nonzero(counts[0])), reference.rows, limits.largest_floor
    )
    drift = FeatureDrift(
        name=name,
        kind=kind,
        verdict="stable",
        reason="",
        effect=effect,
        psi=psi if psi is not None and np.isfinite(psi) else None,
        floor=floor if np.isfinite(floor) else 0.0,
        distance=distance,
        missing_reference=reference.missing / reference.rows if reference.rows else 0.0,
        missing_current=current.missing / current.rows if current.rows else 0.0,
        unseen=unseen,
        p_value=min(1.0, min(p_values) * len(p_values)),
        rows=current.rows,
        rows_needed=needed,
        histogram=histogram,
    )
    return _Measured(drift, missing_p, unseen_p)


def _judge(measured: _Measured, p_value: float, limits: Limits) -> FeatureDrift:
    drift = replace(measured.drift, p_value=p_value)
    if drift.rows < drift.rows_needed:
        reason = f"{drift.rows:,} of {drift.rows_needed:,} rows"
        return replace(drift, verdict="not enough data", reason=reason)
    if p_value > limits.alpha:
        return replace(drift, reason="within the noise")
    was, now = drift.missing_reference, drift.missing_current
    # A share is only quoted when it is significant on its own (three standard errors).
    change = abs(now - was) if measured.missing_p <= THREE_ERRORS else 0.0
    share = (drift.unseen or 0.0) if measured.unseen_p <= THREE_ERRORS else 0.0
    vanished = (drift.vanished or 0.0) if measured.vanished_p <= THREE_ERRORS else 0.0
    content = (
        []
        if drift.auc is None
        else [(drift.auc, limits.auc_watch, limits.auc_act, _told(drift.auc, measured.notes))]
    )
    findings = [
        (change, limits.missing_watch, limits.missing_act, f"missing {was:.1%} → {now:.1%}"),
        (share, limits.unseen_watch, limits.unseen_act, f"{share:.1%} in unseen categories"),
        (
            vanished,
            limits.unseen_watch,
            limits.unseen_act,
            f"{vanished:.1%} of the reference in categories that are no more",
        ),
        *content,
        (
            drift.effect if drift.auc is None else 0.0,
            limits.psi_watch,
            limits.psi_act,
            f"PSI {drift.effect:.2f}",
        ),
        (
            drift.distance or 0.0,
            limits.distance_watch,
            limits.distance_act,
            f"moved {drift.distance or 0:.2f} IQR",
        ),
    ]
    act = [text for value, _, limit, text in findings if value >= limit]
    watch = [text for value, limit, _, text in findings if value >= limit]
    if act:
        return replace(drift, verdict="drifted", reason=", ".join(act))
    if watch:
        return replace(drift, verdict="watch", reason=", ".join(watch))
    return replace(drift, reason="real but small")


def _told(auc: float, notes: tuple[str, ...]) -> str:
    return ", ".join([f"told apart with an area of {auc:.2f}", *notes])
