"""The log of state changes: appended in the same transaction, chained by hash."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import RowMapping, Text, cast, func, select
from sqlalchemy.orm import Session

from jupyter_mlops.workspace.errors import Invalid
from jupyter_mlops.workspace.records import EventHead, EventRecord, new_id, utcnow
from jupyter_mlops.workspace.references import Reference
from jupyter_mlops.workspace.results import Result

__all__ = ["GENESIS", "Audit", "Event", "Told", "append", "append_all", "last", "read", "verify"]

GENESIS = "0" * 64
PAYLOAD_LIMIT = 64 << 10
KIND = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
PAGE = 1000


@dataclass(frozen=True)
class Event:
    """One state change: who did what to which record, when, from and to what."""

    seq: int
    id: str
    at: datetime
    actor: str
    kind: str
    subject: str
    payload: dict[str, Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    hash: str

    @classmethod
    def of(cls, row: EventRecord) -> Event:
        return cls(
            row.seq,
            row.id,
            row.at,
            row.actor,
            row.kind,
            row.subject,
            row.payload,
            tuple(row.inputs),
            tuple(row.outputs),
            row.hash,
        )


@dataclass(frozen=True)
class Audit(Result):
    """What checking the chain found; `broken` is the first bad event's number, or None."""

    events: int
    head: str
    broken: int | None = None
    reason: str = ""

    @property
    def intact(self) -> bool:
        return self.broken is None


def append(
    session: Session,
    actor: str,
    kind: str,
    subject: str,
    payload: dict[str, Any] | None = None,
    inputs: Iterable[str] = (),
    outputs: Iterable[str] = (),
) -> Event:
    """Append one event to the chain within the caller's transaction.

    Raises
    ------
    Invalid
        The kind isn't ``noun.past_verb``, the subject is no reference, or the payload
        isn't JSON or is larger than 64 KiB.
    """
    told = Told(kind, subject, payload or {}, tuple(inputs), tuple(outputs))
    return append_all(session, actor, [told])[0]


class Told(NamedTuple):
    """An event to be appended: its kind, what it is about, and what it points at."""

    kind: str
    subject: str
    payload: dict[str, Any]
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


def append_all(session: Session, actor: str, told: Iterable[Told]) -> list[Event]:
    """Append several events in their order, which costs little more than one.

    Raises
    ------
    Invalid
        As for `append`; nothing is appended then.
    """
    rows = [_row(actor, one) for one in told]
    head = session.get(EventHead, 1, with_for_update=True)
    if head is None:
        raise Invalid(
            "the store has no event log",
            fix="run `jupyter mlops doctor`",
            code="E-STORE-006",
        )
    for row in rows:
        row.seq, row.previous = head.seq + 1, head.hash
        row.hash = _digest(row)
        head.seq, head.hash = row.seq, row.hash
    session.add_all(rows)
    # Flushed here so that a later event of this transaction sees the new head.
    session.flush()
    return [Event.of(row) for row in rows]


def _row(actor: str, told: Told) -> EventRecord:
    kind = told.kind
    if not KIND.fullmatch(kind) or len(kind) > 64:
        raise Invalid(
            f"{kind!r} can't be the kind of an event",
            fix="write it as noun.past_verb, 64 characters at the most, e.g. dataset.added",
            code="E-STORE-007",
        )
    Reference.parse(told.subject)
    return EventRecord(
        id=new_id(),
        at=utcnow(),
        actor=_storable(actor),
        kind=kind,
        subject=told.subject,
        payload=_plain(told.payload, kind),
        inputs=[str(ref) for ref in told.inputs],
        outputs=[str(ref) for ref in told.outputs],
    )


def read(
    session: Session,
    after: int = 0,
    limit: int = 100,
    kind: str | None = None,
    subject: str | None = None,
    newest: bool = False,
) -> list[Event]:
    """Return up to `limit` events numbered above `after`, oldest first unless `newest`."""
    query = select(EventRecord).where(EventRecord.seq > after).limit(limit)
    query = query.order_by(EventRecord.seq.desc() if newest else EventRecord.seq)
    if kind is not None:
        query = query.where(EventRecord.kind == kind)
    if subject is not None:
        query = query.where(EventRecord.subject == subject)
    return [Event.of(row) for row in session.scalars(query)]


