"""Who labels what: items are leased in batches, and each to as many people as it needs."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    delete,
    func,
    insert,
    literal_column,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session, aliased

from jupyter_mlops.labeling.membership import demand
from jupyter_mlops.labeling.records import ItemRecord, LeaseRecord, OpinionRecord, TaskRecord
from jupyter_mlops.labeling.rules import Rules
from jupyter_mlops.labeling.tasks import Counts, locked
from jupyter_mlops.workspace.errors import Invalid
from jupyter_mlops.workspace.records import utcnow

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["OPEN", "Claim", "ClaimedItem", "claim", "lease", "release", "renew"]

MOST_CLAIMED = 64
# Written out, since a database can't tell that a parameter fits the index of open items.
OPEN: ColumnElement[str] = literal_column("'open'")
# How long an item stays with a person who shows no sign of life.
LIFETIME = timedelta(minutes=10)
# A labeler renews its leases every 30 s; one that missed two has gone.
SILENCE = timedelta(seconds=75)
# After a page was closed its items wait this long for the same person, who may be reloading.
GRACE = timedelta(seconds=30)
_CHANCE = random.SystemRandom()
_OTHER = aliased(LeaseRecord)


@dataclass(frozen=True)
class ClaimedItem:
    """An item in somebody's hand; `text` for texts, `media` (a type) and `size` for the rest.

    `suggestion` is what a model or a rule proposes, empty without one. Items by which a
    model is measured come without, since people tend to accept what is proposed.
    """

    item: int
    digest: str
    text: str | None
    media: str
    size: int
    suggestion: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, row: ItemRecord) -> ClaimedItem:
        text = row.content if row.place == "text" else None
        proposed = {} if row.audit else row.suggestion
        return cls(row.item, row.digest, text, row.media, row.size, proposed)


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
    with ws.write(person) as tx:
        row = locked(tx.session, task)
        demand(tx.session, row, person, "annotator")
        desk = _Desk(tx.session, row, person, now)
        rows = desk.returned(session, count, holding)
        rows += desk.fresh(count - len(rows), [*holding, *(one.item for one in rows)])
        lease(tx.session, row.id, [one.item for one in rows], person, session, now)
        counts = Counts(row.items, row.labeled, row.skipped)
        return Claim(tuple(ClaimedItem.of(one) for one in rows), counts, row.epoch)


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
    """Put items into a person's hand."""
    wanted = list(items)
    if not wanted:
        return
    over = or_(LeaseRecord.person == person, LeaseRecord.until <= now)
    session.execute(
        delete(LeaseRecord).where(LeaseRecord.task == task, LeaseRecord.item.in_(wanted), over)
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


class _Desk:
    """Where one person is handed the items of one task."""

    def __init__(self, session: Session, task: TaskRecord, person: str, now: datetime) -> None:
        self.session, self.task, self.person, self.now = session, task, person, now
        self.rules = Rules.of(task.settings)

    def returned(self, holder: str, count: int, holding: Sequence[int]) -> list[ItemRecord]:
        """Items that this person had in hand, in a session that is this one, over, or silent."""
        query = (
            select(ItemRecord)
            .join(
                LeaseRecord,
                (LeaseRecord.task == ItemRecord.task) & (LeaseRecord.item == ItemRecord.item),
            )
            .where(
                LeaseRecord.task == self.task.id,
                LeaseRecord.person == self.person,
                or_(ItemRecord.state == "open", ItemRecord.gold),
                or_(
                    LeaseRecord.session.in_({holder, ""}),
                    LeaseRecord.renewed_at < self.now - SILENCE,
                ),
                ItemRecord.item.not_in(holding),
                ~self._answered("label", "others", "never"),
                or_(LeaseRecord.until > self.now, ItemRecord.gold, self._wanted()),
            )
            .order_by(ItemRecord.rank, ItemRecord.item)
            .limit(count)
        )
        return list(self.session.scalars(query))

    def fresh(self, count: int, taken: Sequence[int]) -> list[ItemRecord]:
        """Items that want an opinion and that this person neither has nor answered."""
        if count < 1:
            return []
        known = self._gold(_part(self.rules.gold, count), taken)
        audits = _part(self.rules.audit, count - len(known)) if "pick" in self.task.settings else 0
        drawn = self._open(ItemRecord.audit > 0, audits, taken)
        rest = self._open(ItemRecord.audit == 0, count - len(known) - len(drawn), taken)
        if not rest and not drawn:
            known = []
        found = _mixed(rest, [*known, *drawn])
        for condition in (ItemRecord.audit > 0, None):
            if len(found) < count:
                more = [*taken, *(one.item for one in found)]
                found += self._open(condition, count - len(found), more)
        return found

    def _open(
        self, condition: ColumnElement[bool] | None, count: int, taken: Sequence[int]
    ) -> list[ItemRecord]:
        """Open items; without a condition those that this person put off."""
        if count < 1:
            return []
        put_off = condition is None
        query = select(ItemRecord).where(
            ItemRecord.task == self.task.id,
            ItemRecord.state == OPEN,
            self._wanted(),
            self._answered("me") if put_off else ~self._answered(),
            ItemRecord.item.not_in(taken),
        )
        if condition is not None:
            query = query.where(condition)
        query = query.order_by(ItemRecord.audit, ItemRecord.rank, ItemRecord.item)
        return list(self.session.scalars(query.limit(count)))

    def _gold(self, count: int, taken: Sequence[int]) -> list[ItemRecord]:
        """Items with a known answer, of which this person has seen none; any of them."""
        if count < 1:
            return []
        mine = self._leases(_OTHER.person == self.person).exists()
        query = select(ItemRecord.item).where(
            ItemRecord.task == self.task.id,
            ItemRecord.gold,
            ~self._answered(),
            ~mine,
            ItemRecord.item.not_in(taken),
        )
        # In a person's own order, or people could tell each other which items count.
        chosen = sorted(self.session.scalars(query), key=self._lot)[:count]
        wanted = (ItemRecord.task == self.task.id) & ItemRecord.item.in_(chosen)
        return list(self.session.scalars(select(ItemRecord).where(wanted)))

    def _lot(self, item: int) -> bytes:
        return hashlib.sha256(f"{self.task.id}\0{self.person}\0{item}".encode()).digest()

    def _wanted(self) -> ColumnElement[bool]:
        """There are fewer opinions, given or on their way, than the item needs."""
        if self.rules.overlap == 1:
            return not_(self._leases().exists())
        mine = self._leases(_OTHER.person == self.person).exists()
        held = self._leases().with_only_columns(func.count()).scalar_subquery()
        return and_(not_(mine), ItemRecord.opinions + held < self.rules.overlap)

    def _leases(self, *more: ColumnElement[bool]) -> Select[int]:
        return select(_OTHER.item).where(
            _OTHER.task == ItemRecord.task,
            _OTHER.item == ItemRecord.item,
            _OTHER.until > self.now,
            *more,
        )

    def _answered(self, *states: str) -> ColumnElement[bool]:
        query = select(OpinionRecord.item).where(
            OpinionRecord.task == ItemRecord.task,
            OpinionRecord.item == ItemRecord.item,
            OpinionRecord.person == self.person,
        )
        if states:
            query = query.where(OpinionRecord.state.in_(states))
        return query.exists()


def _part(share: float, count: int) -> int:
    """How many of a few items a share is: exact on average."""
    return int(share * count + _CHANCE.random())


def _mixed(rest: list[ItemRecord], others: list[ItemRecord]) -> list[ItemRecord]:
    """Some items slipped in among the rest at places that nobody can foretell."""
    found = list(rest)
    for one in others:
        found.insert(_CHANCE.randint(0, len(found)), one)
    return found
