"""How far each feature lies from its reference, period by period."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl

from jupyter_mlops import serving
from jupyter_mlops.data import Table
from jupyter_mlops.monitoring.features import FeatureDrift, compare_features
from jupyter_mlops.monitoring.limits import Limits
from jupyter_mlops.monitoring.served import logged_of, model_of, reference_of
from jupyter_mlops.monitoring.sides import log_column, read_sides, within
from jupyter_mlops.monitoring.windows import Window, parse_length
from jupyter_mlops.workspace import NotFound, Result, Workspace, closest
from jupyter_mlops.workspace.records import utcnow

__all__ = [
    "DriftMap",
    "FeatureInWindow",
    "MapWindow",
    "drift_map",
    "feature_served",
    "map_served",
    "period_of",
]

#: Periods that fit beside each other on a screen, the newest.
WINDOWS: Final = 52
#: Rows of the reference that every period is held against; a sample of more is as good here.
REFERENCE: Final = 20_000
_SEED: Final = 20_131
_WEEK: Final = timedelta(weeks=1)


@dataclass(frozen=True)
class MapWindow:
    """One period of an endpoint's traffic.

    Attributes
    ----------
    start, end : datetime
        `end` is exclusive.
    rows : int
    features : dict of str to FeatureDrift
        By feature; empty where the period has no rows.
    """

    start: datetime
    end: datetime
    rows: int
    features: dict[str, FeatureDrift]


@dataclass(frozen=True)
class DriftMap(Result):
    """An endpoint's features beside their reference, period by period.

    Attributes
    ----------
    endpoint : str
    model : str or None
    reference : str
    reference_rows : int
        Rows of the reference that were compared.
    every : str
        The length of a period.
    windows : list of MapWindow
        Without gaps from the first to the last, the oldest first; at most 52.
    names : list of str
        Features, those that drifted in most periods first.
    against : str or None
        What was asked to be compared with; None: the model's training data.
    notices : list of str
    at : datetime
    """

    endpoint: str
    model: str | None
    reference: str
    reference_rows: int
    every: str
    windows: list[MapWindow]
    names: list[str]
    limits: Limits
    at: datetime
    against: str | None = None
    notices: list[str] = field(default_factory=list)

    @property
    def ref(self) -> str:
        """``endpoint:name``."""
        return f"endpoint:{self.endpoint}"

    def drifted(self, name: str) -> list[MapWindow]:
        """The periods in which a feature drifted."""
        return [
            one
            for one in self.windows
            if name in one.features and one.features[name].verdict == "drifted"
        ]


@dataclass(frozen=True)
class FeatureInWindow(Result):
    """One feature of a window beside its reference.

    Attributes
    ----------
    endpoint : str
    model : str or None
    reference : str
    reference_rows : int
    window : Window
    drift : FeatureDrift
        Judged among all features of the window, as the map does.
    against : str or None
    """

    endpoint: str
    model: str | None
    reference: str
    reference_rows: int
    window: Window
    drift: FeatureDrift
    against: str | None = None

    @property
    def ref(self) -> str:
        """``endpoint:name``."""
        return f"endpoint:{self.endpoint}"


def drift_map(
    reference: Table,
    traffic: pl.LazyFrame,
    *,
    endpoint: str,
    every: str = "7d",
    features: Sequence[str] | None = None,
    model: str | None = None,
    window: Window | None = None,
    against: str | None = None,
    limits: Limits | None = None,
    notices: Sequence[str] = (),
) -> DriftMap:
    """Compare each period of logged traffic with a reference.

    Parameters
    ----------
    reference : Table
        What the features should look like.
    traffic : polars.LazyFrame
        The traffic log: ``event_time`` and inputs as ``in.<name>``.
    endpoint : str
        Whose traffic it is.
    every : str
        The length of a period, such as 7d or 12h; weeks begin on Mondays, in UTC.
    features : sequence of str, optional
        The model's features; default: every input that the reference has too.
    model : str, optional
    window : Window, optional
        Default: all traffic. Of more than 52 periods the newest count.
    against : str, optional
        What a person asked for instead of the model's training data.
    limits : Limits, optional
    notices : sequence of str

    Raises
    ------
    NotFound
        ``E-MONITORING-070``: no traffic in the window.
    Invalid
        ``E-MONITORING-006``, ``E-MONITORING-011``: as `drift` has them.

    Notes
    -----
    Verdicts are those of :func:`compare_features`, whose false alarms are shared out over the
    features of one period. Of a reference of more than 20,000 rows a sample of so many is
    compared, always the same; the noise floors know of it.
    """
    limits, window = limits or Limits(), window or Window()
    span = parse_length(every)
    newest = _newest(traffic, window)
    if newest is None:
        raise NotFound(
            f"endpoint {endpoint!r} has no traffic in the window {window}",
            "; ".join(notices),
            fix="widen --since and --until, or send rows with `%mlops call`",
            code="E-MONITORING-070",
        )
    told = list(notices)
    until = _start_of(newest, span) + span
    oldest = until - WINDOWS * span
    if window.since is None or window.since < oldest:
        earlier = within(traffic, Window(window.since, oldest)).select(pl.len()).collect().item()
        window = Window(oldest, window.until)
        if earlier:
            told.append(
                f"The newest {WINDOWS} periods are shown: {earlier:,} rows came before "
                f"{oldest:%Y-%m-%d}. --until shows earlier ones, a longer --every all."
            )
    sides = read_sides(reference, traffic, features, window)
    told += [f"{one[:1].upper()}{one[1:]}." for one in sides.notices]
    before, rows = sides.reference, sides.reference.height
    if rows > REFERENCE:
        before = before.sample(REFERENCE, seed=_SEED)
        told.append(
            f"{REFERENCE:,} of the {rows:,} rows of {reference.label} were drawn to compare with."
        )
    windows = _windows(before, sides.current, sides.names, span, limits)
    return DriftMap(
        endpoint=endpoint,
        model=model,
        reference=reference.label,
        reference_rows=before.height,
        every=every,
        windows=windows,
        names=_in_order(sides.names, windows),
        limits=limits,
        at=utcnow(),
        against=against,
        notices=told,
    )


def map_served(
    ws: Workspace,
    endpoint: str,
    *,
    every: str = "7d",
    window: Window | None = None,
    against: str | None = None,
) -> DriftMap:
    """Make the map of an endpoint's traffic, with all that is known of its model."""
    served = serving.get(ws, endpoint)
    known = _known(ws, served)
    return drift_map(
        reference_of(ws, served, against),
        serving.traffic.read(ws, served.name),
        endpoint=served.name,
        every=every,
        window=window,
        against=against,
        **known,
    )


