"""Promoting a version through its gates, and going back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from jupyter_mlops.models.aliases import before, check_alias, move_alias, pointed_to
from jupyter_mlops.models.gates.checking import check
from jupyter_mlops.models.gates.evidence import Evidence
from jupyter_mlops.models.gates.verdicts import GateCheck
from jupyter_mlops.models.versions import ModelVersion, get
from jupyter_mlops.workspace import Denied, Event, Invalid, NotFound, Result, Workspace

__all__ = ["Promotion", "promote", "rollback"]

#: Failing gates that a refusal tells of.
TOLD = 5


@dataclass(frozen=True)
class Promotion(Result):
    """An alias that moved.

    Attributes
    ----------
    version : ModelVersion
        Where it points now.
    earlier : int or None
        The number of the version it pointed to before.
    how : {"promote", "rollback"}
    check : GateCheck or None
        What became of the gates; None when going back.
    forced : str
        Why it was promoted although it doesn't pass; empty when it does.
    """

    version: ModelVersion
    alias: str
    earlier: int | None
    how: Literal["promote", "rollback"]
    actor: str
    at: datetime
    event: int
    check: GateCheck | None = None
    forced: str = ""


def promote(
    ws: Workspace, model: str, alias: str, evidence: Evidence, force: str | None = None
) -> Promotion:
    """Let an alias point to a version that passes its model's gates.

    Parameters
    ----------
    ws : Workspace
    model : str
        A bare name means its newest version.
    alias : str
    evidence : Evidence
    force : str, optional
        Promote although gates fail, for this reason; it is kept with the event.

    Raises
    ------
    Denied
        A gate fails or can't be answered; each is named with its reason.
    Conflict
        The alias, or the champion that the gates held it against, was moved meanwhile.
    """
    check_alias(alias)
    if force is not None and not force.strip():
        raise Invalid("--force needs a reason", fix="say why in one sentence", code="E-GATE-004")
    version = get(ws, model)
    version.path(ws)  # what was changed isn't promoted
    earlier = pointed_to(ws, version.name, alias)
    if earlier == version.version:
        raise Invalid(
            f"{version.label} is at {alias} already",
            fix="name another version to promote",
            code="E-GATE-006",
        )
    found = check(ws, version, evidence)
    if not found.passed and force is None:
        raise _refused(found, alias)
    if found.champion and pointed_to(ws, version.name, "champion") != _number(found.champion):
        raise Denied(
            f"{version.name}@champion was moved while {version.label} was held against it",
            fix="promote it again",
            code="E-GATE-007",
        )
    forced = "" if found.passed else str(force)
    event = move_alias(
        ws,
        version,
        alias,
        "promote",
        expected=earlier,
        gates=[{"name": one.name, "verdict": one.verdict} for one in found.lines],
        checked=found.event,
        forced=forced,
    )
    return _told(ws, event, alias, check=found, forced=forced)


def rollback(ws: Workspace, model: str, alias: str = "champion") -> Promotion:
    """Let an alias point to the version before, whatever the gates say.

    Raises
    ------
    NotFound
        There is no version before.
    """
    check_alias(alias)
    name = get(ws, model).name
    number = before(ws, name, alias)
    if number is None:
        raise NotFound(
            f"{name}@{alias} has no version before",
            "it never moved from one version to another",
            f"`%mlops promote {name}@VERSION {alias}` moves it to any",
            code="E-GATE-008",
        )
    version = get(ws, f"{name}@{number}")
    version.path(ws)
    return _told(ws, move_alias(ws, version, alias, "rollback"), alias)


def _told(ws: Workspace, event: Event, alias: str, **more: Any) -> Promotion:
    name = event.subject.removeprefix("model:").partition("@")[0]
    return Promotion(
        get(ws, f"{name}@{event.payload['version']}"),
        alias,
        event.payload["before"],
        event.payload["how"],
        event.actor,
        event.at,
        event.seq,
        **more,
    )


def _number(label: str) -> int:
    return int(label.rpartition("@")[2])


def _refused(found: GateCheck, alias: str) -> Denied:
    failing = found.failing
    told = "; ".join(f"{one.name}: {one.reason.rstrip('.')}" for one in failing[:TOLD])
    more = f"; and {len(failing) - TOLD} more" if len(failing) > TOLD else ""
    count = f"{len(failing)} of {len(found.lines)} gates"
    label = found.version.label
    return Denied(
        f"{label} isn't promoted to {alias}: {count} didn't pass",
        f"{told}{more}",
        f"`%mlops promote {label} {alias} --force REASON` promotes it all the same",
        code="E-GATE-003",
    )
