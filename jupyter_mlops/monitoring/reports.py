"""Stored reports: the page a person opens, and the snapshot a program reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import polars as pl
from sqlalchemy import func, select

from jupyter_mlops import profiling
from jupyter_mlops.data import Table
from jupyter_mlops.monitoring.checks import Drift
from jupyter_mlops.monitoring.drawing import CONTENTS, RAW_ROWS, Rows, Side, Sketches, sketched
from jupyter_mlops.monitoring.records import DriftCheckRecord, ReportRecord
from jupyter_mlops.monitoring.sides import INPUT, within
from jupyter_mlops.workspace import NotFound, Result, Workspace
from jupyter_mlops.workspace.records import new_id, utcnow
from jupyter_mlops.workspace.references import Reference


@dataclass(frozen=True)
class Report(Result):
    """A stored report.

    Attributes
    ----------
    id : str
        ``report:<id>`` refers to it.
    subject : str
        What it is about: ``drift:<id>``.
    title : str
    engine : str
        What drew it, with its version.
    reference_rows, current_rows : int
        Rows it stands for.
    columns, notices : list of str
        What it shows, and what it can't show and why.
    sampled : bool
        Whether it is drawn from 2,000 points a column (above 50,000 rows a side).
    size : int
        Bytes of the page.
    url : str
        Where the page is stored; `path` says it below the Jupyter server's base URL.
    """

    id: str
    subject: str
    title: str
    engine: str
    reference_rows: int
    current_rows: int
    columns: list[str]
    notices: list[str]
    sampled: bool
    size: int
    url: str
    actor: str
    at: datetime

    @property
    def ref(self) -> str:
        return f"report:{self.id}"

    @property
    def path(self) -> str:
        """Where a Jupyter server shows it, below its base URL."""
        return f"mlops/api/reports/{self.id}"

    @property
    def file(self) -> Path | None:
        """The page as a file of this machine, if it is one."""
        return Path(self.url.removeprefix("file://")) if self.url.startswith("file://") else None


@dataclass(frozen=True)
class Reports(Result):
    """Stored reports, the newest first.

    Attributes
    ----------
    items : list of Report
        At most 200.
    total : int
        How many there are.
    endpoint : str or None
    """

    items: list[Report]
    total: int
    endpoint: str | None = None

    def __iter__(self) -> Iterator[Report]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def make_report(ws: Workspace, drift: Drift, reference: Table, traffic: pl.LazyFrame) -> Report:
    """Draw the Evidently report of a check and store it, or return the stored one.

    Parameters
    ----------
    ws : Workspace
    drift : Drift
        The check; its window, features and verdicts are what is drawn.
    reference : Table
    traffic : polars.LazyFrame
        The whole traffic log; rows logged after the check are left out.

    Notes
    -----
    The page is stored as ``<id>.html`` and the snapshot, which Evidently's ``Run.loads``
    reads, as ``<id>.json``. Where a side has more than 50,000 rows, both are read into
    sketches batch by batch, and those of a dataset's kept profile are taken as they are.

    Raises
    ------
    Invalid
        ``E-MONITORING-007``: no column has a value on both sides.
    """
    stored = report_of(ws, drift.ref)
    if stored is not None:
        return stored
    # Evidently takes seconds to import.
    from jupyter_mlops.monitoring.evidently_report import ENGINE, draw

    before, now = _sides(ws, drift, reference, traffic)
    title = f"{drift.endpoint}: {drift.window}"
    page = draw(before, now, drift.features, title, drift.limits)
    record = ReportRecord(
        id=new_id(),
        subject=drift.ref,
        title=title,
        engine=ENGINE,
        reference_rows=before.rows,
        current_rows=now.rows,
        columns=page.columns,
        notices=page.notices,
        sampled=page.sampled,
        size=len(page.html),
        actor=ws.user,
        at=utcnow(),
    )
    ws.reports.write_bytes(f"{record.id}.json", page.snapshot.encode())
    ws.reports.write_bytes(f"{record.id}.html", page.html)
    with ws.write() as transaction:
        transaction.session.add(record)
        transaction.emit(
            "report.made",
            f"report:{record.id}",
            payload={"title": title, "size": len(page.html)},
            inputs=[drift.ref],
            outputs=[f"report:{record.id}"],
        )
    return _report(ws, record)


def report_of(ws: Workspace, ref: str) -> Report | None:
    """Return the newest stored report about a record, or None."""
    with ws.read() as session:
        record = session.scalar(
            select(ReportRecord)
            .where(ReportRecord.subject == ref)
            .order_by(ReportRecord.at.desc())
            .limit(1)
        )
        return _report(ws, record) if record is not None else None


def report(ws: Workspace, ref: str) -> Report:
    """Return a stored report by its own reference.

    Raises
    ------
    NotFound
        ``E-MONITORING-008``: there is none.
    """
    name = Reference.parse(ref, kind="report").name
    with ws.read() as session:
        record = session.get(ReportRecord, name)
        if record is None:
            raise NotFound(
                f"there is no report {name!r}",
                fix="`%mlops report drift:ID` makes one of a check",
                code="E-MONITORING-008",
            )
        return _report(ws, record)


def list_reports(ws: Workspace, endpoint: str | None = None, limit: int = 200) -> Reports:
    """List the stored reports of an endpoint's checks, or of all checks, the newest first."""
    name = Reference.parse(endpoint, kind="endpoint").name if endpoint is not None else None
    query = select(ReportRecord).order_by(ReportRecord.at.desc())
    count = select(func.count()).select_from(ReportRecord)
    if name is not None:
        checks = select("drift:" + DriftCheckRecord.id).where(DriftCheckRecord.endpoint == name)
        query = query.where(ReportRecord.subject.in_(checks))
        count = count.where(ReportRecord.subject.in_(checks))
    with ws.read() as session:
        found = [_report(ws, one) for one in session.scalars(query.limit(limit))]
        return Reports(found, session.scalar(count) or 0, name)


