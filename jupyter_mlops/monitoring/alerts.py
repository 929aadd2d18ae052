"""Alerts: opened once by what is found, acknowledged by a person, resolved when it is over."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from jupyter_mlops.monitoring.outbox import enqueue
from jupyter_mlops.monitoring.records import AlertRecord
from jupyter_mlops.workspace import NotFound, Reference, Result, Workspace
from jupyter_mlops.workspace.records import new_id, utcnow
from jupyter_mlops.workspace.store import Transaction

__all__ = [
    "ACTIVE",
    "Alert",
    "Alerts",
    "Finding",
    "acknowledge",
    "active_keys",
    "alert",
    "list_alerts",
    "observe",
    "resolve",
    "settle",
]

State = Literal["open", "acknowledged", "resolved"]
ACTIVE: Final = ("open", "acknowledged")
#: Good checks in a row after which an alert is over.
GOOD_CHECKS: Final = 2
#: What comes back takes longer each time until it counts as over, up to so many checks.
_MOST_GOOD: Final = 16
_REOPENS: Final = timedelta(days=1)
SHOWN: Final = 200


@dataclass(frozen=True)
class Finding:
    """What one look at an endpoint says about one thing that can go wrong with it.

    Attributes
    ----------
    endpoint : str
    kind : str
        Such as ``"drift"``, ``"performance"``, ``"errors"``, ``"latency"``, ``"contract"``.
    subject : str
        What of it: ``"inputs"``, a column, a limit. An endpoint has one alert that isn't
        resolved for each kind and subject.
    bad : bool or None
        None says nothing either way: not enough data, no traffic.
    reason : str
        A sentence with its numbers.
    numbers : mapping
        JSON-safe.
    parts : tuple of str
        Which things are concerned; an acknowledged alert is open again when others join them.
    decisive : bool
        One good look is enough to resolve the alert.
    """

    endpoint: str
    kind: str
    subject: str
    bad: bool | None
    reason: str = ""
    numbers: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[str, ...] = ()
    decisive: bool = False

    @property
    def key(self) -> str:
        """By which alerts are told apart; as long for any subject."""
        text = "\0".join((self.endpoint, self.kind, self.subject))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Alert(Result):
    """Something is wrong with an endpoint, or was.

    Attributes
    ----------
    id : str
        ``alert:<id>`` refers to it, and the first digits of it.
    endpoint, kind, subject : str
    state : str
        ``"open"``, ``"acknowledged"`` or ``"resolved"``.
    reason : str
        A sentence with its numbers, as last found.
    numbers : dict
    parts : list of str
    first_at, last_at : datetime
        When it was found first and last.
    count : int
        How often it was found.
    good, needed : int
        Good checks in a row since, and how many resolve it.
    reopened : int
        How often it came back after it was over.
    acknowledged_by, acknowledged_at, note, resolved_by, resolved_at
        Who did, when, and what they said.
    """

    id: str
    endpoint: str
    kind: str
    subject: str
    state: State
    reason: str
    numbers: dict[str, Any]
    parts: list[str]
    first_at: datetime
    last_at: datetime
    count: int
    good: int
    needed: int
    reopened: int
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    note: str
    resolved_by: str | None
    resolved_at: datetime | None

    @classmethod
    def of(cls, row: AlertRecord) -> Alert:
        values = {name: getattr(row, name) for name in cls.__dataclass_fields__}
        return cls(**values)

    @property
    def ref(self) -> str:
        """``alert:<id>``."""
        return f"alert:{self.id}"


@dataclass(frozen=True)
class Alerts(Result):
    """Alerts, those that wait for a person first.

    Attributes
    ----------
    items : tuple of Alert
        At most 200.
    total : int
        How many there are.
    endpoint : str or None
    every : bool
        Whether resolved ones are among them.
    """

    items: tuple[Alert, ...]
    total: int
    endpoint: str | None = None
    every: bool = False

    def __iter__(self) -> Iterator[Alert]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def observe(
    ws: Workspace,
    findings: Iterable[Finding],
    *,
    good_checks: int = GOOD_CHECKS,
    reopens: timedelta = _REOPENS,
    at: datetime | None = None,
) -> list[Alert]:
    """Open, count, reopen and resolve alerts by what was found; return those that changed state.

    Parameters
    ----------
    ws : Workspace
    findings : iterable of Finding
    good_checks : int
        So many good checks in a row resolve an alert that opened for the first time; each time
        it came back, twice as many.
    reopens : timedelta
        What is found again so soon after it was resolved is the same alert.
    at : datetime, optional
        When it was found; now when None.

    Notes
    -----
    A finding that says nothing (`bad` is None) neither resolves an alert nor interrupts the good
    checks that came before it.

    Examples
    --------
    >>> found = Finding("delay", "drift", "inputs", True, "3 of 8 features drifted")
    >>> observe(ws, [found])                              # doctest: +SKIP
    [Alert(id='…', endpoint='delay', kind='drift', …, state='open', …)]
    """
    with ws.write("agent") as tx:
        return settle(tx, findings, good_checks=good_checks, reopens=reopens, at=at)


def settle(
    tx: Transaction,
    findings: Iterable[Finding],
    *,
    good_checks: int = GOOD_CHECKS,
    reopens: timedelta = _REOPENS,
    at: datetime | None = None,
) -> list[Alert]:
    """As `observe`, within a transaction."""
    now = at or utcnow()
    changed = []
    for one in findings:
        row = tx.session.scalar(
            select(AlertRecord)
            .where(AlertRecord.key == one.key)
            .order_by(AlertRecord.last_at.desc(), AlertRecord.id.desc())
            .limit(1)
        )
        if one.bad is None:
            continue
        change = _bad(tx, row, one, good_checks, reopens, now) if one.bad else _good(row, one, now)
        if change is not None:
            changed.append(_tell(tx, *change))
    return changed


def _bad(
    tx: Transaction,
    row: AlertRecord | None,
    found: Finding,
    good_checks: int,
    reopens: timedelta,
    now: datetime,
) -> tuple[AlertRecord, str] | None:
    if row is None or (row.resolved_at is not None and now - row.resolved_at > reopens):
        row = AlertRecord(
            id=new_id(),
            endpoint=found.endpoint,
            kind=found.kind,
            subject=found.subject[:255],
            key=found.key,
            state="open",
            first_at=now,
            count=0,
            reopened=0,
            needed=good_checks,
            parts=[],
            note="",
        )
        tx.session.add(row)
        change: str | None = "alert.opened"
    elif row.state == "resolved":
        row.state, row.resolved_at, row.resolved_by = "open", None, None
        row.acknowledged_at, row.acknowledged_by = None, None
        row.reopened += 1
        row.needed = min(_MOST_GOOD, max(good_checks, 2 * row.needed))
        row.parts = []
        change = "alert.reopened"
    elif row.state == "acknowledged" and set(found.parts) - set(row.parts):
        # Who acknowledged it knew of less.
        row.state = "open"
        row.acknowledged_at, row.acknowledged_by = None, None
        change = "alert.reopened"
    else:
        change = None
    # Who acknowledges it knows of all it concerned, though some of that is well for a while.
    row.parts = [*row.parts, *(one for one in found.parts if one not in row.parts)]
    row.reason, row.numbers = found.reason, _plain(dict(found.numbers))
    row.last_at, row.good = now, 0
    row.count += 1
    return None if change is None else (row, change)


def _good(row: AlertRecord | None, found: Finding, now: datetime) -> tuple[AlertRecord, str] | None:
    if row is None or row.state == "resolved":
        return None
    row.good += 1
    if row.good < row.needed and not found.decisive:
        return None
    row.state, row.resolved_at, row.resolved_by = "resolved", now, "agent"
    return row, "alert.resolved"


def _tell(tx: Transaction, row: AlertRecord, change: str) -> Alert:
    """Emit the change, and put it into the outbox of each channel."""
    checked = row.numbers.get("check")
    tx.emit(
        change,
        f"alert:{row.id}",
        payload={"endpoint": row.endpoint, "kind": row.kind, "reason": row.reason[:2000]},
        inputs=[f"endpoint:{row.endpoint}", *([checked] if checked else [])],
    )
    tx.session.flush()
    found = Alert.of(row)
    enqueue(tx, change, found.id, found.endpoint, told(found))
    return found


def told(one: Alert) -> dict[str, Any]:
    """An alert as channels are told it, JSON-safe."""
    times = ("first_at", "last_at", "acknowledged_at", "resolved_at")
    values = {name: getattr(one, name) for name in one.__dataclass_fields__}
    return values | {
        "ref": one.ref,
        **{name: values[name] and values[name].isoformat() for name in times},
    }


def _plain(value: Any) -> Any:
    """Numbers as JSON has them, which knows neither NaN nor infinity."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def acknowledge(ws: Workspace, ref: str, note: str = "") -> Alert:
    """Say that somebody looks after an alert.

    Raises
    ------
    NotFound
        There is no such alert.
    """
    found = alert(ws, ref)
    with ws.write() as tx:
        row = tx.session.get_one(AlertRecord, found.id)
        if row.state != "open":
            if note:
                row.note = note
            return Alert.of(row)
        row.state, row.acknowledged_at, row.acknowledged_by = "acknowledged", utcnow(), ws.user
        row.note = note or row.note
        return _tell(tx, row, "alert.acknowledged")


