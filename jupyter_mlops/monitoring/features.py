"""How far each feature of a window lies from its reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import polars as pl

from jupyter_mlops.monitoring import statistics
from jupyter_mlops.monitoring.bins import CategoryBins, Counts, NumberBins
from jupyter_mlops.monitoring.columns import (
    CategoryColumn,
    NumberColumn,
    is_number,
    read_categories,
    read_numbers,
)
from jupyter_mlops.monitoring.histograms import Histogram, category_histogram, number_histogram
from jupyter_mlops.monitoring.limits import Limits

Verdict = Literal["drifted", "watch", "stable", "not enough data"]
THREE_ERRORS = 0.0027
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


@dataclass(frozen=True)
class FeatureDrift:
    """One feature of a window beside the same feature of the reference.

    Attributes
    ----------
    name, kind : str
        The feature, and how it was compared: ``"number"`` or ``"category"``.
    verdict : str
        ``"drifted"``, ``"watch"``, ``"stable"`` or ``"not enough data"``.
    reason : str
        The number that decided, in words.
    effect : float
        PSI above its noise floor (as 8 x the Jensen-Shannon divergence, which
        agrees with the PSI for small differences and stays finite when a bin is
        empty on one side).
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
    limits = limits or Limits()
    measured = [_measure(reference[name], current[name], limits.of(name)) for name in names]
    adjusted = statistics.benjamini_hochberg([one.drift.p_value for one in measured])
    judged = [
        _judge(one, p, limits.of(one.drift.name)) for one, p in zip(measured, adjusted, strict=True)
    ]
    return sorted(judged, key=lambda d: (VERDICTS.index(d.verdict), -d.effect, d.name))


def _measure(reference: pl.Series, current: pl.Series, limits: Limits) -> _Measured:
    if is_number(reference.dtype):
        return _measure_numbers(
            reference.name, read_numbers(reference), read_numbers(current), limits
        )
    return _measure_categories(
        reference.name, read_categories(reference), read_categories(current), limits
    )


def _measure_numbers(
    name: str, reference: NumberColumn, current: NumberColumn, limits: Limits
) -> _Measured:
    bins = NumberBins.of(reference)
    counts = bins.count(reference), bins.count(current)
    p_values = [statistics.chi2_two_samples(*counts)]
    distance: float | None = None
    if reference.values.size and current.values.size:
        p_values.append(statistics.kolmogorov_smirnov(reference.values, current.values)[1])
    finite = reference.values[np.isfinite(reference.values)]
    scale = statistics.robust_scale(finite)
    if current.values.size and scale > 0:
        # Values far outside count as just outside: one outlier can't make or hide a shift.
        low, high = np.quantile(finite, [0.01, 0.99], method="inverted_cdf")
        ends = float(low) - 3 * scale, float(high) + 3 * scale
        moved, noise = statistics.wasserstein(reference.within(*ends), current.within(*ends))
        distance = max(0.0, moved - noise) / scale
    return _measured(
        name, "number", reference, current, counts, p_values, limits,
        distance=distance, histogram=number_histogram(reference, current),
    )  # fmt: skip


def _measure_categories(
    name: str, reference: CategoryColumn, current: CategoryColumn, limits: Limits
) -> _Measured:
    bins = CategoryBins.of(reference)
    counts = bins.count(reference), bins.count(current)
    p_values = [statistics.chi2_two_samples(*counts)]
    unseen, unseen_p = statistics.unseen_mass(reference.counts, current.counts)
    p_values.append(unseen_p)
    return _measured(
        name, "category", reference, current, counts, p_values, limits,
        unseen=unseen, unseen_p=unseen_p,
        histogram=category_histogram(reference, current),
    )  # fmt: skip


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
    missing_p = statistics.two_shares(
        reference.missing, reference.rows, current.missing, current.rows
    )
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
    unseen = (drift.unseen or 0.0) if measured.unseen_p <= THREE_ERRORS else 0.0
    findings = [
        (change, limits.missing_watch, limits.missing_act, f"missing {was:.1%} → {now:.1%}"),
        (unseen, limits.unseen_watch, limits.unseen_act, f"{unseen:.1%} in unseen categories"),
        (drift.effect, limits.psi_watch, limits.psi_act, f"PSI {drift.effect:.2f}"),
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
