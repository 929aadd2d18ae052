"""Streams as the workspace records them: declared here, run by a process each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from jupyter_mlops.experiments.trials import may_live
from jupyter_mlops.serving.endpoints import get as get_endpoint
from jupyter_mlops.serving.records import StreamRecord
from jupyter_mlops.serving.streaming.opening import open_sink, open_source
from jupyter_mlops.serving.streaming.pump import Limits
from jupyter_mlops.workspace import (
    Conflict,
    Invalid,
    NotFound,
    Reference,
    Result,
    Workspace,
    check_name,
    closest,
)
from jupyter_mlops.workspace.records import utcnow

__all__ = ["Stream", "Streams", "declare", "folder", "get", "list_streams", "resume", "stop"]


@dataclass(frozen=True)
class Stream(Result):
    """A stream, as declared and as found.

    Attributes
    ----------
    name, endpoint : str
    source, sink, dead : str
        URIs: of records, of answers, of dead letters.
    state : str
        ``waiting``, ``running``, ``interrupted``, ``stopping``, ``stopped``, ``finished`` or
        ``failed``.
    guarantee : str
        ``exactly once`` or ``at least once``, as the sink allows it; empty before it ran.
    answered, refused : int
        Records in all runs; refused ones are dead letters.
    rate : float or None
        Records a second of late.
    lag : int or None
        Records that wait, where the source can tell.
    positions : dict
        For each partition up to where every answer is in the sink.
    error : str
        Why it failed, or which part is away.
    why : str
        Why this run ended: ``ended``, ``idle`` or ``stopped``; empty when it is only looked at.
    """

    name: str
    endpoint: str
    source: str
    sink: str
    dead: str
    options: dict[str, Any]
    state: str
    detached: bool
    guarantee: str
    answered: int
    refused: int
    rate: float | None
    lag: int | None
    positions: dict[str, str]
    error: str
    process: str | None
    restarts: int
    actor: str
    declared_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    why: str = ""

    @property
    def ref(self) -> str:
        """``stream:name``."""
        return f"stream:{self.name}"

    @property
    def limits(self) -> Limits:
        """How it is read."""
        known = asdict(Limits())
        return Limits(**{k: v for k, v in self.options.items() if k in known})

    @property
    def follow(self) -> bool:
        """Whether files are waited for to grow."""
        return bool(self.options.get("follow"))


@dataclass(frozen=True)
class Streams(Result, Sequence[Stream]):
    """All streams, those that run first."""

    items: tuple[Stream, ...]

    def __getitem__(self, index: Any) -> Any:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)


def declare(
    ws: Workspace,
    endpoint: str,
    source: str,
    sink: str,
    *,
    name: str | None = None,
    dead: str | None = None,
    limits: Limits | None = None,
    follow: bool = False,
    detached: bool = False,
) -> Stream:
    """Record a stream, to be run by this process or, detached, by the agent.

    Declaring one again under its name goes on where it was.

    Parameters
    ----------
    ws : Workspace
    endpoint : str
    source, sink : str
        URIs; see `opening`.
    name : str, optional
        Default: the endpoint's name.
    dead : str, optional
        Where dead letters go; default: an NDJSON file in the workspace.
    limits : Limits, optional
    follow : bool
        Whether files are waited for to grow.
    detached : bool

    Raises
    ------
    Invalid
        A URI or a limit can't be understood.
    NotFound
        There is no such endpoint, or file.
    Conflict
        A stream of that name runs.
    """
    found = get_endpoint(ws, endpoint)
    name = check_name(name or found.name, "stream")
    limits = _checked(limits or Limits())
    # Answers to one file must not depend on from where a notebook runs.
    source, sink = _absolute(source), _absolute(sink)
    dead = _absolute(dead) if dead else str(folder(ws, name) / "dead.ndjson")
    opened = open_source(source, name, folder(ws, name) / "source.json", follow)
    open_sink(sink, name, opened)
    open_sink(dead, f"{name}.dead")
    if len({source, sink, dead}) < 3:
        raise Invalid(
            "a stream can't write where it reads, nor answers where dead letters go",
            fix="name three different places",
            code="E-STREAM-140",
        )
    values: dict[str, Any] = {
        "endpoint": found.name,
        "source": source,
        "sink": sink,
        "dead": dead,
        "options": asdict(limits) | {"follow": follow},
        "desired": "running",
        "detached": detached,
        "actor": ws.user,
        "declared_at": utcnow(),
        "state": "waiting",
        "error": None,
        "process": None,
        "restarts": 0,
        "ended_at": None,
    }
    with ws.write() as tx:
        row = tx.session.get(StreamRecord, name)
        if row is None:
            tx.session.add(StreamRecord(name=name, positions={}, **values))
        else:
            _check_free(row)
            for column, value in values.items():
                setattr(row, column, value)
        tx.emit(
            "stream.declared",
            f"stream:{name}",
            payload={"source": source, "sink": sink, "dead": dead, "detached": detached},
            inputs=[found.ref],
        )
    return get(ws, name)


def resume(ws: Workspace, name: str, *, detached: bool = False) -> Stream:
    """Record that a stream that ended should go on where it was.

    Parameters
    ----------
    ws : Workspace
    name : str
    detached : bool
        Whether the agent runs it.

    Raises
    ------
    NotFound
        There is no such stream.
    Conflict
        It runs.
    """
    found = get(ws, name)
    with ws.write() as tx:
        row = tx.session.get_one(StreamRecord, found.name)
        _check_free(row)
        row.detached, row.desired, row.restarts, row.error = detached, "running", 0, None
        row.state = "waiting"
        tx.emit(
            "stream.declared",
            found.ref,
            payload={"source": row.source, "sink": row.sink, "detached": detached},
            inputs=[f"endpoint:{row.endpoint}"],
        )
    return get(ws, found.name)


def _check_free(row: StreamRecord) -> None:
    if row.process and may_live(row.process):
        raise Conflict(
            f"the stream '{row.name}' runs",
            row.process,
            f"`%mlops stream stop {row.name}` first, or give another --name",
            code="E-STREAM-141",
        )


def get(ws: Workspace, name: str) -> Stream:
    """Return a stream.

    Raises
    ------
    NotFound
        There is no such stream.
    """
    name = Reference.parse(name, kind="stream").name
    with ws.read() as session:
        row = session.get(StreamRecord, name)
        if row is not None:
            return _stream(row)
        known = sorted(session.scalars(select(StreamRecord.name)))
    raise NotFound(
        f"no stream is called '{name}'",
        f"there are {', '.join(known[:20])}" if known else "there is none yet",
        closest(name, known) or "`%mlops stream ENDPOINT --from URI --to URI` begins one",
        code="E-STREAM-142",
    )


def list_streams(ws: Workspace) -> Streams:
    """Return all streams, those that run first."""
    with ws.read() as session:
        rows = session.scalars(select(StreamRecord).order_by(StreamRecord.name)).all()
        found = [_stream(row) for row in rows]
    return Streams(tuple(sorted(found, key=lambda one: one.state != "running")))


def stop(ws: Workspace, name: str) -> Stream:
    """Have a stream end after what is in flight, wherever it runs.

    Raises
    ------
    NotFound
        There is no such stream.
    """
    found = get(ws, name)
    with ws.write() as tx:
        row = tx.session.get_one(StreamRecord, found.name)
        if row.desired == "running":
            row.desired = "stopped"
            if not (row.process and may_live(row.process)):
                row.state, row.ended_at, row.process = "stopped", utcnow(), None
                tx.emit("stream.stopped", f"stream:{row.name}", payload={"why": "stopped"})
    return get(ws, found.name)


def folder(ws: Workspace, name: str) -> Path:
    """Where a stream keeps its dead letters and its place in files."""
    return ws.home / "streams" / name


def _stream(row: StreamRecord) -> Stream:
    state = row.state
    if state == "running" and not (row.process and may_live(row.process)):
        state = "interrupted"
    elif state == "running" and row.desired == "stopped":
        state = "stopping"
    live = state in ("running", "stopping")
    return Stream(
        name=row.name,
        endpoint=row.endpoint,
        source=row.source,
        sink=row.sink,
        dead=row.dead,
        options=row.options,
        state=state,
        detached=row.detached,
        guarantee=row.guarantee,
        answered=row.answered,
        refused=row.refused,
        rate=row.rate if live else None,
        lag=row.lag,
        positions=row.positions,
        error=row.error or "",
        process=row.process if live else None,
        restarts=row.restarts,
        actor=row.actor,
        declared_at=row.declared_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )


def _absolute(uri: str) -> str:
    if "://" in uri:
        return uri
    return str(Path(uri).expanduser().resolve())


def _checked(limits: Limits) -> Limits:
    fits = (
        1 <= limits.batch <= 50_000
        and 0 <= limits.linger <= 60
        and 1 <= limits.flight <= 64
        and limits.patience >= 0
        and (limits.until_idle is None or limits.until_idle >= 0)
    )
    if not fits:
        raise Invalid(
            "a stream can't be read that way",
            "batch is 1 to 50,000 records, linger 0 to 60 seconds, flight 1 to 64 batches, and "
            "no time is negative",
            "mend what doesn't fit",
            code="E-STREAM-143",
        )
    return limits