def _sides(
    ws: Workspace, drift: Drift, reference: Table, traffic: pl.LazyFrame
) -> tuple[Side, Side]:
    """Both sides of a check as they were then, as rows while they are few, else as sketches."""
    logged = traffic.collect_schema().names()
    if "at" in logged:
        traffic = traffic.filter(pl.col("at").cast(pl.Datetime("us", "UTC")) <= drift.at)
    kinds = {one.name: one.kind for one in drift.features}
    inputs = [name for name in kinds if INPUT + name in logged]
    now = within(traffic, drift.window).select(pl.col(INPUT + name).alias(name) for name in inputs)
    known = reference.scan().collect_schema().names()
    before = reference.scan().select(name for name in kinds if name in known)
    rows = [side.select(pl.len()).collect(engine="streaming").item() for side in (before, now)]
    if max(rows) <= RAW_ROWS:
        return Rows(before.collect(engine="streaming")), Rows(now.collect(engine="streaming"))
    counted = {name: kind for name, kind in kinds.items() if kind not in CONTENTS}
    kept = _kept(ws, reference, counted)
    if kept is None:
        return sketched(before, kinds), sketched(now, kinds)
    contents = {name: kind for name, kind in kinds.items() if kind in CONTENTS}
    if contents:
        kept = replace(kept, some=sketched(before, contents).some)
    return kept, sketched(now, kinds)


def _kept(ws: Workspace, reference: Table, kinds: Mapping[str, str]) -> Sketches | None:
    """The sketches of a dataset's kept profile, where they tell of all the columns."""
    if reference.ref is None or not reference.ref.startswith("data:"):
        return None
    try:
        kept = profiling.get(ws, reference.ref)
    except NotFound:
        return None
    columns = {name: kept.columns[name] for name in kinds if name in kept.columns}
    told = len(columns) == len(kinds) and all(
        not one.fault and one.values.numeric == (kinds[name] == "number")
        for name, one in columns.items()
    )
    return Sketches(columns, kept.rows) if told else None


def _report(ws: Workspace, record: ReportRecord) -> Report:
    return Report(
        id=record.id,
        subject=record.subject,
        title=record.title,
        engine=record.engine,
        reference_rows=record.reference_rows,
        current_rows=record.current_rows,
        columns=list(record.columns),
        notices=list(record.notices),
        sampled=record.sampled,
        size=record.size,
        url=ws.reports.url(f"{record.id}.html"),
        actor=record.actor,
        at=record.at,
    )