def feature_served(
    ws: Workspace,
    endpoint: str,
    feature: str,
    *,
    window: Window | None = None,
    against: str | None = None,
) -> FeatureInWindow:
    """Compare one feature of an endpoint's traffic in a window with its reference.

    Raises
    ------
    NotFound
        ``E-MONITORING-071``: the endpoint logs no such input; ``E-MONITORING-070``: no traffic
        in the window.
    """
    served, window = serving.get(ws, endpoint), window or Window()
    known = _known(ws, served)
    traffic = serving.traffic.read(ws, served.name)
    reference = reference_of(ws, served, against)
    sides = read_sides(reference, traffic, known["features"], window)
    if feature not in sides.names:
        raise NotFound(
            f"endpoint {served.name!r} logs no feature {feature!r}",
            f"there are {', '.join(sides.names[:12])}",
            closest(feature, sides.names),
            code="E-MONITORING-071",
        )
    if sides.current.is_empty():
        raise NotFound(
            f"endpoint {served.name!r} has no traffic in the window {window}",
            fix="widen --since and --until",
            code="E-MONITORING-070",
        )
    before = sides.reference
    if before.height > REFERENCE:
        before = before.sample(REFERENCE, seed=_SEED)
    judged = compare_features(before, sides.current, sides.names, known["limits"])
    found = next(one for one in judged if one.name == feature)
    return FeatureInWindow(
        served.name, known["model"], reference.label, before.height, window, found, against
    )


def period_of(span: timedelta) -> str:
    """A length as polars truncates times to it: whole weeks begin on Mondays."""
    if span % _WEEK == timedelta(0):
        return f"{span // _WEEK}w"
    return f"{span // timedelta(microseconds=1)}us"


def _known(ws: Workspace, served: serving.Endpoint) -> dict[str, Any]:
    known = logged_of(ws, served, model_of(ws, served))
    kept = {name: known[name] for name in ("features", "model", "limits", "notices")}
    kept["notices"] = [f"{one[:1].upper()}{one[1:]}." for one in kept["notices"]]
    return kept


def _newest(traffic: pl.LazyFrame, window: Window) -> datetime | None:
    time = pl.col("event_time").cast(pl.Datetime("us", "UTC"))
    found: datetime | None = within(traffic, window).select(time.max()).collect().item()
    return found


def _start_of(moment: datetime, span: timedelta) -> datetime:
    found: datetime = pl.Series([moment]).dt.truncate(period_of(span)).item()
    return found


def _windows(
    before: pl.DataFrame,
    current: pl.DataFrame,
    names: Sequence[str],
    span: timedelta,
    limits: Limits,
) -> list[MapWindow]:
    time = log_column(current, "event_time")
    assert time is not None
    moment = pl.col(time).cast(pl.Datetime("us", "UTC"))
    period = "\0period"
    parts = {
        start: rows.drop(period)
        for (start,), rows in current.drop_nulls(time)
        .with_columns(moment.dt.truncate(period_of(span)).alias(period))
        .group_by(period)
    }
    first, last = min(parts), max(parts)
    found, start = [], first
    while start <= last:
        rows = parts.get(start)
        judged = compare_features(before, rows, names, limits) if rows is not None else []
        found.append(
            MapWindow(
                start,
                start + span,
                rows.height if rows is not None else 0,
                {one.name: one for one in judged},
            )
        )
        start += span
    return found


def _in_order(names: Sequence[str], windows: Sequence[MapWindow]) -> list[str]:
    """Those that drifted in most periods first, then those that moved furthest."""

    def place(name: str) -> tuple[int, int, float]:
        judged = [one.features[name] for one in windows if name in one.features]
        return (
            -sum(one.verdict == "drifted" for one in judged),
            -sum(one.verdict == "watch" for one in judged),
            -max((one.effect for one in judged), default=0.0),
        )

    return sorted(names, key=place)
