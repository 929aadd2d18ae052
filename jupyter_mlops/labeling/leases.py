"""Who labels what: items are leased in batches, so that no two people get the same one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.orm import Session

from jupyter_mlops.labeling.records import ItemRecord, LeaseRecord
from jupyter_mlops.labeling.tasks import Counts, locked
from jupyter_mlops.workspace.errors import Invalid
from jupyter_mlops.workspace.records import utcnow

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["Claim", "ClaimedItem", "claim", "lease", "release", "renew"]

MOST_CLAIMED = 64
# How long an item stays with a person who shows no sign of life.
LIFETIME = timedelta(minutes=10)
# A labeler renews its leases every 30 s; one that missed two has gone.
SILENCE = timedelta(seconds=75)
# After a page was closed its items wait this long for the same person, who may be reloading.
GRACE = timedelta(seconds=30)


@dataclass(frozen=True)
class ClaimedItem:
    """An item in somebody's hand; `text` for texts, `media` (a type) and `size` for the rest."""

    item: int
    digest: str
    text: str | None
    media: str
    size: int

    @classmethod
    def of(cls, row: ItemRecord) -> ClaimedItem:
        text = row.content if row.place == "text" else None
        return cls(row.item, row.digest, text, row.media, row.size)


@dataclass(frozen=True)
class Claim:
    """What a claim gave, and how far the task was then."""

    items: tuple[ClaimedItem, ...]
    counts: Counts


def claim(
    ws: Workspace,
    task: str,
    person: str,
    count: int = 16,
    *,
    session: str = "",
    holding: Sequence[int] = (),
) -> Claim:
    """Give a person the next items, which nobody else gets while the lease lasts.

    Items of an earlier session of the same person come first: a page that was reloaded
    or a cell that was run again goes on where it was.

    Parameters
    ----------
    ws : Workspace
    task : str
        The task's name or id.
    person : str
        Who labels.
    count : int
        How many items, 1 to 64.
    session : str
        The labeler's id; leases belong to a person and a session.
    holding : sequence of int
        Items the labeler has already, which are not given again.

    Returns
    -------
    Claim
        Fewer items than asked for when no more are free.
    """
    if not 1 <= count <= MOST_CLAIMED:
        raise Invalid(
            f"{count} items can't be claimed at once",
            fix=f"ask for 1 to {MOST_CLAIMED}",
            code="E-LABEL-014",
        )
    now = utcnow()
    with ws.write(person) as tx:
        row = locked(tx.session, task)
        rows = _returned(tx.session, row.id, person, session, count, holding, now)
        taken = [*holding, *(one.item for one in rows)]
        if len(rows) < count:
            rows += _fresh(tx.session, row.id, count - len(rows), taken, now)
        lease(tx.session, row.id, [one.item for one in rows], person, session, now)
        counts = Counts(row.items, row.labeled, row.skipped)
        return Claim(tuple(ClaimedItem.of(one) for one in rows), counts)


def renew(ws: Workspace, task: str, person: str, session: str) -> int:
    """Keep a session's items for it; return how many there are."""
    now = utcnow()
    with ws.write(person) as tx:
        row = locked(tx.session, task)
        mine = tx.session.execute(
            update(LeaseRecord)
            .where(
                LeaseRecord.task == row.id,
                LeaseRecord.person == person,
                LeaseRecord.session == session,
            )
            .values(renewed_at=now, until=now + LIFETIME)
            .returning(LeaseRecord.item)
        )
        return len(mine.all())


def release(ws: Workspace, task: str, person: str, session: str) -> None:
    """End a session: its items go back, first to the same person, soon to anybody."""
    with ws.write(person) as tx:
        row = locked(tx.session, task)
        tx.session.execute(
            update(LeaseRecord)
            .where(
                LeaseRecord.task == row.id,
                LeaseRecord.person == person,
                LeaseRecord.session == session,
            )
            .values(session="", until=utcnow() + GRACE)
        )


def lease(
    session: Session,
    task: str,
    items: Iterable[int],
    person: str,
    holder: str,
    now: datetime,
) -> None:
    """Put items into a person's hand, whoever had them before."""
    wanted = list(items)
    if not wanted:
        return
    session.execute(
        delete(LeaseRecord).where(LeaseRecord.task == task, LeaseRecord.item.in_(wanted))
    )
    session.execute(
        insert(LeaseRecord),
        [
            {
                "task": task,
                "item": item,
                "person": person,
                "session": holder,
                "renewed_at": now,
                "until": now + LIFETIME,
            }
            for item in wanted
        ],
    )


def _returned(
    session: Session,
    task: str,
    person: str,
    holder: str,
    count: int,
    holding: Sequence[int],
    now: datetime,
) -> list[ItemRecord]:
    """Items that this person had in hand, in a session that is this one, over, or silent."""
    query = (
        select(ItemRecord)
        .join(
            LeaseRecord,
            (LeaseRecord.task == ItemRecord.task) & (LeaseRecord.item == ItemRecord.item),
        )
        .where(
            LeaseRecord.task == task,
            LeaseRecord.person == person,
            ItemRecord.state == "open",
            or_(LeaseRecord.session.in_({holder, ""}), LeaseRecord.renewed_at < now - SILENCE),
            ItemRecord.item.not_in(holding),
        )
        .order_by(ItemRecord.item)
        .limit(count)
    )
    return list(session.scalars(query))


def _fresh(
    session: Session, task: str, count: int, taken: Sequence[int], now: datetime
) -> list[ItemRecord]:
    """Open items that nobody has in hand."""
    held = (
        select(LeaseRecord.item)
        .where(
            LeaseRecord.task == ItemRecord.task,
            LeaseRecord.item == ItemRecord.item,
            LeaseRecord.until > now,
        )
        .exists()
    )
    query = (
        select(ItemRecord)
        .where(
            ItemRecord.task == task,
            ItemRecord.state == "open",
            ~held,
            ItemRecord.item.not_in(taken),
        )
        .order_by(ItemRecord.item)
        .limit(count)
    )
    return list(session.scalars(query))
