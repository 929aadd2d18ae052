"""Channels: where people are told of alerts."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from sqlalchemy import func, select

from jupyter_mlops.monitoring.delivering import deliver
from jupyter_mlops.monitoring.outbox import Letter
from jupyter_mlops.monitoring.records import ChannelRecord, DeliveryRecord
from jupyter_mlops.workspace import Invalid, NotFound, Reference, Result, Workspace, closest
from jupyter_mlops.workspace.records import new_id, utcnow
from jupyter_mlops.workspace.references import check_name
from jupyter_mlops.workspace.secrets import is_secret

__all__ = ["Channel", "Channels", "add_channel", "list_channels", "remove_channel", "try_channel"]

_ADDRESS: Final = re.compile(r"[^@\s<>,;:\"()\[\]\\?]+@[A-Za-z0-9.\-]+")


@dataclass(frozen=True)
class Channel(Result):
    """A channel and how it does.

    Attributes
    ----------
    name : str
    to : str
        As a person may see it: the path of a webhook may be its password.
    secret : str or None
        Names the secret that signs.
    endpoint : str or None
        Only alerts of this one; of all when None.
    delivered, waiting, dead : int
        Messages that arrived, that are still to be sent, and that were given up.
    error : str
        Why the last attempt failed, if it did.
    """

    name: str
    to: str
    secret: str | None
    endpoint: str | None
    actor: str
    set_at: datetime
    delivered: int = 0
    waiting: int = 0
    dead: int = 0
    error: str = ""

    @property
    def ref(self) -> str:
        """``channel:name``."""
        return f"channel:{self.name}"


@dataclass(frozen=True)
class Channels(Result):
    """All channels, by name; `notice` says what was done just now."""

    items: tuple[Channel, ...]
    notice: str = ""

    def __iter__(self) -> Iterator[Channel]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def add_channel(
    ws: Workspace, name: str, to: str, *, secret: str | None = None, endpoint: str | None = None
) -> Channels:
    """Keep a channel, or change the one of that name.

    Parameters
    ----------
    ws : Workspace
    name : str
    to : str
        ``webhook:https://…``, ``webhook:secret:NAME``, ``mailto:ada@example.org`` or
        ``command:notify --text alert``, which takes the alert as JSON on its standard input.
    secret : str, optional
        ``secret:NAME``: signs the messages of a webhook.
    endpoint : str, optional
        Tell the alerts of this endpoint alone.

    Raises
    ------
    Invalid
        ``E-ALERT-010``: it isn't one of these; ``E-ALERT-011``: the secret isn't given by name.
    """
    check_name(name, "channel")
    to = _checked(to)
    if secret is not None and (not to.startswith("webhook:") or not is_secret(secret)):
        raise Invalid(
            "the secret of a channel signs the messages of a webhook, and is given by name",
            fix="write --secret secret:NAME, and keep its value in the environment or the keyring",
            code="E-ALERT-011",
        )
    only = Reference.parse(endpoint, kind="endpoint").name if endpoint else None
    with ws.write() as tx:
        row = tx.session.get(ChannelRecord, name)
        if row is None:
            row = ChannelRecord(name=name)
            tx.session.add(row)
        row.to, row.secret, row.endpoint = to, secret, only
        row.actor, row.set_at = ws.user, utcnow()
        payload = {"to": shown(to), "secret": secret, "endpoint": only}
        tx.emit("channel.added", f"channel:{name}", payload=payload)
    return list_channels(ws)


def remove_channel(ws: Workspace, name: str) -> Channels:
    """Take a channel away; what it wasn't told yet is given up.

    Raises
    ------
    NotFound
        ``E-ALERT-012``
    """
    name = _row(ws, name).name
    with ws.write() as tx:
        tx.session.delete(tx.session.get_one(ChannelRecord, name))
        left = tx.session.scalars(
            select(DeliveryRecord).where(
                DeliveryRecord.channel == name, DeliveryRecord.state == "waiting"
            )
        )
        given_up = 0
        for row in left:
            row.state, row.error, row.ended_at = "dead", "the channel was removed", utcnow()
            given_up += 1
        tx.emit("channel.removed", f"channel:{name}", payload={"given_up": given_up})
    return list_channels(ws)


def try_channel(ws: Workspace, name: str) -> Channels:
    """Send a channel a message at once, and say whether it arrived.

    Raises
    ------
    MLOpsError
        It didn't; the sentence says why.
    """
    row = _row(ws, name)
    now = utcnow()
    data: dict[str, Any] = {
        "ref": "alert:test",
        "endpoint": row.endpoint or "no endpoint",
        "kind": "test",
        "reason": f"{ws.user} tries whether messages of {ws.root.name} arrive.",
        "count": 0,
        "last_at": now.isoformat(),
    }
    body = {"type": "alert.test", "timestamp": now.isoformat(), "data": data}
    letter = Letter(new_id(), "test", row.name, row.to, row.secret, "alert.test", body, 0, now)
    deliver(ws, letter)
    with ws.write() as tx:
        tx.emit("channel.tested", f"channel:{row.name}")
    return list_channels(ws, f"A message to {row.name} has arrived at {shown(row.to)}.")


def list_channels(ws: Workspace, notice: str = "") -> Channels:
    """List the channels with what became of their messages."""
    newest = select(func.max(DeliveryRecord.id)).group_by(DeliveryRecord.channel)
    with ws.read() as session:
        counts: dict[tuple[str, str], int] = {
            (channel, state): count
            for channel, state, count in session.execute(
                select(
                    DeliveryRecord.channel, DeliveryRecord.state, func.count()
                ).group_by(DeliveryRecord.channel, DeliveryRecord.state)
            )
        }  # fmt: skip
        tried = newest.where(DeliveryRecord.attempts > 0)
        errors = {
            row.channel: row.error
            for row in session.scalars(
                select(DeliveryRecord).where(DeliveryRecord.id.in_(tried))
            )
        }  # fmt: skip
        rows = session.scalars(select(ChannelRecord).order_by(ChannelRecord.name))
        found = tuple(
            Channel(
                one.name,
                shown(one.to),
                one.secret,
                one.endpoint,
                one.actor,
                one.set_at,
                delivered=counts.get((one.name, "delivered"), 0),
                waiting=counts.get((one.name, "waiting"), 0),
                dead=counts.get((one.name, "dead"), 0),
                error=errors.get(one.name, ""),
            )
            for one in rows
        )
    return Channels(found, notice)


def shown(to: str) -> str:
    """Where a channel leads, without what nobody needs to see.

    Examples
    --------
    >>> shown("webhook:https://hooks.example.org/T01/s3cret")
    'webhook:https://hooks.example.org/…'
    """
    scheme, _, place = to.partition(":")
    if scheme == "webhook" and not is_secret(place):
        parts = urlsplit(place)
        port = f":{parts.port}" if parts.port else ""
        return f"webhook:{parts.scheme}://{parts.hostname}{port}/…"
    if scheme == "command":
        # Its arguments may say more than its name.
        return f"command:{shlex.split(place)[0]} …"
    return to


def _row(ws: Workspace, name: str) -> ChannelRecord:
    wanted = Reference.parse(name, kind="channel").name
    with ws.read() as session:
        row = session.get(ChannelRecord, wanted)
        if row is None:
            known = session.scalars(select(ChannelRecord.name))
            raise NotFound(
                f"no channel is called {wanted!r}",
                fix=closest(wanted, known) or "`%mlops channel add NAME --to …` makes one",
                code="E-ALERT-012",
            )
        session.expunge(row)
    return row


def _checked(to: str) -> str:
    scheme, _, place = to.strip().partition(":")
    if (scheme == "webhook" and _is_webhook(place)) or (
        scheme == "mailto" and _ADDRESS.fullmatch(place)
    ):
        return f"{scheme}:{place}"
    if scheme == "command" and _words(place):
        return f"{scheme}:{place.strip()}"
    # What was written may hold a password, so the message doesn't repeat it.
    raise Invalid(
        "that is no place for alerts",
        fix="write --to webhook:https://…, mailto:ada@example.org or command:PROGRAM",
        code="E-ALERT-010",
    )


def _is_webhook(place: str) -> bool:
    if is_secret(place):
        return True
    try:
        parts = urlsplit(place)
        port_ok = parts.port is None or parts.port > 0
    except ValueError:
        return False
    return (
        port_ok
        and parts.scheme in ("https", "http")
        and bool(parts.hostname)
        and parts.username is None
    )


def _words(place: str) -> list[str]:
    try:
        return shlex.split(place)
    except ValueError:
        return []
