"""Approvals: a person's word for a version, kept with the digest of its files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from jupyter_mlops.models.records import ApprovalRecord
from jupyter_mlops.models.versions import ModelVersion, get
from jupyter_mlops.workspace import Result, Workspace
from jupyter_mlops.workspace.records import new_id, utcnow

__all__ = ["Approval", "approvals_of", "approve"]


@dataclass(frozen=True)
class Approval(Result):
    """Who approved which version when, and what they said."""

    model: str
    version: int
    digest: str
    actor: str
    note: str
    approved_at: datetime

    @property
    def ref(self) -> str:
        """``model:name@version``."""
        return f"model:{self.model}@{self.version}"


def approve(ws: Workspace, model: str, note: str = "") -> Approval:
    """Record that the workspace's user approves a version, as its files are now.

    Raises
    ------
    NotFound
        There is no such version.
    Denied
        Its files aren't the ones that were registered.

    Examples
    --------
    >>> approve(ws, "delay@3", "looked at the slices").actor  # doctest: +SKIP
    'ada'
    """
    version = get(ws, model)
    version.path(ws)  # nobody approves what was changed
    row = ApprovalRecord(
        id=new_id(),
        model=version.name,
        version=version.version,
        digest=version.digest,
        actor=ws.user,
        note=note,
        approved_at=utcnow(),
    )
    told = _told(row)
    with ws.write() as tx:
        tx.session.add(row)
        payload = {"note": note, "digest": version.digest}
        tx.emit("model.approved", version.ref, payload=payload)
    return told


def approvals_of(ws: Workspace, version: ModelVersion) -> list[Approval]:
    """The approvals of a version's files, the newest first."""
    query = (
        select(ApprovalRecord)
        .where(
            ApprovalRecord.model == version.name,
            ApprovalRecord.version == version.version,
            ApprovalRecord.digest == version.digest,
        )
        .order_by(ApprovalRecord.approved_at.desc())
    )
    with ws.read() as session:
        return [_told(row) for row in session.scalars(query)]


def _told(row: ApprovalRecord) -> Approval:
    return Approval(row.model, row.version, row.digest, row.actor, row.note, row.approved_at)
