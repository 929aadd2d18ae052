"""Decisions as the workspace keeps them: begun by one process at a time, and read in a year."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import func, select

from jupyter_mlops.experiments.trials import may_live, process_name
from jupyter_mlops.retraining.policies import Policy, next_look
from jupyter_mlops.retraining.records import DecisionRecord, PolicyRecord
from jupyter_mlops.retraining.terms import Terms
from jupyter_mlops.workspace import Conflict, NotFound, Reference, Result, Transaction, Workspace
from jupyter_mlops.workspace.records import utcnow

__all__ = [
    "ACTIVE",
    "Decision",
    "Decisions",
    "State",
    "begin",
    "claim",
    "close",
    "decision",
    "due",
    "end",
    "list_decisions",
    "note",
    "unfinished",
]

State = Literal[
    "due",
    "looking",
    "training",
    "judging",
    "waiting",
    "unneeded",
    "would train",
    "held",
    "failed",
    "stopped",
    "promoted",
    "rolled back",
]
#: A process works on it, or should.
ACTIVE = ("due", "looking", "training", "judging")
_EVENTS = {
    "training": "decision.training",
    "judging": "decision.judging",
    "waiting": "decision.waiting",
    "unneeded": "decision.unneeded",
    "held": "decision.held",
    "failed": "decision.failed",
    "stopped": "decision.stopped",
    "promoted": "decision.promoted",
    "rolled back": "decision.rolled_back",
}


@dataclass(frozen=True)
class Decision(Result):
    """What a policy decided, and what that rests on.

    Attributes
    ----------
    id : str
        ``decision:<id>`` refers to it, and the first digits of it.
    policy, model : str
    generation : int
        Which of the policy's terms it followed.
    terms : Terms
    dry : bool
        Nothing was trained: it says what would have been.
    state : str
        ``due``, ``looking``, ``training``, ``judging``; then ``unneeded`` (the condition doesn't
        hold), ``held`` (the challenger didn't pass), ``waiting`` (for a person), ``promoted``,
        ``rolled back``, ``failed`` or ``stopped``.
    reason : str
        One or two sentences.
    champion, challenger : str or None
        As ``name@version``.
    found : dict
        ``condition`` (parts), ``window``, ``data``, ``runs``, ``gates`` (lines), ``progress``,
        ``notebook`` (an artifact), ``notes``, ``scores``, ``watch``.
    attempts : int
    cpu_seconds : float
        Of its notebooks.
    rows : int
        Rows that were trained on.
    """

    id: str
    policy: str
    model: str
    generation: int
    terms: Terms
    dry: bool
    state: State
    reason: str
    champion: str | None
    challenger: str | None
    found: dict[str, Any]
    attempts: int
    cpu_seconds: float
    rows: int
    actor: str
    at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, row: DecisionRecord) -> Decision:
        return cls(
            row.id,
            row.policy,
            row.model,
            row.generation,
            Terms.of(row.terms),
            row.dry,
            row.state,  # type: ignore[arg-type]
            row.reason,
            row.champion,
            row.challenger,
            dict(row.found),
            row.attempts,
            row.cpu_seconds,
            row.rows,
            row.actor,
            row.at,
            row.ended_at,
        )

    @property
    def ref(self) -> str:
        """``decision:<id>``."""
        return f"decision:{self.id}"

    @property
    def active(self) -> bool:
        """Whether it is still being worked on."""
        return self.state in ACTIVE

    @property
    def folder(self) -> str:
        """Where its files are among the artifacts."""
        return f"decisions/{self.id}"


@dataclass(frozen=True)
class Decisions(Result):
    """Decisions, the newest first, and how many there are."""

    items: tuple[Decision, ...]
    total: int
    policy: str | None = None

    def __iter__(self) -> Iterator[Decision]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def begin(ws: Workspace, policy: Policy, *, dry: bool = False, mine: bool = False) -> Decision:
    """Record that a policy decides now, whether it is due or not.

    Parameters
    ----------
    ws : Workspace
    policy : Policy
    dry : bool
        Say what would be done, and do nothing.
    mine : bool
        This process works on it; otherwise the agent starts one.

    Raises
    ------
    Conflict
        ``E-RETRAIN-030``: a decision of it is under way.
    """
    now = utcnow()
    with ws.write() as tx:
        running = tx.session.scalar(_active_of(policy.name))
        if running is not None and not dry:
            raise Conflict(
                f"{policy.name} is deciding already",
                f"decision:{running[:8]} is under way",
                f"wait for it, or end it with `%mlops retrain stop {policy.name}`",
                code="E-RETRAIN-030",
            )
        row = _new(policy, now, ws.user, dry=dry)
        row.process = process_name() if mine else None
        tx.session.add(row)
        if not dry:
            kept = tx.session.get(PolicyRecord, policy.name)
            if kept is not None:
                kept.due_at = next_look(policy, now)
        tx.session.flush()
        return Decision.of(row)


def due(ws: Workspace, *, at_once: int = 1) -> list[Decision]:
    """Begin a decision for each policy whose time has come, `at_once` under way at the most."""
    now = utcnow()
    with ws.read() as session:
        query = select(PolicyRecord.name).where(
            PolicyRecord.due_at <= now, PolicyRecord.paused.is_(False)
        )
        if session.scalar(query.limit(1)) is None:
            return []
    begun = []
    with ws.write() as tx:
        busy = set(
            tx.session.scalars(
                select(DecisionRecord.policy).where(
                    DecisionRecord.state.in_(ACTIVE), DecisionRecord.dry.is_(False)
                )
            )
        )
        rows = tx.session.scalars(
            select(PolicyRecord)
            .where(PolicyRecord.due_at <= now, PolicyRecord.paused.is_(False))
            .order_by(PolicyRecord.due_at)
            .with_for_update()
        )
        for row in rows:
            if row.name in busy or len(busy) >= at_once:
                continue
            found = Policy.of(row)
            made = _new(found, now, f"policy:{row.name}", dry=False)
            tx.session.add(made)
            row.due_at = next_look(found, now)
            busy.add(row.name)
            tx.session.flush()
            begun.append(Decision.of(made))
    return begun


def _active_of(policy: str) -> Any:
    return select(DecisionRecord.id).where(
        DecisionRecord.policy == policy,
        DecisionRecord.state.in_(ACTIVE),
        DecisionRecord.dry.is_(False),
    )


def _new(policy: Policy, now: datetime, actor: str, *, dry: bool) -> DecisionRecord:
    return DecisionRecord(
        id=secrets.token_hex(16),
        policy=policy.name,
        model=policy.model,
        generation=policy.generation,
        terms=policy.terms.to_dict(),
        dry=dry,
        state="due",
        found={},
        reason="",
        attempts=0,
        cpu_seconds=0.0,
        rows=0,
        actor=actor,
        at=now,
    )


def claim(ws: Workspace, ref: str) -> Decision:
    """Be the process that works on a decision.

    Raises
    ------
    Conflict
        ``E-RETRAIN-031``: another one does, or it has ended.
    """
    found = decision(ws, ref)
    with ws.write() as tx:
        row = tx.session.get_one(DecisionRecord, found.id, with_for_update=True)
        mine = process_name()
        taken = row.process is not None and row.process != mine and may_live(row.process)
        if row.state not in ACTIVE or taken:
            raise Conflict(
                f"decision:{row.id[:8]} is {row.state}",
                "another process works on it" if taken else "it has ended",
                code="E-RETRAIN-031",
            )
        row.process, row.state = mine, "looking"
        row.attempts += 1
        tx.session.flush()
        return Decision.of(row)


def note(ws: Workspace, ref: str, state: State | None = None, **values: Any) -> Decision:
    """Write down how far a decision is; keys of `found` are added to those that are there.

    Who watches it is told when it gets to train and to judge, and of each cell.
    """
    found = values.pop("found", {})
    with ws.write() as tx:
        row = tx.session.get_one(DecisionRecord, Reference.parse(ref, kind="decision").name)
        told = "decision.progressed" if "progress" in found else ""
        if state is not None and state != row.state:
            row.state, told = state, _EVENTS[state]
        if told and not row.dry:
            cells = {key: found["progress"][key] for key in ("done", "cells")} if not state else {}
            tx.emit(told, f"decision:{row.id}", payload={"policy": row.policy, **cells})
        for key, value in values.items():
            setattr(row, key, value)
        if found:
            row.found = {**row.found, **found}
        tx.session.flush()
        return Decision.of(row)


def close(ws: Workspace, ref: str, state: State, reason: str, **values: Any) -> Decision:
    """End a decision, or let it wait for a person, with its event."""
    with ws.write() as tx:
        row = end(tx, Reference.parse(ref, kind="decision").name, state, reason, **values)
        tx.session.flush()
        return Decision.of(row)


def end(
    tx: Transaction, decision_id: str, state: State, reason: str, **values: Any
) -> DecisionRecord:
    """The same within a write under way."""
    found = values.pop("found", {})
    row = tx.session.get_one(DecisionRecord, decision_id)
    row.state, row.reason, row.ended_at, row.process = state, reason, utcnow(), None
    for key, value in values.items():
        setattr(row, key, value)
    row.found = {**row.found, **found}
    if not row.dry:
        versions = [one for one in (row.champion, row.challenger) if one]
        tx.emit(
            _EVENTS[state],
            f"decision:{row.id}",
            payload={"policy": row.policy, "model": row.model, "reason": reason},
            inputs=[f"policy:{row.policy}", *(f"model:{one}" for one in versions)],
        )
    return row


def decision(ws: Workspace, ref: str) -> Decision:
    """Return a decision.

    Parameters
    ----------
    ref : str
        ``decision:<id>``, the id alone, or the first digits of it.

    Raises
    ------
    NotFound
        ``E-RETRAIN-032``: there is none, or several begin so.
    """
    name = Reference.parse(ref, kind="decision").name
    with ws.read() as session:
        rows = session.scalars(
            select(DecisionRecord).where(DecisionRecord.id.startswith(name, autoescape=True))
        ).fetchmany(2)
        if len(rows) == 1:
            return Decision.of(rows[0])
    raise NotFound(
        f"{'no' if not rows else 'more than one'} decision is called {name!r}",
        fix="`%mlops decisions` lists them",
        code="E-RETRAIN-032",
    )


def list_decisions(
    ws: Workspace, policy: str | None = None, *, limit: int = 200, dry: bool = False
) -> Decisions:
    """List decisions, the newest first; dry runs are left out unless asked for."""
    query = select(DecisionRecord).order_by(DecisionRecord.at.desc(), DecisionRecord.id)
    count = select(func.count()).select_from(DecisionRecord)
    name = Reference.parse(policy, kind="policy").name if policy is not None else None
    if name is not None:
        query = query.where(DecisionRecord.policy == name)
        count = count.where(DecisionRecord.policy == name)
    if not dry:
        query = query.where(DecisionRecord.dry.is_(False))
        count = count.where(DecisionRecord.dry.is_(False))
    with ws.read() as session:
        found = tuple(Decision.of(row) for row in session.scalars(query.limit(limit)))
        return Decisions(found, session.scalar(count) or 0, name)


def unfinished(ws: Workspace) -> list[tuple[Decision, str | None]]:
    """Decisions that are under way, each with the process that works on it."""
    query = select(DecisionRecord).where(DecisionRecord.state.in_(ACTIVE))
    with ws.read() as session:
        return [(Decision.of(row), row.process) for row in session.scalars(query)]
