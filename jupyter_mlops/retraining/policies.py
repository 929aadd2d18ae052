"""Policies as the workspace keeps them: set, changed, stopped and taken away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from jupyter_mlops import models, serving
from jupyter_mlops.models.gates.grammar import parse as parse_gates
from jupyter_mlops.models.gates.keeping import FIGURES
from jupyter_mlops.monitoring.windows import parse_length
from jupyter_mlops.retraining.conditions import parse
from jupyter_mlops.retraining.records import PolicyRecord
from jupyter_mlops.retraining.terms import Terms
from jupyter_mlops.workspace import (
    Invalid,
    NotFound,
    Reference,
    Result,
    Workspace,
    check_name,
    closest,
)
from jupyter_mlops.workspace.errors import about
from jupyter_mlops.workspace.records import utcnow

__all__ = ["Policies", "Policy", "list_policies", "pause", "policy", "remove", "set_policy"]

_FIRST_LOOK = timedelta(seconds=1)


@dataclass(frozen=True)
class Policy(Result):
    """When a model is trained again, and what becomes of the result.

    Attributes
    ----------
    name : str
    model : str
    terms : Terms
    generation : int
        How often it was set.
    paused : bool
    due_at : datetime
        When it looks next.
    """

    name: str
    model: str
    terms: Terms
    generation: int
    paused: bool
    due_at: datetime
    actor: str
    set_at: datetime

    @classmethod
    def of(cls, row: PolicyRecord) -> Policy:
        return cls(
            row.name,
            row.model,
            Terms.of(row.terms),
            row.generation,
            row.paused,
            row.due_at,
            row.actor,
            row.set_at,
        )

    @property
    def ref(self) -> str:
        """``policy:name``."""
        return f"policy:{self.name}"


@dataclass(frozen=True)
class Policies(Result):
    """All policies, by name."""

    items: tuple[Policy, ...]

    def __iter__(self) -> Iterator[Policy]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def set_policy(ws: Workspace, model: str, *, name: str | None = None, **terms: Any) -> Policy:
    """Set a policy, or change the one of that name; what isn't given stays as it is.

    One that was stopped stays so until it is resumed.

    Parameters
    ----------
    ws : Workspace
    model : str
        Its name.
    name : str, optional
        What the policy is called; the model's name when None.
    **terms
        As `Terms` has them; None leaves one alone.

    Raises
    ------
    NotFound
        There is no such model, endpoint or notebook.
    Invalid
        A term can't be read, or a new policy names no notebook.
    """
    version = models.get(ws, model)
    if "@" in model:
        raise Invalid(
            f"a policy is of a model, not of the version {version.label}",
            fix=f"write `%mlops retrain {version.name} …`",
            code="E-RETRAIN-003",
        )
    name = check_name(name or version.name, "policy")
    with ws.read() as session:
        kept = session.get(PolicyRecord, name)
        before = Policy.of(kept) if kept is not None else None
    wanted = _terms(ws, version.name, before, terms)
    figures = {*FIGURES.get(version.task, ()), *version.metrics}
    if wanted.when:
        with about("when"):
            parse(wanted.when, sorted(figures))
    if wanted.gate:
        with about("gate"):
            parse_gates(wanted.gate, figures, {"champion"})
    with ws.write() as tx:
        row = tx.session.get(PolicyRecord, name)
        if row is None:
            row = PolicyRecord(name=name, generation=0, paused=False)
            tx.session.add(row)
        row.model, row.terms = version.name, wanted.to_dict()
        row.generation += 1
        row.actor, row.set_at = ws.user, utcnow()
        row.due_at = utcnow() + _FIRST_LOOK
        tx.emit(
            "policy.set",
            f"policy:{name}",
            payload={"model": version.name, "generation": row.generation, "terms": row.terms},
            inputs=[f"model:{version.name}", f"endpoint:{wanted.endpoint}"],
        )
        tx.session.flush()
        return Policy.of(row)


def _terms(ws: Workspace, model: str, before: Policy | None, given: dict[str, Any]) -> Terms:
    given = {key: value for key, value in given.items() if value is not None}
    if before is None and not given.get("notebook"):
        raise Invalid(
            f"the policy for {model} names no notebook",
            fix="say which notebook trains it: --notebook train.ipynb",
            code="E-RETRAIN-004",
        )
    if "notebook" in given:
        with about("notebook"):
            given["notebook"] = _notebook(ws, given["notebook"])
    if "endpoint" in given or before is None:
        with about("endpoint"):
            given["endpoint"] = serving.get(ws, given.get("endpoint") or model).name
    unlimited = given.get("runs_a_week") == 0
    if unlimited:
        del given["runs_a_week"]
    terms = Terms(**given) if before is None else before.terms.but(**given)
    return replace(terms, runs_a_week=None) if unlimited else terms


def _notebook(ws: Workspace, given: str) -> str:
    """A path from the workspace's root, or a full one where it lies outside."""
    path = Path(given).expanduser()
    for at in (path, ws.root / path):
        if at.is_file():
            full = at.resolve()
            root = ws.root.resolve()
            return str(full.relative_to(root) if full.is_relative_to(root) else full)
    raise NotFound(
        f"there is no notebook {given!r}",
        f"looked in {Path.cwd()} and {ws.root}",
        "give its path from there, or the full path",
        code="E-RETRAIN-005",
    )


def policy(ws: Workspace, name: str) -> Policy:
    """Return a policy.

    Raises
    ------
    NotFound
        ``E-RETRAIN-006``: there is no such policy.
    """
    name = Reference.parse(name, kind="policy").name
    with ws.read() as session:
        row = session.get(PolicyRecord, name)
        if row is not None:
            return Policy.of(row)
        known = sorted(session.scalars(select(PolicyRecord.name)))
    raise NotFound(
        f"no policy is called {name!r}",
        f"there are {', '.join(known[:20])}" if known else "there is none yet",
        closest(name, known) or "`%mlops retrain MODEL --notebook NOTEBOOK` makes one",
        code="E-RETRAIN-006",
    )


def list_policies(ws: Workspace) -> Policies:
    """All policies, by name."""
    with ws.read() as session:
        rows = session.scalars(select(PolicyRecord).order_by(PolicyRecord.name))
        return Policies(tuple(Policy.of(row) for row in rows))


def pause(ws: Workspace, name: str, *, paused: bool = True) -> Policy:
    """Stop a policy, and what it runs right now; or let it go on.

    Raises
    ------
    NotFound
        There is no such policy.
    """
    found = policy(ws, name)
    with ws.write() as tx:
        row = tx.session.get_one(PolicyRecord, found.name)
        if row.paused != paused:
            row.paused = paused
            if not paused:
                row.due_at = utcnow() + _FIRST_LOOK
            kind = "policy.stopped" if paused else "policy.resumed"
            tx.emit(kind, found.ref, payload={"model": found.model})
    return policy(ws, found.name)


def remove(ws: Workspace, name: str) -> Policy:
    """Take a policy away; its decisions stay.

    Raises
    ------
    NotFound
        There is no such policy.
    """
    found = policy(ws, name)
    with ws.write() as tx:
        row = tx.session.get(PolicyRecord, found.name)
        if row is not None:
            tx.session.delete(row)
            tx.emit("policy.removed", found.ref, payload={"model": found.model})
    return found


def next_look(found: Policy, now: datetime) -> datetime:
    """When a policy that looks now looks again."""
    return now + parse_length(found.terms.every)
