"""How far each feature lies from its reference, period by period."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import polars as pl

from jupyter_mlops import serving
from jupyter_mlops.data import Table
from jupyter_mlops.monitoring.battery import run_battery
from jupyter_mlops.monitoring.features import FeatureDrift
from jupyter_mlops.monitoring.hourly import worth_keeping
from jupyter_mlops.monitoring.limits import Limits
from jupyter_mlops.monitoring.periods import Periods, periods_kept, periods_of_rows, start_of
from jupyter_mlops.monitoring.readings import KeptLog
from jupyter_mlops.monitoring.served import logged_of, model_of, reference_of
from jupyter_mlops.monitoring.sides import within
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
]

#: Periods that fit beside each other on a screen, the newest.
WINDOWS: Final = 52
_HOUR: Final = timedelta(hours=1)


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
    source : str
        What was read, in words.
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
    source: str = ""

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
    traffic: pl.LazyFrame | Callable[[], pl.LazyFrame],
    *,
    endpoint: str,
    every: str = "7d",
    features: Sequence[str] | None = None,
    model: str | None = None,
    window: Window | None = None,
    against: str | None = None,
    limits: Limits | None = None,
    notices: Sequence[str] = (),
    log: KeptLog | None = None,
) -> DriftMap:
    """Compare each period of logged traffic with a reference.

    Parameters
    ----------
    reference : Table
        What the features should look like.
    traffic : polars.LazyFrame, or callable that gives it
        The traffic log: ``event_time`` and inputs as ``in.<name>``. Asked for only where rows
        are read.
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
    log : KeptLog, optional
        The kept profiles of the traffic, which periods of whole hours are read from.

    Raises
    ------
    NotFound
        ``E-MONITORING-070``: no traffic in the window.
    Invalid
        ``E-MONITORING-006``, ``E-MONITORING-011``: as `drift` has them.

    Notes
    -----
    Verdicts are those of :func:`compare_columns`, whose false alarms are shared out over the
    features of one period. Of a reference of more than 20,000 rows that are read row by row a
    sample of so many is compared, always the same; the noise floors know of it.
    """
    limits, window = limits or Limits(), window or Window()
    span = parse_length(every)
    rows = _later(traffic)
    newest = _newest(rows, log, window)
    if newest is None:
        raise _no_traffic(endpoint, window, notices)
    told = list(notices)
    until = start_of(newest, span) + span
    oldest = until - WINDOWS * span
    if window.since is None or window.since < oldest:
        before = Window(window.since, oldest)
        earlier = log.rows(before) if log is not None else _count(rows(), before)
        window = Window(oldest, window.until)
        if earlier:
            told.append(
                f"The newest {WINDOWS} periods are shown: {earlier:,} rows came before "
                f"{oldest:%Y-%m-%d}. --until shows earlier ones, a longer --every all."
            )
    found = _periods(reference, rows, features, window, span, log)
    if not found.parts:
        raise _no_traffic(endpoint, window, notices)
    told += [f"{one[:1].upper()}{one[1:]}." for one in found.notices]
    windows = _windows(found, span, limits)
    return DriftMap(
        endpoint=endpoint,
        model=model,
        reference=reference.label,
        reference_rows=found.reference.rows,
        every=every,
        windows=windows,
        names=_in_order(list(found.kinds), windows),
        limits=limits,
        at=utcnow(),
        against=against,
        notices=told,
        source=found.source,
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
        lambda: serving.traffic.read(ws, served.name),
        endpoint=served.name,
        every=every,
        window=window,
        against=against,
        log=KeptLog(ws, served.name) if worth_keeping(ws, served.name) else None,
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
    rows = _later(lambda: serving.traffic.read(ws, served.name))
    log = KeptLog(ws, served.name) if worth_keeping(ws, served.name) else None
    reference = reference_of(ws, served, against)
    found = _periods(reference, rows, known["features"], window, None, log)
    if feature not in found.kinds:
        raise NotFound(
            f"endpoint {served.name!r} logs no feature {feature!r}",
            f"there are {', '.join(list(found.kinds)[:12])}",
            closest(feature, found.kinds),
            code="E-MONITORING-071",
        )
    if not found.parts:
        raise _no_traffic(served.name, window)
    (current,) = found.parts.values()
    judged, _ = run_battery(found.reference, current, found.kinds, known["limits"], jointly=False)
    one = next(one for one in judged if one.name == feature)
    return FeatureInWindow(
        served.name, known["model"], reference.label, found.reference.rows, window, one, against
    )


def _known(ws: Workspace, served: serving.Endpoint) -> dict[str, Any]:
    known = logged_of(ws, served, model_of(ws, served))
    kept = {name: known[name] for name in ("features", "model", "limits", "notices")}
    kept["notices"] = [f"{one[:1].upper()}{one[1:]}." for one in kept["notices"]]
    return kept


def _later(traffic: pl.LazyFrame | Callable[[], pl.LazyFrame]) -> Callable[[], pl.LazyFrame]:
    """Traffic that is opened when it is first asked for: a log has thousands of files."""
    if isinstance(traffic, pl.LazyFrame):
        opened = traffic
        return lambda: opened
    return lru_cache(1)(traffic)


def _no_traffic(endpoint: str, window: Window, notices: Sequence[str] = ()) -> NotFound:
    return NotFound(
        f"endpoint {endpoint!r} has no traffic in the window {window}",
        "; ".join(notices),
        fix="widen --since and --until, or send rows with `%mlops call`",
        code="E-MONITORING-070",
    )


def _newest(
    rows: Callable[[], pl.LazyFrame], log: KeptLog | None, window: Window
) -> datetime | None:
    """The time of the newest row, to the hour where it is read from kept profiles."""
    if log is not None:
        ends = log.ends(window)
        return None if ends is None else ends[1] - timedelta(microseconds=1)
    time = pl.col("event_time").cast(pl.Datetime("us", "UTC"))
    found: datetime | None = within(rows(), window).select(time.max()).collect().item()
    return found


def _count(traffic: pl.LazyFrame, window: Window) -> int:
    return int(within(traffic, window).select(pl.len()).collect().item())


def _periods(
    reference: Table,
    rows: Callable[[], pl.LazyFrame],
    features: Sequence[str] | None,
    window: Window,
    span: timedelta | None,
    log: KeptLog | None,
) -> Periods:
    """From kept profiles where there are any, else from rows."""
    if log is None:
        return periods_of_rows(reference, rows(), features, window, span)
    kept = periods_kept(reference, log, rows, features, window, span)
    if kept is not None:
        return kept
    found = periods_of_rows(reference, rows(), features, window, span)
    why = (
        "they are of whole hours"
        if span is not None and span % _HOUR
        else (f"they don't tell enough of every feature of {reference.label}")
    )
    return replace(
        found,
        notices=[*found.notices, f"rows were read and not the kept profiles: {why}"],
    )


def _windows(found: Periods, span: timedelta, limits: Limits) -> list[MapWindow]:
    windows = []
    start = min(found.parts)
    while start <= max(found.parts):
        current = found.parts.get(start)
        judged: list[FeatureDrift] = []
        if current is not None:
            judged, _ = run_battery(found.reference, current, found.kinds, limits, jointly=False)
        rows = current.rows if current is not None else 0
        windows.append(MapWindow(start, start + span, rows, {one.name: one for one in judged}))
        start += span
    return windows


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
