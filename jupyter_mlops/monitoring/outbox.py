"""What is to be told of alerts: written with their changes, sent until it has arrived."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, select

from jupyter_mlops.experiments.trials import may_live, process_name
from jupyter_mlops.monitoring.records import ChannelRecord, DeliveryRecord
from jupyter_mlops.workspace import MLOpsError, Unavailable, Workspace
from jupyter_mlops.workspace.records import new_id, utcnow
from jupyter_mlops.workspace.store import Transaction

__all__ = ["GIVEN_UP", "Later", "Letter", "enqueue", "send_due", "waiting"]

#: Tried for so long; then it is given up, and said so.
GIVEN_UP: Final = timedelta(days=1)
_FIRST: Final = timedelta(seconds=5)
_LONGEST: Final = timedelta(hours=1)
_AT_ONCE: Final = 100


@dataclass(frozen=True)
class Letter:
    """One change of one alert, for one channel.

    Attributes
    ----------
    id : str
        The same however often it is sent, so that its receiver can tell.
    change : str
        Such as ``"alert.opened"``.
    body : dict
    attempts : int
        Before this one.
    """

    id: str
    alert: str
    channel: str
    to: str
    secret: str | None
    change: str
    body: dict[str, Any]
    attempts: int
    made_at: datetime


class Later(Unavailable):
    """A receiver doesn't take a message now, and may say when it will.

    Parameters
    ----------
    seconds : float, optional
        That it asks to wait.
    """

    def __init__(self, *told: str, seconds: float | None = None, **more: str) -> None:
        super().__init__(*told, **more)
        self.seconds = seconds


Deliver = Callable[[Workspace, Letter], None]


def enqueue(tx: Transaction, change: str, alert: str, endpoint: str, body: dict[str, Any]) -> int:
    """Put a change into the outbox of each channel that wants it; return how many do."""
    now = utcnow()
    channels = tx.session.scalars(
        select(ChannelRecord.name).where(
            ChannelRecord.endpoint.is_(None) | (ChannelRecord.endpoint == endpoint)
        )
    )
    rows = [
        DeliveryRecord(
            id=new_id(),
            alert=alert,
            channel=name,
            change=change,
            body={"type": change, "timestamp": now.isoformat(), "data": body},
            state="waiting",
            attempts=0,
            error="",
            made_at=now,
            next_at=now,
        )
        for name in channels
    ]
    tx.session.add_all(rows)
    return len(rows)


def waiting(ws: Workspace) -> bool:
    """Whether anything is to be sent by now that nobody is sending."""
    oldest = select(func.min(DeliveryRecord.id)).where(DeliveryRecord.state == "waiting")
    query = select(DeliveryRecord.process).where(
        DeliveryRecord.id.in_(oldest.group_by(DeliveryRecord.channel)),
        DeliveryRecord.next_at <= utcnow(),
    )
    with ws.read() as session:
        found = list(session.scalars(query))
    return any(process is None or not may_live(process) for process in found)


def send_due(ws: Workspace, deliver: Deliver | None = None) -> int:
    """Send what is due, the oldest of a channel first; return how many arrived.

    Whoever is killed while sending leaves a row behind that the next one sends: a message may
    arrive twice, with the same id, and never not at all. What can't be sent is tried again after
    5 s, 10 s, 20 s and so on, at least each hour, or when its receiver says (Retry-After), and
    given up after a day.

    Parameters
    ----------
    ws : Workspace
    deliver : callable, optional
        Sends one; raises `MLOpsError` when it can't.
    """
    if deliver is None:
        from jupyter_mlops.monitoring.delivering import deliver as usual

        deliver = usual
    arrived, stuck = 0, set[str]()
    for letter in _claim(ws):
        if letter.channel in stuck:
            _release(ws, letter)
            continue
        try:
            deliver(ws, letter)
        except MLOpsError as error:
            # What comes after it waits too: an alert isn't resolved before it is told.
            stuck.add(letter.channel)
            _failed(ws, letter, error)
        else:
            arrived += 1
            _delivered(ws, letter)
    return arrived


def _claim(ws: Workspace) -> list[Letter]:
    """Take what is due and nobody's; writers take turns, so one process has each."""
    me, now = process_name(), utcnow()
    letters = []
    with ws.write("agent") as tx:
        query = select(DeliveryRecord).where(DeliveryRecord.state == "waiting")
        names = tx.session.scalars(query.with_only_columns(DeliveryRecord.channel).distinct())
        for name in sorted(names):
            channel = tx.session.get(ChannelRecord, name)
            rows = query.where(DeliveryRecord.channel == name).order_by(DeliveryRecord.id)
            for row in tx.session.scalars(rows.limit(_AT_ONCE)):
                if channel is None:
                    _end(tx, row, "dead", "the channel was removed")
                    continue
                taken = row.process is not None and row.process != me and may_live(row.process)
                if taken or row.next_at > now:
                    break  # those after it wait for it
                row.process = me
                letters.append(_letter(row, channel))
    return letters


def _letter(row: DeliveryRecord, channel: ChannelRecord) -> Letter:
    return Letter(
        row.id,
        row.alert,
        row.channel,
        channel.to,
        channel.secret,
        row.change,
        row.body,
        row.attempts,
        row.made_at,
    )


def _release(ws: Workspace, letter: Letter) -> None:
    with ws.write("agent") as tx:
        tx.session.get_one(DeliveryRecord, letter.id).process = None


def _delivered(ws: Workspace, letter: Letter) -> None:
    with ws.write("agent") as tx:
        row = tx.session.get_one(DeliveryRecord, letter.id)
        row.attempts += 1
        _end(tx, row, "delivered", "")


def _failed(ws: Workspace, letter: Letter, error: MLOpsError) -> None:
    now = utcnow()
    with ws.write("agent") as tx:
        row = tx.session.get_one(DeliveryRecord, letter.id)
        row.attempts += 1
        row.process, row.error = None, str(error)
        if now - row.made_at >= GIVEN_UP or error.code == "E-ALERT-027":
            _end(tx, row, "dead", str(error))
            return
        pause = min(_LONGEST, _FIRST * 2.0 ** min(row.attempts - 1, 20))
        # Many that failed together don't come back together.
        row.next_at = now + pause * random.uniform(0.8, 1.2)  # noqa: S311
        asked = error.seconds if isinstance(error, Later) else None
        if asked is not None:
            # Never sooner than it asks, but once more before it is given up.
            last = max(row.next_at, row.made_at + GIVEN_UP)
            row.next_at = min(max(row.next_at, now + timedelta(seconds=asked)), last)


def _end(tx: Transaction, row: DeliveryRecord, state: str, error: str) -> None:
    row.state, row.process, row.error, row.ended_at = state, None, error, utcnow()
    tx.emit(
        "alert.told" if state == "delivered" else "alert.untold",
        f"alert:{row.alert}",
        payload={"channel": row.channel, "change": row.change, "attempts": row.attempts}
        | ({"reason": error[:1000]} if error else {}),
        inputs=[f"channel:{row.channel}"],
    )
