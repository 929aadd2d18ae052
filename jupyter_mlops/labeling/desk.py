"""Which items one person is handed next.

Statements are made once and filled in: putting one together takes longer than running it.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    func,
    literal_column,
    not_,
    or_,
    select,
)
from sqlalchemy.orm import aliased

from jupyter_mlops.labeling.records import ItemRecord, LeaseRecord, OpinionRecord
from jupyter_mlops.labeling.rules import Rules

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from jupyter_mlops.labeling.records import TaskRecord

__all__ = ["OPEN", "ClaimedItem", "Desk", "chosen_by"]

# Written out, since a database can't tell that a parameter fits the index of open items.
OPEN: ColumnElement[str] = literal_column("'open'")
# A labeler renews its leases every 30 s; one that missed two has gone.
SILENCE = timedelta(seconds=75)
_CHANCE = random.SystemRandom()
_OTHER = aliased(LeaseRecord)
_SHOWN = (
    ItemRecord.item,
    ItemRecord.digest,
    ItemRecord.place,
    ItemRecord.content,
    ItemRecord.media,
    ItemRecord.size,
    ItemRecord.audit,
    ItemRecord.gold,
    ItemRecord.rank,
    ItemRecord.suggestion,
)
Which = Literal["rest", "drawn", "put off"]


@dataclass(frozen=True)
class ClaimedItem:
    """An item in somebody's hand; `text` for texts, `media` (a type) and `size` for the rest.

    `suggestion` is what a model or a rule proposes, empty without one. Items by which a
    model is measured come without, since people tend to accept what is proposed. `strategy`
    is how the item came to be chosen, which nobody who labels is told.
    """

    item: int
    digest: str
    text: str | None
    media: str
    size: int
    suggestion: Mapping[str, Any] = field(default_factory=dict)
    strategy: str = ""

    @classmethod
    def of(cls, row: Any, strategy: str = "") -> ClaimedItem:
        """From an item's record, or a row with its columns."""
        text = row.content if row.place == "text" else None
        proposed = {} if row.audit else row.suggestion
        return cls(row.item, row.digest, text, row.media, row.size, proposed, strategy)


class Desk:
    """Where one person is handed the items of one task.

    Parameters
    ----------
    session : sqlalchemy.orm.Session
        With the task's row locked.
    task : TaskRecord
    person : str
    now : datetime
    """

    def __init__(self, session: Session, task: TaskRecord, person: str, now: datetime) -> None:
        self.session, self.task = session, task
        self.rules = Rules.of(task.settings)
        self.given = {
            "task": task.id,
            "person": person,
            "now": now,
            "silent": now - SILENCE,
            "overlap": self.rules.overlap,
        }
        self._single = self.rules.overlap == 1

    def returned(self, holder: str, count: int, holding: Sequence[int]) -> list[ClaimedItem]:
        """Items that this person had in hand, in a session that is this one, over, or silent."""
        more = {"sessions": [holder, ""], "taken": list(holding), "count": count}
        return self._read(_returned(self._single), more)

    def fresh(self, count: int, taken: Sequence[int]) -> list[ClaimedItem]:
        """Items that want an opinion and that this person neither has nor answered."""
        if count < 1:
            return []
        golden = self.task.settings.get("golden", False)
        known = self._gold(_part(self.rules.gold, count), taken) if golden else []
        chosen = "pick" in self.task.settings
        audits = _part(self.rules.audit, count - len(known)) if chosen else 0
        drawn = self._open("drawn", audits, taken)
        rest = self._open("rest", count - len(known) - len(drawn), taken)
        if not rest and not drawn:
            known = []
        found = _mixed(rest, [*known, *drawn])
        last: tuple[Which, ...] = ("drawn", "put off") if chosen else ("put off",)
        for which in last:
            if len(found) < count:
                more = [*taken, *(one.item for one in found)]
                found += self._open(which, count - len(found), more)
        return found

    def _open(self, which: Which, count: int, taken: Sequence[int]) -> list[ClaimedItem]:
        if count < 1:
            return []
        return self._read(_open(which, self._single), {"taken": list(taken), "count": count})

    def _gold(self, count: int, taken: Sequence[int]) -> list[ClaimedItem]:
        """Items with a known answer, of which this person has seen none; any of them."""
        if count < 1:
            return []
        found = self._read(_known(), {"taken": list(taken)})
        # In a person's own order, or people could tell each other which items count.
        return sorted(found, key=self._lot)[:count]

    def _lot(self, one: ClaimedItem) -> bytes:
        drawn = f"{self.task.id}\0{self.given['person']}\0{one.item}"
        return hashlib.sha256(drawn.encode()).digest()

    def _read(self, query: Select[Any], more: Mapping[str, Any]) -> list[ClaimedItem]:
        rows = self.session.execute(query, {**self.given, **more})
        return [ClaimedItem.of(row, self._chosen(row)) for row in rows]

    def _chosen(self, row: Any) -> str:
        # An item that this person has in hand is still what it was when it was given.
        return getattr(row, LeaseRecord.strategy.key, "") or chosen_by(self.task, row)


