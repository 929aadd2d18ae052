"""Stored reports: the page a person opens, and the snapshot a program reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl
from sqlalchemy import select

from jupyter_mlops.data import Table
from jupyter_mlops.monitoring.checks import Drift
from jupyter_mlops.monitoring.records import ReportRecord
from jupyter_mlops.monitoring.sides import read_sides
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
        Whether it is drawn from quantile points (above 50,000 rows a side).
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
    reads, as ``<id>.json``.
    """
    stored = report_of(ws, drift.ref)
    if stored is not None:
        return stored
    # Evidently takes seconds to import.
    from jupyter_mlops.monitoring.evidently_report import ENGINE, draw

    names = [one.name for one in drift.features]
    sides = read_sides(reference, traffic, names, drift.window, logged_until=drift.at)
    title = f"{drift.endpoint}: {drift.window}"
    page = draw(sides.reference, sides.current, drift.features, title)
    record = ReportRecord(
        id=new_id(),
        subject=drift.ref,
        title=title,
        engine=ENGINE,
        reference_rows=sides.reference.height,
        current_rows=sides.current.height,
        columns=page.columns,
        notices=[*sides.notices, *page.notices],
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
