"""The two sides of a check: the reference, and a window of the traffic log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from jupyter_mlops.data import Table
from jupyter_mlops.monitoring.windows import Window
from jupyter_mlops.workspace import Invalid

INPUT = "in."


@dataclass(frozen=True)
class Sides:
    """The two frames of a check, feature columns under their own names.

    Attributes
    ----------
    reference, current : polars.DataFrame
        `current` also has the columns of the traffic log.
    names : list of str
        Features both sides have.
    missing : list of str
        Features asked for that one side doesn't have.
    """

    reference: pl.DataFrame
    current: pl.DataFrame
    names: list[str]
    missing: list[str]
    notices: list[str]


def within(traffic: pl.LazyFrame, window: Window) -> pl.LazyFrame:
    """Rows of the traffic log whose event time lies in the window."""
    time = pl.col("event_time").cast(pl.Datetime("us", "UTC"))
    if window.since is not None:
        traffic = traffic.filter(time >= window.since)
    if window.until is not None:
        traffic = traffic.filter(time < window.until)
    return traffic


def read_sides(
    reference: Table,
    traffic: pl.LazyFrame,
    features: Sequence[str] | None,
    window: Window,
    logged_until: datetime | None = None,
) -> Sides:
    """Read the columns that a check needs of both sides.

    `logged_until` leaves out what was logged later, so that a check can be seen again.

    Raises
    ------
    Invalid
        ``E-MONITORING-006``: the two sides share no feature.
        ``E-MONITORING-011``: the reference has no rows.
    """
    logged = traffic.collect_schema().names()
    if logged_until is not None and "at" in logged:
        traffic = traffic.filter(pl.col("at").cast(pl.Datetime("us", "UTC")) <= logged_until)
    inputs = [name.removeprefix(INPUT) for name in logged if name.startswith(INPUT)]
    known = reference.scan().collect_schema().names()
    wanted = list(features) if features else [name for name in inputs if name in known]
    names = [name for name in wanted if name in known and name in inputs]
    missing = [name for name in wanted if name not in names]
    notices = [f"feature {name!r} isn't in the traffic" for name in missing if name in known]
    notices += [f"the reference has no column {name!r}" for name in missing if name not in known]
    if not names:
        raise Invalid(
            f"the traffic and {reference.label} have no feature in common",
            f"traffic has {', '.join(inputs[:8]) or 'no inputs'}; "
            f"the reference {', '.join(known[:8])}",
            "say the model's training data with --against",
            code="E-MONITORING-006",
        )
    before = reference.scan().select(names).collect(engine="streaming")
    if before.height == 0:
        raise Invalid(
            f"the reference {reference.label} has no rows",
            fix="say another with --against",
            code="E-MONITORING-011",
        )
    log = [name for name in logged if not name.startswith(INPUT)]
    now = (
        within(traffic, window)
        .select([*log, *(INPUT + name for name in names)])
        .collect(engine="streaming")
        .rename({INPUT + name: "\0" + name for name in names})
    )
    # A feature may be called like a column of the log ("key", "version").
    clashes = {name: f"log.{name}" for name in log if name in names}
    now = now.rename(clashes).rename({"\0" + name: name for name in names})
    return Sides(before, now, names, missing, notices)


def log_column(frame: pl.DataFrame, name: str) -> str | None:
    """The log's column of that name, which steps aside for a feature called the same."""
    return next((one for one in (f"log.{name}", name) if one in frame.columns), None)
