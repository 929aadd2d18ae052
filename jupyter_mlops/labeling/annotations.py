"""Decisions: labels, skips and undos, stored once each and never changed afterwards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Executable, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from jupyter_mlops.labeling.decisions import Decision, Past
from jupyter_mlops.labeling.desk import chosen_by
from jupyter_mlops.labeling.folding import fold, opinions
from jupyter_mlops.labeling.kinds import check, normal
from jupyter_mlops.labeling.leases import lease
from jupyter_mlops.labeling.membership import Role, demand
from jupyter_mlops.labeling.records import (
    AnnotationRecord,
    ItemRecord,
    LeaseRecord,
    OpinionRecord,
    TaskRecord,
)
from jupyter_mlops.labeling.rules import Rules
from jupyter_mlops.labeling.tasks import Counts, locked
from jupyter_mlops.workspace.errors import Invalid
from jupyter_mlops.workspace.records import utcnow

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["Receipt", "Refusal", "commit", "decisions_on", "settle"]

MOST_EVENTS = 1000
#: Decisions that say something about an item.
_ANSWERS = ("label", "adjudicate", "gold")


@dataclass(frozen=True)
class Refusal:
    """A decision that can't be kept, and why; sending it again won't help."""

    ev: str
    what: str


@dataclass(frozen=True)
class Receipt:
    """What a commit did: `accepted` ids are durable, whether stored now or earlier."""

    accepted: tuple[str, ...]
    refused: tuple[Refusal, ...]
    counts: Counts


def commit(
    ws: Workspace,
    task: str,
    person: str,
    decisions: Sequence[Decision],
    *,
    by: str | None = None,
) -> Receipt:
    """Store decisions; when this returns, the accepted ones survive anything.

    A decision whose id is stored already is accepted again and changes nothing, so a
    sender that got no answer simply sends again.

    Parameters
    ----------
    ws : Workspace
    task : str
        The task's name or id.
    person : str
        Who decided.
    decisions : sequence of Decision
        In the order in which they were taken, 1,000 at the most.
    by : str, optional
        Who brings them, when somebody else decided: an owner of the task may.

    Returns
    -------
    Receipt

    Raises
    ------
    Denied
        The person may not label in this task, or not decide for others.
    """
    if len(decisions) > MOST_EVENTS:
        raise Invalid(
            f"{len(decisions):,} decisions are too many for one commit",
            fix=f"send {MOST_EVENTS:,} at a time",
            code="E-LABEL-015",
        )
    brought = by is not None and by != person
    with ws.write(by or person) as tx:
        row = locked(tx.session, task)
        words = any(one.kind in ("adjudicate", "gold") for one in decisions)
        role: Role = "owner" if brought else "reviewer" if words else "annotator"
        demand(tx.session, row, by or person, role)
        batch = _Batch(tx.session, row, person, decisions)
        batch.store()
        if batch.stored:
            tx.emit(
                "label.committed",
                f"label:{row.name}",
                payload={
                    "decisions": len(batch.stored),
                    **batch.kinds(),
                    **({"person": person} if brought else {}),
                    "labeled": row.labeled,
                    # The chain vouches for the rows: their digest is part of the event.
                    "digest": _digest(batch.stored),
                },
                inputs=[row.data_ref] if row.data_ref else [],
            )
        counts = Counts(row.items, row.labeled, row.skipped)
        return Receipt(tuple(batch.accepted), tuple(batch.refused), counts)


class _Batch:
    """One commit under way."""

    def __init__(
        self, session: Session, task: TaskRecord, person: str, decisions: Sequence[Decision]
    ) -> None:
        self.session, self.task, self.person, self.decisions = session, task, person, decisions
        self.rules = Rules.of(task.settings)
        self.brought = {one.ev for one in decisions if one.past is not None}
        self.accepted: list[str] = []
        self.refused: list[Refusal] = []
        self.stored: list[AnnotationRecord] = []
        asked = {one.ev for one in decisions} | {one.undoes for one in decisions if one.undoes}
        wanted = {one.item for one in decisions}
        # One question for both: each statement is a chance for others to go first.
        there = (AnnotationRecord.task == task.id) & AnnotationRecord.item.in_(wanted)
        found = session.scalars(
            select(AnnotationRecord).where(or_(AnnotationRecord.ev.in_(asked), there))
        ).all()
        self.known = {row.ev: row for row in found if row.ev in asked}
        self.before = [row for row in found if row.task == task.id and row.item in wanted]
        self.chosen = self._chosen(wanted)
        self.items = {
            row.item: row
            for row in session.scalars(
                select(ItemRecord).where(ItemRecord.task == task.id, ItemRecord.item.in_(wanted))
            )
        }

    def _chosen(self, items: set[int]) -> dict[int, str]:
        """How the items in this person's hand had come to be chosen when they were given."""
        rows = self.session.execute(
            select(LeaseRecord.item, LeaseRecord.strategy).where(
                LeaseRecord.task == self.task.id,
                LeaseRecord.person == self.person,
                LeaseRecord.item.in_(items),
                LeaseRecord.strategy != "",
            )
        )
        return {row.item: row.strategy for row in rows}

    def store(self) -> None:
        now = utcnow()
        for sent in self.decisions:
            one = self._tidy(sent)
            if one.ev in self.known and self._same(self.known[one.ev], one):
                self.accepted.append(one.ev)
            elif wrong := self._wrong(one):
                self.refused.append(Refusal(one.ev, wrong))
            else:
                row = self._row(one, now)
                if one.undoes:
                    # Whoever takes a label back has the item as it was handed out.
                    self.chosen[one.item] = self.known[one.undoes].strategy
                self.known[one.ev] = row
                self.stored.append(row)
                self.accepted.append(one.ev)
        # Flushed in this order, so that numbers follow the order in which they were decided.
        self.session.add_all(self.stored)
        self.session.flush()
        touched = {row.item for row in self.stored}
        events = [*self.before, *self.stored]
        history = settle(self.task, self.rules, [self.items[n] for n in touched], events)
        self._remember(history)
        self._hand_on(history, now)

    def kinds(self) -> dict[str, int]:
        """How many labels, skips and undos were stored."""
        names = {"label": "labels", "skip": "skips", "undo": "undos"}
        names |= {"adjudicate": "adjudications", "gold": "gold"}
        found = {
            plural: sum(row.kind == kind for row in self.stored) for kind, plural in names.items()
        }
        usual = ("labels", "skips", "undos")
        return {plural: count for plural, count in found.items() if count or plural in usual}

    def _same(self, row: AnnotationRecord, one: Decision) -> bool:
        return (
            (row.task, row.item, row.kind) == (self.task.id, one.item, one.kind)
            and (row.value, row.undoes) == (one.value, one.undoes)
            and row.person == self.person
        )

    def _tidy(self, one: Decision) -> Decision:
        """The decision with its answer as it is stored; one that doesn't fit stays as it is."""
        if one.kind not in _ANSWERS or check(one.value, self.task):
            return one
        return replace(one, value=normal(one.value, self.task))

    def _wrong(self, one: Decision) -> str:
        item = self.items.get(one.item)
        if one.ev in self.known:
            return "another decision has the same id"
        if item is None:
            return f"the task has no item {one.item}"
        if one.digest and one.digest != item.digest:
            return f"item {one.item} was shown with other content"
        if one.kind in _ANSWERS and (wrong := check(one.value, self.task)):
            return wrong
        if one.kind == "undo":
            undone = self.known.get(one.undoes or "")
            if undone is None or (undone.task, undone.item) != (self.task.id, one.item):
                return "there is no such decision to undo"
            if undone.person != self.person or undone.kind == "undo":
                return "only one's own labels and skips can be undone"
        return ""

    def _row(self, one: Decision, now: datetime) -> AnnotationRecord:
        item = self.items[one.item]
        requeue = (one.requeue or self.rules.requeue) if one.kind == "skip" else ""
        strategy = self.chosen.get(one.item) or chosen_by(self.task, item)
        guideline = self.rules.guideline_version if one.guideline is None else one.guideline
        past = one.past or Past(strategy, item.audit > 0, now)
        return AnnotationRecord(
            ev=one.ev,
            task=self.task.id,
            item=one.item,
            digest=item.digest,
            kind=one.kind,
            value=one.value,
            reason=one.reason,
            requeue=requeue,
            undoes=one.undoes,
            person=self.person,
            session=one.session,
            shown_at=one.shown_at,
            decided_at=one.decided_at or now,
            active_ms=one.active_ms,
            suggestion=self._proposed(one),
            strategy=past.strategy,
            audit=past.audit,
            guideline=guideline,
            stored_at=past.stored_at,
        )

    def _proposed(self, one: Decision) -> dict[str, Any]:
        """What was proposed; of a label also whether it was changed."""
        proposed = dict(one.suggestion)
        if not proposed or one.kind != "label":
            return proposed
        value = proposed["value"]
        fits = not check(value, self.task)
        kept = fits and normal(value, self.task) == one.value
        return {**proposed, "changed": not kept}

    def _remember(self, history: dict[int, list[AnnotationRecord]]) -> None:
        """Keep what this person's decisions on each item come to."""
        mine = {item: opinions(events).get(self.person) for item, events in history.items()}
        if gone := [item for item, one in mine.items() if one is None]:
            about = (OpinionRecord.task == self.task.id) & OpinionRecord.item.in_(gone)
            said = OpinionRecord.person == self.person
            self.session.execute(delete(OpinionRecord).where(about, said))
        rows = [
            {
                "task": self.task.id,
                "item": one.item,
                "person": self.person,
                "state": "label" if one.kind == "label" else one.requeue or "never",
                "ev": one.ev,
                "number": one.number,
            }
            for one in mine.values()
            if one is not None
        ]
        if rows:
            self.session.execute(_opinion(self.session.get_bind().dialect.name), rows)

    def _hand_on(self, history: dict[int, list[AnnotationRecord]], now: datetime) -> None:
        """Take decided items out of people's hands."""
        closed = [n for n in history if self.items[n].state != "open" and not self.items[n].gold]
        held = (LeaseRecord.task == self.task.id) & LeaseRecord.item.in_(history)
        mine = (LeaseRecord.person == self.person) | LeaseRecord.item.in_(closed)
        self.session.execute(delete(LeaseRecord).where(held & mine))
        # Who takes a label back has the item on the screen again.
        reopened: dict[str, dict[int, str]] = {}
        for number in sorted(history.keys() - set(closed)):
            last = max(history[number], key=lambda row: row.number)
            if last.kind == "undo" and last.ev not in self.brought:
                undone = next(row for row in history[number] if row.ev == last.undoes)
                reopened.setdefault(last.session, {})[number] = undone.strategy
        for holder, items in reopened.items():
            lease(self.session, self.task.id, items, self.person, holder, now)


