"""The gates of a model as they are kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select

from jupyter_mlops.models.gates.grammar import Gate, parse
from jupyter_mlops.models.records import GateRecord
from jupyter_mlops.models.versions import get
from jupyter_mlops.workspace import Invalid, Result, Workspace
from jupyter_mlops.workspace.records import utcnow

__all__ = ["FIGURES", "Gates", "KeptGate", "clear_gates", "gates_of", "set_gates"]

#: Metrics that are computed from stored predictions, for each kind of task.
FIGURES = {
    "binary": ("log_loss", "auc", "accuracy", "brier"),
    "multiclass": ("log_loss", "auc", "accuracy", "brier"),
    "regression": ("rmse", "mae", "r2"),
}


@dataclass(frozen=True)
class KeptGate:
    """One gate: its name, how it was written, who set it when."""

    name: str
    expression: str
    actor: str
    set_at: datetime


@dataclass(frozen=True)
class Gates(Result):
    """The gates of a model, in their order."""

    model: str
    items: tuple[KeptGate, ...]


def set_gates(ws: Workspace, model: str, text: str) -> Gates:
    """Make the gates in `text` the gates of a model; those it had before are gone.

    Parameters
    ----------
    ws : Workspace
    model : str
        Its name. It has a version: whose metrics and aliases may stand in the gates.
    text : str
        As `jupyter_mlops.models.gates.grammar.parse` reads it.

    Raises
    ------
    NotFound
        There is no such model.
    Invalid
        Something is no gate, or the model is named with a version.
    """
    name = _name_of(ws, model)
    newest = get(ws, name)
    known = {*FIGURES.get(newest.task, ()), *newest.metrics}
    gates = parse(text, known, _aliases(ws, name))
    _keep(ws, name, gates)
    return gates_of(ws, name)


def clear_gates(ws: Workspace, model: str) -> Gates:
    """Take all gates of a model away."""
    name = _name_of(ws, model)
    _keep(ws, name, [])
    return gates_of(ws, name)


def gates_of(ws: Workspace, model: str) -> Gates:
    """The gates of a model; none when none were set."""
    query = select(GateRecord).where(GateRecord.model == model).order_by(GateRecord.position)
    with ws.read() as session:
        kept = [
            KeptGate(row.name, row.expression, row.actor, row.set_at)
            for row in session.scalars(query)
        ]
    return Gates(model, tuple(kept))


def _name_of(ws: Workspace, model: str) -> str:
    version = get(ws, model)
    if "@" in model:
        raise Invalid(
            f"gates are of a model, not of the version {version.label}",
            fix=f"write `%mlops gate {version.name} EXPR`",
            code="E-GATE-002",
        )
    return version.name


def _aliases(ws: Workspace, name: str) -> set[str]:
    from jupyter_mlops.models.versions import list_models

    return {alias for version in list_models(ws, name) for alias in version.aliases}


def _keep(ws: Workspace, model: str, gates: Iterable[Gate]) -> None:
    now = utcnow()
    rows = [
        GateRecord(
            model=model,
            name=gate.name,
            position=position,
            expression=gate.text,
            actor=ws.user,
            set_at=now,
        )
        for position, gate in enumerate(gates)
    ]
    told = {row.name: row.expression for row in rows}
    with ws.write() as tx:
        tx.session.execute(delete(GateRecord).where(GateRecord.model == model))
        tx.session.add_all(rows)
        tx.emit("gate.set", f"model:{model}", payload={"gates": told})