@cache
def _returned(single: bool) -> Select[Any]:
    same = (LeaseRecord.task == ItemRecord.task) & (LeaseRecord.item == ItemRecord.item)
    return (
        select(*_SHOWN, LeaseRecord.strategy)
        .join(LeaseRecord, same)
        .where(
            LeaseRecord.task == bindparam("task"),
            LeaseRecord.person == bindparam("person"),
            or_(ItemRecord.state == OPEN, ItemRecord.gold),
            or_(
                LeaseRecord.session.in_(bindparam("sessions", expanding=True)),
                LeaseRecord.renewed_at < bindparam("silent"),
            ),
            _untaken(),
            not_(_answered("label", "others", "never")),
            or_(LeaseRecord.until > bindparam("now"), ItemRecord.gold, _wanted(single)),
        )
        .order_by(ItemRecord.rank, ItemRecord.item)
        .limit(bindparam("count"))
    )


@cache
def _open(which: Which, single: bool) -> Select[Any]:
    """Open items: those in the queue's order, those drawn at random, or those put off."""
    query = select(*_SHOWN).where(
        ItemRecord.task == bindparam("task"),
        ItemRecord.state == OPEN,
        _wanted(single),
        _answered("me") if which == "put off" else not_(_answered()),
        _untaken(),
    )
    if which != "put off":
        query = query.where(ItemRecord.audit > 0 if which == "drawn" else ItemRecord.audit == 0)
    query = query.order_by(ItemRecord.audit, ItemRecord.rank, ItemRecord.item)
    return query.limit(bindparam("count"))


@cache
def _known() -> Select[Any]:
    return select(*_SHOWN).where(
        ItemRecord.task == bindparam("task"),
        ItemRecord.gold,
        not_(_answered()),
        not_(_leases(_OTHER.person == bindparam("person")).exists()),
        _untaken(),
    )


def _untaken() -> ColumnElement[bool]:
    return ItemRecord.item.not_in(bindparam("taken", expanding=True))


def _wanted(single: bool) -> ColumnElement[bool]:
    """There are fewer opinions, given or on their way, than the item needs."""
    if single:
        return not_(_leases().exists())
    mine = _leases(_OTHER.person == bindparam("person")).exists()
    held = _leases().with_only_columns(func.count()).scalar_subquery()
    return and_(not_(mine), ItemRecord.opinions + held < bindparam("overlap"))


def _leases(*more: ColumnElement[bool]) -> Select[Any]:
    return select(_OTHER.item).where(
        _OTHER.task == ItemRecord.task,
        _OTHER.item == ItemRecord.item,
        _OTHER.until > bindparam("now"),
        *more,
    )


def _answered(*states: str) -> ColumnElement[bool]:
    query = select(OpinionRecord.item).where(
        OpinionRecord.task == ItemRecord.task,
        OpinionRecord.item == ItemRecord.item,
        OpinionRecord.person == bindparam("person"),
    )
    if states:
        query = query.where(OpinionRecord.state.in_(states))
    return query.exists()


def chosen_by(task: TaskRecord, item: Any) -> str:
    """How an item comes to be chosen, as the queue is now."""
    if item.gold:
        return "gold"
    if item.audit:
        return "audit"
    return str(task.ranking.get("strategy", "order")) if item.rank < 0 else "order"


def _part(share: float, count: int) -> int:
    """How many of a few items a share is: exact on average."""
    return int(share * count + _CHANCE.random())


def _mixed(rest: list[ClaimedItem], others: list[ClaimedItem]) -> list[ClaimedItem]:
    """Some items slipped in among the rest at places that nobody can foretell."""
    found = list(rest)
    for one in others:
        found.insert(_CHANCE.randint(0, len(found)), one)
    return found
