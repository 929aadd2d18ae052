"""Who labels what: items are leased in batches, and each to as many people as it needs.

Leases don't wait for the disk. After a power cut somebody may be asked what another had in hand;
what either of them answers is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, insert, or_, update
from sqlalchemy.orm import Session

from jupyter_mlops.labeling.desk import ClaimedItem, Desk
from jupyter_mlops.labeling.membership import demand
from jupyter_mlops.labeling.records import LeaseRecord
from jupyter_mlops.labeling.tasks import Counts, locked
from jupyter_mlops.workspace.errors import Invalid
from jupyter_mlops.workspace.records import utcnow

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["Claim", "claim", "lease", "release", "renew"]

MOST_CLAIMED = 64
# How long an item stays with a person who shows no sign of life.
LIFETIME = timedelta(minutes=10)
# After a page was closed its items wait this long for the same person, who may be reloading.
GRACE = timedelta(seconds=30)
_FREED = delete(LeaseRecord).where(
    LeaseRecord.task == bindparam("of"),
    LeaseRecord.item.in_(bindparam("items", expanding=True)),
    or_(LeaseRecord.person == bindparam("who"), LeaseRecord.until <= bindparam("now")),
)


@dataclass(frozen=True)
class Claim:
    """What a claim gave, and how far the task was then.

    `epoch` grows when the queue is put in a new order.
    """

    items: tuple[ClaimedItem, ...]
    counts: Counts
    epoch: int = 0


def claim(
    ws: Workspace,
    task: str,
    person: str,
    count: int = 16,
    *,
    session: str = "",
    holding: Sequence[int] = (),
) -> Claim:
    """Give a person the next items, and each of them to no more people than its overlap.

    Items of an earlier session of the same person come first: a page that was reloaded
    or a cell that was run again goes on where it was. Then come, mixed, items with a known
    answer, items drawn at random by which a model is measured, and the rest by rank; last
    what this person put off. Nobody gets an item again that they answered.

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

    Raises
    ------
    Denied
        The person may not label in this task.
    """
    if not 1 <= count <= MOST_CLAIMED:
        raise Invalid(
            f"{count} items can't be claimed at once",
            fix=f"ask for 1 to {MOST_CLAIMED}",
            code="E-LABEL-014",
        )
    now = utcnow()
    with ws.write(person, lasting=False) as tx:
        row = locked(tx.session, task)
        demand(tx.session, row, person, "annotator")
        desk = Desk(tx.session, row, person, now)
        rows = desk.returned(session, count, holding)
        rows += desk.fresh(count - len(rows), [*holding, *(one.item for one in rows)])
        lease(tx.session, row.id, {one.item: one.strategy for one in rows}, person, session, now)
        counts = Counts(row.items, row.labeled, row.skipped)
        return Claim(tuple(rows), counts, row.epoch)


def renew(ws: Workspace, task: str, person: str, session: str) -> int:
    """Keep a session's items for it; return how many there are."""
    now = utcnow()
    with ws.write(person, lasting=False) as tx:
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
    with ws.write(person, lasting=False) as tx:
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
    items: Mapping[int, str],
    person: str,
    holder: str,
    now: datetime,
) -> None:
    """Put items, each with how it came to be chosen, into a person's hand."""
    if not items:
        return
    given = {"of": task, "items": list(items), "who": person, "now": now}
    session.execute(_FREED, given, execution_options={"synchronize_session": False})
    session.execute(
        insert(LeaseRecord),
        [
            {
                "task": task,
                "item": item,
                "person": person,
                "session": holder,
                "strategy": strategy,
                "renewed_at": now,
                "until": now + LIFETIME,
            }
            for item, strategy in items.items()
        ],
    )
