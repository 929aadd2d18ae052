"""How an endpoint fared over time: what it answered, with which version, and what happened."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl

from jupyter_mlops import serving
from jupyter_mlops.monitoring.alerts import list_alerts
from jupyter_mlops.monitoring.checks import list_checks
from jupyter_mlops.monitoring.periods import period_of
from jupyter_mlops.monitoring.windows import Window, parse_length
from jupyter_mlops.workspace import Invalid, Result, Workspace
from jupyter_mlops.workspace.events import Event

__all__ = ["Happening", "Health", "HealthPeriod", "health"]

#: Periods that a chart can show.
MOST: Final = 400
_LENGTHS: Final = ("1min", "5min", "15min", "1h", "6h", "1d", "7d", "30d")
_WANTED: Final = 60
_EVENTS: Final = {
    "endpoint.ready": "ready",
    "endpoint.failed": "failed",
    "endpoint.stopped": "stopped",
    "endpoint.rolled_back": "version withdrawn",
    "policy.set": "policy set",
    "decision.promoted": "promoted",
    "decision.rolled_back": "rolled back",
    "decision.held": "challenger held",
    "decision.failed": "re-training failed",
}
_DECISIVE: Final = frozenset({"failed", "version withdrawn", "rolled back", "re-training failed"})


@dataclass(frozen=True)
class HealthPeriod:
    """A span of time and the rows that each version answered in it.

    Attributes
    ----------
    start : datetime
    rows : dict of str to int
        By version; of a sampled log the number they stand for.
    """

    start: datetime
    rows: dict[str, int]


@dataclass(frozen=True)
class Happening:
    """Something that happened to an endpoint.

    Attributes
    ----------
    at : datetime
    what : str
    told : str
        A sentence, or nothing.
    level : str
        ``"bad"``, ``"warn"``, ``"good"`` or ``"info"``.
    ref : str or None
    """

    at: datetime
    what: str
    told: str
    level: str
    ref: str | None


@dataclass(frozen=True)
class Health(Result):
    """An endpoint over time, as the clock ran.

    Attributes
    ----------
    endpoint, state : str
    every : str
        The length of a period.
    first, last : datetime or None
        Of the first and the last row; None without any.
    rows : int
    periods : list of HealthPeriod
        Those with rows, the oldest first.
    happenings : list of Happening
        The newest first.
    """

    endpoint: str
    state: str
    every: str
    first: datetime | None
    last: datetime | None
    rows: int
    periods: list[HealthPeriod]
    happenings: list[Happening]

    @property
    def ref(self) -> str:
        """``endpoint:name``."""
        return f"endpoint:{self.endpoint}"

    @property
    def versions(self) -> list[str]:
        """Those that answered, in the order in which they did."""
        return list(dict.fromkeys(name for one in self.periods for name in one.rows))


def health(
    ws: Workspace, endpoint: str, *, every: str | None = None, window: Window | None = None
) -> Health:
    """Say what an endpoint answered over time, and what happened to it.

    Parameters
    ----------
    ws : Workspace
    endpoint : str
    every : str, optional
        The length of a period; what makes about sixty of them when None.
    window : Window, optional
        Of the time at which rows were answered; default: all there is.

    Raises
    ------
    Invalid
        ``E-MONITORING-072``: that makes too many periods.
    """
    served, window = serving.get(ws, endpoint), window or Window()
    rows = _answered(serving.traffic.read(ws, served.name), window)
    first, last = (rows["at"].min(), rows["at"].max()) if rows.height else (None, None)
    every = every or _fitting(first, last)
    span = parse_length(every)
    if first is not None and (last - first) / span > MOST:  # type: ignore[operator]
        raise Invalid(
            f"that makes {(last - first) / span:,.0f} periods",  # type: ignore[operator]
            f"at most {MOST:,} are shown",
            "give a longer --every, or a window with --since and --until",
            code="E-MONITORING-072",
        )
    counted = (
        rows.with_columns(pl.col("at").dt.truncate(period_of(span)))
        .group_by("at", "version")
        .agg((1 / pl.col("share")).sum().round().cast(pl.Int64).alias("rows"))
        .sort("at", "version")
    )
    periods: dict[datetime, dict[str, int]] = {}
    for at, version, number in counted.iter_rows():
        periods.setdefault(at, {})[version or "unknown"] = number
    return Health(
        endpoint=served.name,
        state=served.state,
        every=every,
        first=first,  # type: ignore[arg-type]
        last=last,  # type: ignore[arg-type]
        rows=int(counted["rows"].sum()),
        periods=[HealthPeriod(at, each) for at, each in periods.items()],
        happenings=_happenings(ws, served.name, served.model, window),
    )


def _answered(traffic: pl.LazyFrame, window: Window) -> pl.DataFrame:
    at = pl.col("at").cast(pl.Datetime("us", "UTC"))
    rows = traffic.select(at, pl.col("version").cast(pl.String), "share").drop_nulls("at")
    if window.since is not None:
        rows = rows.filter(pl.col("at") >= window.since)
    if window.until is not None:
        rows = rows.filter(pl.col("at") < window.until)
    return rows.collect(engine="streaming")


def _fitting(first: Any, last: Any) -> str:
    """The shortest usual length that makes few enough periods to be told apart."""
    whole = last - first if first is not None else timedelta(0)
    fits = (one for one in _LENGTHS if whole / parse_length(one) <= _WANTED)
    return next(fits, _LENGTHS[-1])


def _happenings(ws: Workspace, endpoint: str, model: str, window: Window) -> list[Happening]:
    found = [*_events(ws, endpoint, model), *_alerts(ws, endpoint), *_checks(ws, endpoint)]
    since, until = window.since, window.until
    kept = [
        one
        for one in found
        if (since is None or one.at >= since) and (until is None or one.at < until)
    ]
    return sorted(kept, key=lambda one: one.at, reverse=True)


def _events(ws: Workspace, endpoint: str, model: str) -> list[Happening]:
    found = []
    for kind, what in _EVENTS.items():
        own = f"endpoint:{endpoint}" if kind.startswith("endpoint.") else None
        for one in ws.events(kind=kind, subject=own, limit=MOST, newest=True):
            if own or one.payload.get("model") == model:
                found.append(_happened(one, what))
    return found


def _happened(one: Event, what: str) -> Happening:
    ref = one.subject if one.subject.partition(":")[0] in ("decision", "policy") else None
    served = next((it for it in one.inputs if it.startswith("model:")), "")
    told = str(one.payload.get("reason") or served.removeprefix("model:"))
    level = "bad" if what in _DECISIVE else "good" if what in ("promoted", "ready") else "info"
    return Happening(one.at, what, told, level, ref)


def _alerts(ws: Workspace, endpoint: str) -> list[Happening]:
    found = []
    for one in list_alerts(ws, endpoint, every=True):
        told = f"{one.kind}: {one.reason}"
        found.append(Happening(one.first_at, "alert opened", told, "bad", one.ref))
        if one.resolved_at is not None:
            by = f"by {one.resolved_by}"
            found.append(Happening(one.resolved_at, "alert resolved", by, "good", one.ref))
    return found


def _checks(ws: Workspace, endpoint: str) -> list[Happening]:
    level = {"stable": "good", "not enough data": "info", "inputs moved": "warn"}
    return [
        Happening(one.at, "drift checked", one.sentence, level.get(one.verdict, "bad"), one.ref)
        for one in list_checks(ws, endpoint)
    ]
