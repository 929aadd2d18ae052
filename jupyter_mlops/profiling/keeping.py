"""Profiles in the workspace: made once per content and target."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Callable
from threading import Event
from typing import TYPE_CHECKING, Final

import orjson
from sqlalchemy import select

from jupyter_mlops.data import Table, datasets
from jupyter_mlops.data.sources.files.faults import reading
from jupyter_mlops.data.sources.opening import LazySource
from jupyter_mlops.profiling.profiles import ENGINE, Profile, Progress, profile
from jupyter_mlops.profiling.pushdown import pushed_down
from jupyter_mlops.profiling.records import ProfileRecord
from jupyter_mlops.workspace.errors import NotFound
from jupyter_mlops.workspace.records import new_id

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["get", "keep", "make"]

#: Kept profiles of the same rows that are looked through for one with the same roles.
_SEEN: Final = 5


def make(
    ws: Workspace,
    table: Table,
    *,
    target: str | None = None,
    progress: Callable[[Progress], None] | None = None,
    cancel: Event | None = None,
) -> Profile:
    """Profile a table and keep the profile; one of the same content and roles is reused.

    A pass that was stopped isn't kept, since it isn't the profile of that table; what it knew is
    returned all the same.

    Parameters
    ----------
    ws : Workspace
    table : Table
        From `jupyter_mlops.data.resolve`; its key and time are taken for what they are.
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
    key, time = _declared(table)
    # A dataset's digest is recorded; that of other tables would take a pass of its own.
    recorded = table.ref is not None and table.ref.startswith("data:")
    known = _known(ws, table.digest, target, (key, time)) if recorded else None
    if known is not None:
        known.label, known.data_ref = table.label, table.ref
        return known
    made = pushed_down(table, target)
    if made is None:
        roles = {"target": target, "key": key, "time": time}
        with reading(table.label):
            made = profile(table.scan(), **roles, progress=progress, cancel=cancel)
    made.label = table.label
    made.data_ref = table.ref
    if not made.complete:
        return made
    if (seen := made.content) is not None and type(table.source).digest is LazySource.digest:
        # The pass has read every row: a second one would find the same digest.
        vars(table).setdefault("digest", seen)
    made.digest = made.digest or table.digest
    return keep(ws, made, table.inputs)


def keep(ws: Workspace, made: Profile, inputs: list[str]) -> Profile:
    """Keep a profile that has a label and a digest.

    Parameters
    ----------
    ws : Workspace
    made : Profile
    inputs : list of str
        References of what it was made from.

    Returns
    -------
    Profile
        The same, which now has an id.

    Examples
    --------
    >>> keep(ws, profile(flights.lazy()), []).id  # doctest: +SKIP
    '01936f2e…'
    """
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
                target=made.target or "",
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
            payload={"data": made.label, "target": made.target, "findings": dict(findings)},
            inputs=inputs,
            outputs=[f"profile:{made.id}"],
        )
    return made


def get(ws: Workspace, ref: str) -> Profile:
    """Read a kept profile.

    Parameters
    ----------
    ws : Workspace
    ref : str
        Its reference or id; or a dataset's name, ``name@version`` or reference, for the newest
        profile of that, whatever its target.

    Raises
    ------
    NotFound
        There is no such profile, or none of that dataset yet.

    Examples
    --------
    >>> get(ws, "profile:01936f2e…").rows  # doctest: +SKIP
    >>> get(ws, "flights").target          # doctest: +SKIP
    """
    with ws.read() as session:
        record = session.get(ProfileRecord, ref.removeprefix("profile:"))
        location = record.location if record else None
    if location is not None:
        return _read(ws, location)
    if ref.startswith("profile:"):
        raise NotFound(
            f"there is no profile {ref!r}",
            fix="make one with `%mlops profile DATA`",
            code="E-PROFILE-006",
        )
    return _newest(ws, ref)


def _newest(ws: Workspace, name: str) -> Profile:
    """The newest profile of the rows of a dataset, of any of its versions if none is named."""
    try:
        dataset = datasets.get(ws, name)
    except NotFound as error:
        raise NotFound(
            f"there is no profile {name!r}", error.what, error.fix, code="E-PROFILE-006"
        ) from None
    versions = [dataset] if "@" in name else dataset.versions
    by_digest = {one.digest: one for one in reversed(versions)}
    query = (
        select(ProfileRecord.location, ProfileRecord.digest)
        .where(ProfileRecord.digest.in_(list(by_digest)))
        .order_by(ProfileRecord.created_at.desc())
    )
    with ws.read() as session:
        found = session.execute(query).first()
    if found is None:
        raise NotFound(
            f"{dataset.ref if '@' in name else name} has no profile yet",
            fix=f"make one with `%mlops profile {name.removeprefix('data:')}`",
            code="E-PROFILE-006",
        )
    made = _read(ws, found.location)
    # The same rows may have been profiled under another name.
    made.label = made.data_ref = by_digest[found.digest].ref
    return made


def _declared(table: Table) -> tuple[str | None, str | None]:
    """The table's key and time, where it was read with these columns."""
    if table.key is None and table.time is None:
        return None, None
    names = table.source.schema()
    key, time = (one if one in names else None for one in (table.key, table.time))
    return key, time


def _known(
    ws: Workspace, digest: str, target: str | None, roles: tuple[str | None, str | None]
) -> Profile | None:
    query = (
        select(ProfileRecord.location)
        .where(
            ProfileRecord.digest == digest,
            ProfileRecord.target == (target or ""),
            ProfileRecord.engine == ENGINE,
        )
        .order_by(ProfileRecord.created_at.desc())
        .limit(_SEEN)
    )
    with ws.read() as session:
        locations = session.scalars(query).all()
    for location in locations:
        # The same rows may be kept under several names, with other columns for key and time.
        if ws.artifacts.exists(location):
            made = _read(ws, location)
            if (made.key, made.time) == roles:
                return made
    return None


def _read(ws: Workspace, location: str) -> Profile:
    return Profile.from_dict(orjson.loads(gzip.decompress(ws.artifacts.read_bytes(location))))
