"""Profiles in the workspace: made once per content and target."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Callable
from threading import Event
from typing import TYPE_CHECKING

import orjson
from sqlalchemy import select

from jupyter_mlops.data import Table
from jupyter_mlops.data.sources.opening import LazySource
from jupyter_mlops.profiling.profiles import ENGINE, Profile, Progress, profile
from jupyter_mlops.profiling.pushdown import pushed_down
from jupyter_mlops.profiling.records import ProfileRecord
from jupyter_mlops.workspace.errors import NotFound
from jupyter_mlops.workspace.records import new_id

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["get", "make"]


def make(
    ws: Workspace,
    table: Table,
    *,
    target: str | None = None,
    progress: Callable[[Progress], None] | None = None,
    cancel: Event | None = None,
) -> Profile:
    """Profile a table and keep the profile; one of the same content and target is reused.

    A pass that was stopped isn't kept, since it isn't the profile of that table; what it knew is
    returned all the same.

    Parameters
    ----------
    ws : Workspace
    table : Table
        From `jupyter_mlops.data.resolve`.
    target : str, optional
        The column to predict.
    progress : callable, optional
        Called with a `Progress`, which can show the profile so far.
    cancel : threading.Event, optional
        Stops the pass once set.

    Returns
    -------
    Profile

    Raises
    ------
    NotFound, Invalid
        As `profile` does; nothing is kept then.
    """
    known = _known(ws, table.digest, target) if table.ref else None
    if known is not None:
        known.label, known.data_ref = table.label, table.ref
        return known
    made = pushed_down(table, target)
    made = made or profile(table.scan(), target=target, progress=progress, cancel=cancel)
    made.label = table.label
    made.data_ref = table.ref
    if not made.complete:
        return made
    if (seen := made.content) is not None and type(table.source).digest is LazySource.digest:
        # The pass has read every row: a second one would find the same digest.
        vars(table).setdefault("digest", seen)
    made.digest = made.digest or table.digest
    made.id = new_id()
    location = f"profiles/{made.id}.json.gz"
    ws.artifacts.write_bytes(
        location, gzip.compress(orjson.dumps(made.to_dict(), option=orjson.OPT_NON_STR_KEYS), 5)
    )
    findings = Counter(one.finding for one in made.advice)
    with ws.write() as tx:
        tx.session.add(
            ProfileRecord(
                id=made.id,
                data=made.label,
                digest=made.digest,
                target=target or "",
                engine=ENGINE,
                rows=made.rows,
                columns=len(made.columns),
                seconds=made.seconds,
                findings=dict(findings),
                location=location,
                author=ws.user,
                created_at=made.made_at,
            )
        )
        tx.emit(
            "profile.made",
            f"profile:{made.id}",
            payload={"data": made.label, "target": target, "findings": dict(findings)},
            inputs=[table.ref] if table.ref else [],
            outputs=[f"profile:{made.id}"],
        )
    return made


def get(ws: Workspace, id: str) -> Profile:
    """Read a kept profile.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    with ws.read() as session:
        record = session.get(ProfileRecord, id.removeprefix("profile:"))
        location = record.location if record else None
    if location is None:
        raise NotFound(
            f"there is no profile {id!r}",
            fix="make one with `%mlops profile DATA`",
            code="E-PROFILE-006",
        )
    return _read(ws, location)


def _known(ws: Workspace, digest: str, target: str | None) -> Profile | None:
    query = (
        select(ProfileRecord.location)
        .where(
            ProfileRecord.digest == digest,
            ProfileRecord.target == (target or ""),
            ProfileRecord.engine == ENGINE,
        )
        .order_by(ProfileRecord.created_at.desc())
        .limit(1)
    )
    with ws.read() as session:
        location = session.scalar(query)
    if location is None or not ws.artifacts.exists(location):
        return None
    return _read(ws, location)


def _read(ws: Workspace, location: str) -> Profile:
    return Profile.from_dict(orjson.loads(gzip.decompress(ws.artifacts.read_bytes(location))))
