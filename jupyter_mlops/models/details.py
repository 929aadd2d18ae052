"""One version with all that was decided about it: gates, approvals, aliases, in their order."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from jupyter_mlops.models.aliases import MOVED, before
from jupyter_mlops.models.approvals import Approval, approvals_of
from jupyter_mlops.models.cards import Use, use_of
from jupyter_mlops.models.gates.checking import last_check
from jupyter_mlops.models.gates.keeping import Gates, gates_of
from jupyter_mlops.models.gates.verdicts import GateCheck
from jupyter_mlops.models.versions import ModelVersion, get, list_models
from jupyter_mlops.workspace import Event, Workspace

__all__ = ["VersionDetail", "detail"]

#: Events of each kind that are looked through.
LOOKED_AT: Final = 100


@dataclass(frozen=True)
class VersionDetail(ModelVersion):
    """A registered version, and what became of it.

    Attributes
    ----------
    gates : Gates
        Those of its model.
    check : GateCheck or None
        What became of them last; None when nobody asked.
    approvals : tuple of Approval
        The newest first.
    use : Use or None
        What it is for, in a person's words.
    history : tuple of Event
        What happened to it, the newest first.
    others : tuple of (int, tuple of str)
        The model's other versions with their aliases, the newest first.
    earlier : int or None
        The version that rolling champion back returns to; None when this isn't champion, or
        none was before.
    """

    gates: Gates
    check: GateCheck | None
    approvals: tuple[Approval, ...]
    use: Use | None
    history: tuple[Event, ...]
    others: tuple[tuple[int, tuple[str, ...]], ...]
    earlier: int | None

    @property
    def current(self) -> bool:
        """Whether the last check answered the gates as they are now."""
        if self.check is None:
            return False
        answered = [(one.name, one.expression) for one in self.check.lines]
        return answered == [(one.name, one.expression) for one in self.gates.items]


def detail(ws: Workspace, model: str) -> VersionDetail:
    """Find a version, and what became of it.

    Parameters
    ----------
    ws : Workspace
    model : str
        Such as ``delay@champion``; a bare name means its newest version.

    Raises
    ------
    NotFound
        There is no such model, version or alias.

    Examples
    --------
    >>> detail(ws, "delay@3").check.passed  # doctest: +SKIP
    True
    """
    version = get(ws, model)
    told = {one.name: getattr(version, one.name) for one in fields(version)}
    others = [
        (one.version, one.aliases)
        for one in list_models(ws, version.name)
        if one.version != version.version
    ]
    return VersionDetail(
        **told,
        gates=gates_of(ws, version.name),
        check=last_check(ws, version),
        approvals=tuple(approvals_of(ws, version)),
        use=use_of(ws, version),
        history=_history(ws, version, {alias for _, them in others for alias in them}),
        others=tuple(others),
        earlier=before(ws, version.name, "champion") if "champion" in version.aliases else None,
    )


def _history(ws: Workspace, version: ModelVersion, aliases: set[str]) -> tuple[Event, ...]:
    found = ws.events(subject=version.ref, newest=True, limit=LOOKED_AT)
    for alias in {"champion", *version.aliases, *aliases}:
        subject = f"model:{version.name}@{alias}"
        moves = ws.events(kind=MOVED, subject=subject, newest=True, limit=LOOKED_AT)
        found += [
            one
            for one in moves
            if version.version in (one.payload["version"], one.payload.get("before"))
        ]
    return tuple(sorted(found, key=lambda one: -one.seq))