def verify(session: Session) -> Audit:
    """Recompute every hash and return the first event that doesn't fit, if any.

    The chain proves that no event was changed, added or removed by somebody who didn't
    also rewrite every later one. Against that, keep an audit's `head` somewhere else.
    """
    head = session.get(EventHead, 1)
    expected, previous = 0, GENESIS
    for row in _every(session):
        expected += 1
        seq = int(row["seq"])
        if seq != expected:
            reason = "an event is missing" if seq > expected else "it was put in"
            return Audit(expected - 1, previous, min(seq, expected), reason)
        if row["previous"] != previous:
            return Audit(expected - 1, previous, seq, "it doesn't follow the one before")
        if _digest_of_text(row) != row["hash"]:
            return Audit(expected - 1, previous, seq, "its content was changed")
        previous = str(row["hash"])
    if head is None or head.seq > expected:
        return Audit(expected, previous, expected + 1, "events were cut off the end")
    if head.seq < expected:
        return Audit(expected, previous, head.seq + 1, "events were put at the end")
    if head.hash != previous:
        return Audit(expected, previous, expected, "it isn't the event that was recorded last")
    return Audit(expected, previous)


def _every(session: Session) -> Iterator[RowMapping]:
    """All events by number, in pages: the log may hold millions.

    JSON and, on SQLite, times come as text: what was tampered with may be neither.
    """
    table = EventRecord.__table__
    as_text = {"payload", "inputs", "outputs"}
    if session.get_bind().dialect.name == "sqlite":
        as_text.add("at")
    columns = [
        cast(column, Text).label(column.name) if column.name in as_text else column
        for column in table.columns
    ]
    number = table.columns["seq"]
    after: int | None = None
    while True:
        query = select(*columns).order_by(number).limit(PAGE)
        page = session.execute(query if after is None else query.where(number > after)).all()
        for row in page:
            yield row._mapping
        if len(page) < PAGE:
            return
        after = page[-1]._mapping["seq"]


def last(session: Session) -> int:
    """The newest event's number; 0 for an empty log."""
    return session.scalar(select(func.max(EventRecord.seq))) or 0


def _plain(payload: dict[str, Any], kind: str) -> dict[str, Any]:
    try:
        text = json.dumps(payload, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise Invalid(
            f"the event {kind!r} can't be recorded", str(error), code="E-STORE-004"
        ) from None
    if len(text) > PAYLOAD_LIMIT:
        raise Invalid(
            f"the event {kind!r} is too large to record",
            f"{len(text):,} bytes of {PAYLOAD_LIMIT:,}",
            "keep the content in an artifact and record its reference",
            code="E-STORE-005",
        )
    plain: dict[str, Any] = json.loads(text)
    return plain


def _storable(text: str) -> str:
    """`text` as both databases can hold it: no NUL, no broken characters, 255 at the most."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")[:255]


def _digest_of_text(row: RowMapping) -> str:
    """The digest of an event as `_every` reads it; empty when it can't be read."""
    try:
        at = row["at"]
        return _digest(
            EventRecord(
                **{
                    **row,
                    "at": at if isinstance(at, datetime) else datetime.fromisoformat(f"{at}+00:00"),
                    **{name: json.loads(row[name]) for name in ("payload", "inputs", "outputs")},
                }
            )
        )
    except (TypeError, ValueError):
        return ""


def _digest(row: EventRecord) -> str:
    """SHA-256 of the event as JSON with sorted keys, as RFC 8785 orders them for ASCII names."""
    content = {
        "seq": row.seq,
        "id": row.id,
        "at": row.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": row.actor,
        "kind": row.kind,
        "subject": row.subject,
        "payload": row.payload,
        "inputs": row.inputs,
        "outputs": row.outputs,
        "previous": row.previous,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