def resolve(ws: Workspace, ref: str, note: str = "") -> Alert:
    """Close an alert; it opens again when the next check finds the same.

    Raises
    ------
    NotFound
        There is no such alert.
    """
    found = alert(ws, ref)
    with ws.write() as tx:
        row = tx.session.get_one(AlertRecord, found.id)
        if row.state == "resolved":
            return Alert.of(row)
        row.state, row.resolved_at, row.resolved_by = "resolved", utcnow(), ws.user
        row.note = note or row.note
        return _tell(tx, row, "alert.resolved")


def alert(ws: Workspace, ref: str) -> Alert:
    """Return an alert by ``alert:<id>``, its id, or the first digits of it.

    Raises
    ------
    NotFound
        ``E-ALERT-001``: there is none, or several begin so.
    """
    name = Reference.parse(ref, kind="alert").name
    query = select(AlertRecord).where(AlertRecord.id.startswith(name, autoescape=True))
    with ws.read() as session:
        found = session.scalars(query).fetchmany(2)
        if len(found) != 1:
            raise NotFound(
                f"{'no' if not found else 'more than one'} alert is called {name!r}",
                fix="`%mlops alerts --all` lists them",
                code="E-ALERT-001",
            )
        return Alert.of(found[0])


def list_alerts(ws: Workspace, endpoint: str | None = None, *, every: bool = False) -> Alerts:
    """List the alerts of an endpoint or of all; resolved ones only with `every`."""
    name = Reference.parse(endpoint, kind="endpoint").name if endpoint is not None else None
    query, count = select(AlertRecord), select(func.count()).select_from(AlertRecord)
    if name is not None:
        query = query.where(AlertRecord.endpoint == name)
        count = count.where(AlertRecord.endpoint == name)
    if not every:
        query = query.where(AlertRecord.state.in_(ACTIVE))
        count = count.where(AlertRecord.state.in_(ACTIVE))
    # Open, then acknowledged, then resolved.
    order = func.instr if ws.store.sqlite else func.strpos
    query = query.order_by(
        order("open acknowledged resolved", AlertRecord.state), AlertRecord.last_at.desc()
    )
    with ws.read() as session:
        found = tuple(Alert.of(row) for row in session.scalars(query.limit(SHOWN)))
        return Alerts(found, session.scalar(count) or 0, name, every)


def active_keys(session: Session) -> set[str]:
    """Keys of the alerts that aren't resolved."""
    return set(session.scalars(select(AlertRecord.key).where(AlertRecord.state.in_(ACTIVE))))
