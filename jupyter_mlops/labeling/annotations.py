"""Decisions: labels, skips and undos, stored once each and never changed afterwards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from jupyter_mlops.labeling.decisions import Decision
from jupyter_mlops.labeling.kinds import check, normal
from jupyter_mlops.labeling.leases import lease
from jupyter_mlops.labeling.records import AnnotationRecord, ItemRecord, LeaseRecord, TaskRecord
from jupyter_mlops.labeling.tasks import Counts, locked
from jupyter_mlops.workspace.errors import Invalid
from jupyter_mlops.workspace.records import utcnow

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["Receipt", "Refusal", "Standing", "commit", "fold"]

MOST_EVENTS = 1000


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


@dataclass(frozen=True)
class Standing:
    """What an item's decisions come to."""

    state: str = "open"
    value: Any = None
    person: str | None = None
    ev: str | None = None


def commit(ws: Workspace, task: str, person: str, decisions: Sequence[Decision]) -> Receipt:
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

    Returns
    -------
    Receipt
    """
    if len(decisions) > MOST_EVENTS:
        raise Invalid(
            f"{len(decisions):,} decisions are too many for one commit",
            fix=f"send {MOST_EVENTS:,} at a time",
            code="E-LABEL-015",
        )
    with ws.write(person) as tx:
        row = locked(tx.session, task)
        batch = _Batch(tx.session, row, person, decisions)
        batch.store()
        if batch.stored:
            tx.emit(
                "label.committed",
                f"label:{row.name}",
                payload={
                    "decisions": len(batch.stored),
                    **batch.kinds(),
                    "labeled": row.labeled,
                    # The chain vouches for the rows: their digest is part of the event.
                    "digest": _digest(batch.stored),
                },
                inputs=[row.data_ref] if row.data_ref else [],
            )
        counts = Counts(row.items, row.labeled, row.skipped)
        return Receipt(tuple(batch.accepted), tuple(batch.refused), counts)


def fold(events: Iterable[AnnotationRecord]) -> Standing:
    """The current state of one item from all its decisions, in the order they were stored.

    Undone decisions don't count. A label counts before a skip. When two people labelled the
    same item (a lease had run out), the one who labelled it first stands, with the last
    label that this person gave.
    """
    history = sorted(events, key=lambda event: event.number)
    undone = {event.undoes for event in history if event.kind == "undo"}
    standing = [event for event in history if event.kind != "undo" and event.ev not in undone]
    last: dict[str, AnnotationRecord] = {}
    first: dict[str, int] = {}
    for event in standing:
        last[event.person] = event
        if event.kind == "label":
            first.setdefault(event.person, event.number)
    labels = [event for event in last.values() if event.kind == "label"]
    if labels:
        best = min(labels, key=lambda event: first[event.person])
        return Standing("labeled", best.value, best.person, best.ev)
    if last:
        best = next(iter(last.values()))
        return Standing("skipped", None, best.person, best.ev)
    return Standing()


class _Batch:
    """One commit under way."""

    def __init__(
        self, session: Session, task: TaskRecord, person: str, decisions: Sequence[Decision]
    ) -> None:
        self.session, self.task, self.person, self.decisions = session, task, person, decisions
        self.accepted: list[str] = []
        self.refused: list[Refusal] = []
        self.stored: list[AnnotationRecord] = []
        asked = {one.ev for one in decisions} | {one.undoes for one in decisions if one.undoes}
        self.known = {
            row.ev: row
            for row in session.scalars(
                select(AnnotationRecord).where(AnnotationRecord.ev.in_(asked))
            )
        }
        wanted = {one.item for one in decisions}
        self.items = {
            row.item: row
            for row in session.scalars(
                select(ItemRecord).where(ItemRecord.task == task.id, ItemRecord.item.in_(wanted))
            )
        }

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
                self.known[one.ev] = row
                self.stored.append(row)
                self.accepted.append(one.ev)
        # Flushed in this order, so that numbers follow the order in which they were decided.
        self.session.add_all(self.stored)
        self.session.flush()
        self._settle({row.item for row in self.stored}, now)

    def kinds(self) -> dict[str, int]:
        """How many labels, skips and undos were stored."""
        names = {"label": "labels", "skip": "skips", "undo": "undos"}
        return {
            plural: sum(row.kind == kind for row in self.stored) for kind, plural in names.items()
        }

    def _same(self, row: AnnotationRecord, one: Decision) -> bool:
        return (
            (row.task, row.item, row.kind) == (self.task.id, one.item, one.kind)
            and (row.value, row.undoes) == (one.value, one.undoes)
            and row.person == self.person
        )

    def _tidy(self, one: Decision) -> Decision:
        """The decision with its answer as it is stored; one that doesn't fit stays as it is."""
        if one.kind != "label" or check(one.value, self.task):
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
        if one.kind == "label" and (wrong := check(one.value, self.task)):
            return wrong
        if one.kind == "undo":
            undone = self.known.get(one.undoes or "")
            if undone is None or (undone.task, undone.item) != (self.task.id, one.item):
                return "there is no such decision to undo"
            if undone.person != self.person or undone.kind == "undo":
                return "only one's own labels and skips can be undone"
        return ""

    def _row(self, one: Decision, now: datetime) -> AnnotationRecord:
        return AnnotationRecord(
            ev=one.ev,
            task=self.task.id,
            item=one.item,
            digest=self.items[one.item].digest,
            kind=one.kind,
            value=one.value,
            reason=one.reason,
            requeue=one.requeue,
            undoes=one.undoes,
            person=self.person,
            session=one.session,
            shown_at=one.shown_at,
            decided_at=one.decided_at or now,
            active_ms=one.active_ms,
            suggestion=dict(one.suggestion),
            strategy="",
            audit=False,
            guideline=one.guideline,
            stored_at=now,
        )

    def _settle(self, touched: set[int], now: datetime) -> None:
        """Bring the touched items, the task's counts and the leases up to date."""
        history: dict[int, list[AnnotationRecord]] = {item: [] for item in touched}
        for row in self.session.scalars(
            select(AnnotationRecord).where(
                AnnotationRecord.task == self.task.id, AnnotationRecord.item.in_(touched)
            )
        ):
            history[row.item].append(row)
        reopened: dict[str, list[int]] = {}
        for number in sorted(touched):
            item, now_is = self.items[number], fold(history[number])
            self.task.labeled += (now_is.state == "labeled") - (item.state == "labeled")
            self.task.skipped += (now_is.state == "skipped") - (item.state == "skipped")
            item.state = now_is.state
            item.label = now_is.value if self.task.answer == "class" else None
            item.person, item.ev = now_is.person, now_is.ev
            if now_is.state == "open":
                holder = max(history[number], key=lambda row: row.number).session
                reopened.setdefault(holder, []).append(number)
        self.session.execute(
            delete(LeaseRecord).where(
                LeaseRecord.task == self.task.id, LeaseRecord.item.in_(touched)
            )
        )
        # Who takes a label back has the item on the screen again.
        for holder, items in reopened.items():
            lease(self.session, self.task.id, items, self.person, holder, now)


def _digest(rows: Iterable[AnnotationRecord]) -> str:
    """SHA-256 of decisions as JSON lines."""
    state = hashlib.sha256()
    for row in rows:
        line = [row.ev, row.task, row.item, row.digest, row.kind, row.value, row.reason]
        state.update(json.dumps([*line, row.undoes, row.person], ensure_ascii=True).encode())
        state.update(b"\n")
    return state.hexdigest()
