"""Waivers: a model may be kept as a pickle, because somebody took that upon themselves.

A pickle runs whatever code it holds when it is loaded. With a waiver it is kept and registered,
and loads in an endpoint's own process only: never in a kernel, nor in the Jupyter server.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jupyter_mlops.models.records import WaiverRecord
from jupyter_mlops.workspace import Denied, Invalid, NotFound, Result, Workspace, check_name
from jupyter_mlops.workspace.records import utcnow

__all__ = ["Waiver", "require", "waive", "waived", "withdraw"]

PICKLE = "pickle"


@dataclass(frozen=True)
class Waiver(Result):
    """Who waived what for which model, and why; `withdrawn` when it doesn't hold any more."""

    model: str
    kind: str
    reason: str
    actor: str
    waived_at: datetime
    withdrawn: bool = False


def waive(ws: Workspace, model: str, reason: str) -> Waiver:
    """Let a model be kept as a pickle from now on.

    Parameters
    ----------
    ws : Workspace
    model : str
        The name it is trained and registered under; it needn't be there yet.
    reason : str
        Why no safe format will do.

    Raises
    ------
    Invalid
        There is no reason, or the name can't name a model.
    """
    check_name(model, "model")
    if not reason.strip():
        raise Invalid("a waiver needs a reason", fix="say why with --reason", code="E-MODEL-060")
    made = Waiver(model, PICKLE, reason.strip(), ws.user, utcnow())
    with ws.write() as tx:
        row = tx.session.get(WaiverRecord, (model, PICKLE))
        if row is None:
            row = WaiverRecord(model=model, kind=PICKLE)
            tx.session.add(row)
        row.reason, row.actor, row.waived_at = made.reason, made.actor, made.waived_at
        payload = {"kind": PICKLE, "reason": made.reason}
        tx.emit("model.waived", f"model:{model}", payload=payload)
    return made


def withdraw(ws: Workspace, model: str) -> Waiver:
    """Take a waiver back: the model's pickles aren't registered or served anew.

    Raises
    ------
    NotFound
        There is none.
    """
    with ws.write() as tx:
        row = tx.session.get(WaiverRecord, (model, PICKLE))
        if row is None:
            raise NotFound(
                f"there is no waiver for pickles of {model}",
                fix=f"`%mlops waive pickle {model} --reason …` records one",
                code="E-MODEL-061",
            )
        made = _told(row, withdrawn=True)
        tx.session.delete(row)
        tx.emit("model.waiver_withdrawn", f"model:{model}", payload={"kind": PICKLE})
    return made


def waived(ws: Workspace, model: str) -> Waiver | None:
    """The waiver that holds for pickles of a model."""
    with ws.read() as session:
        row = session.get(WaiverRecord, (model, PICKLE))
        return _told(row) if row is not None else None


def require(ws: Workspace, model: str, hazard: str = "") -> None:
    """Refuse a pickle without a waiver, or another model for what `hazard` says of it.

    Raises
    ------
    Denied
        Nobody has recorded one for this model.
    """
    if waived(ws, model) is None:
        what = f"the model of {model} is a pickle, which runs any code when it is loaded"
        if hazard:
            what = f"loading the model of {model} may run any code: {hazard}"
        raise Denied(
            what,
            "no waiver is recorded for it",
            f"train it with what has a safe format, or `%mlops waive pickle {model} --reason …`",
            code="E-MODEL-062",
        )


def _told(row: WaiverRecord, *, withdrawn: bool = False) -> Waiver:
    return Waiver(row.model, row.kind, row.reason, row.actor, row.waived_at, withdrawn)