@cache
def _opinion(database: str) -> Executable:
    """Keep an opinion in the place of the one before."""
    new = (sqlite if database == "sqlite" else postgresql).insert(OpinionRecord)
    later = {name: new.excluded[name] for name in ("state", "ev", "number")}
    kept: Executable = new.on_conflict_do_update(
        index_elements=["task", "item", "person"], set_=later
    )
    return kept


def decisions_on(
    session: Session, task: TaskRecord, items: Iterable[ItemRecord]
) -> Sequence[AnnotationRecord]:
    """All decisions on some items."""
    numbers = [item.item for item in items]
    mine = (AnnotationRecord.task == task.id) & AnnotationRecord.item.in_(numbers)
    return session.scalars(select(AnnotationRecord).where(mine)).all()


def settle(
    task: TaskRecord,
    rules: Rules,
    items: Sequence[ItemRecord],
    decisions: Iterable[AnnotationRecord],
) -> dict[int, list[AnnotationRecord]]:
    """Bring items and the task's counts up to date with the items' decisions, by item."""
    history: dict[int, list[AnnotationRecord]] = {item.item: [] for item in items}
    for row in decisions:
        if row.item in history:
            history[row.item].append(row)
    for item in items:
        now_is = fold(history[item.item], task.answer, rules)
        task.labeled += (now_is.state == "labeled") - (item.state == "labeled")
        task.skipped += (now_is.state == "skipped") - (item.state == "skipped")
        item.state, item.person, item.ev = now_is.state, now_is.person, now_is.ev
        item.label = now_is.value if task.answer == "class" else None
        item.opinions, item.agreement = now_is.opinions, now_is.agreement
        item.disputed, item.gold = now_is.disputed, now_is.gold
        if now_is.gold and not task.settings.get("golden"):
            # Tasks without known answers needn't look for any at each claim.
            task.settings = {**task.settings, "golden": True}
    return history


def _digest(rows: Iterable[AnnotationRecord]) -> str:
    """SHA-256 of decisions as JSON lines."""
    state = hashlib.sha256()
    for row in rows:
        line = [row.ev, row.task, row.item, row.digest, row.kind, row.value, row.reason]
        state.update(json.dumps([*line, row.undoes, row.person], ensure_ascii=True).encode())
        state.update(b"\n")
    return state.hexdigest()
