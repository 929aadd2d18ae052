"""Batch predictions as the workspace records them: left to the agent, listed, stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from jupyter_mlops.data import resolve
from jupyter_mlops.experiments.trials import may_live
from jupyter_mlops.serving.batch.places import place_of
from jupyter_mlops.serving.batch.rows import check_columns
from jupyter_mlops.serving.batch.running import PART_ROWS, Version, check
from jupyter_mlops.serving.expectations import Mode
from jupyter_mlops.serving.modelfile import read_model_file
from jupyter_mlops.serving.records import BatchRecord
from jupyter_mlops.workspace import (
    Conflict,
    Invalid,
    NotFound,
    Reference,
    Result,
    Workspace,
    check_name,
)
from jupyter_mlops.workspace.records import utcnow

__all__ = ["BatchJob", "BatchJobs", "Options", "declare", "get", "list_jobs", "resume", "stop"]

_SHORT = 8
_SHORTEST = 4


@dataclass(frozen=True)
class Options:
    """How a table is predicted; see `predict`.

    Attributes
    ----------
    cluster : str or None
        How a person calls it: it is obtained by the process that predicts.
    env : str or None
        The environment that the model runs in; the one it was trained in when None.
    name : str or None
        The dataset that the answers become.
    """

    keep: tuple[str, ...] = ()
    probabilities: bool = False
    part_rows: int = PART_ROWS
    mode: Mode = "observe"
    name: str | None = None
    cluster: str | None = None
    env: str | None = None


@dataclass(frozen=True)
class BatchJob(Result):
    """A batch prediction that was left to the agent.

    Attributes
    ----------
    id : str
        Of what was declared: the same line has the same one.
    model, digest : str
        ``name@version``, and the digest of its files.
    data, to : str
    state : str
        ``waiting``, ``running``, ``interrupted``, ``stopping``, ``stopped``, ``finished`` or
        ``failed``.
    done, total, rejected : int
        Rows that were answered or put aside, all rows, and those that were put aside; all are 0
        before anybody has looked at the data.
    seconds : float
        Of the last run.
    job : str or None
        Under which its events are kept: ``prediction:`` and 16 digits.
    dataset : str or None
        What the answers became.
    error : str
        Why it failed, or why its process began again.
    """

    id: str
    model: str
    digest: str
    data: str
    to: str
    options: Options
    state: str
    done: int
    total: int
    rejected: int
    seconds: float
    job: str | None
    dataset: str | None
    error: str
    process: str | None
    restarts: int
    actor: str
    declared_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def ref(self) -> str:
        """``prediction:`` and the id."""
        return f"prediction:{self.id}"

    @property
    def short(self) -> str:
        """The first eight digits of the id."""
        return self.id[:_SHORT]


@dataclass(frozen=True)
class BatchJobs(Result, Sequence[BatchJob]):
    """Batch predictions that were left to the agent, those that run first, then the newest."""

    items: tuple[BatchJob, ...]

    def __getitem__(self, index: Any) -> Any:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)


def declare(
    ws: Workspace, version: Version, data: object, to: str | None, options: Options
) -> BatchJob:
    """Record a batch prediction for the agent to run. The same one again goes on where it was.

    What can be known to fail fails now: a column that is missing, a place that can't be.

    Parameters
    ----------
    ws : Workspace
    version : ModelVersion
    data : str
        A dataset, a path or a URI: what lies in this process's memory goes with it.
    to : str
        A folder or a URI.
    options : Options

    Raises
    ------
    Invalid
        The data or the answers would be in this process alone, or a column is missing.
    Conflict
        It runs.
    """
    if not isinstance(data, str):
        raise Invalid(
            f"a {type(data).__name__} is gone with its kernel",
            "a prediction that is left to the agent outlives it",
            "keep it first with `%mlops data add NAME {frame}`",
            code="E-BATCH-060",
        )
    if to is None:
        raise Invalid(
            "the answers of a prediction that is left to the agent need a place",
            fix="name a folder or a bucket with --to",
            code="E-BATCH-061",
        )
    if options.name is not None:
        check_name(options.name, "dataset")
    table = resolve(ws, data)
    check(options.part_rows, table, to)
    check_columns(read_model_file(version.path(ws)), table, options.keep)
    place_of(to, ws.settings.allow_private_urls)
    # Neither what a name means later nor from where a notebook runs may change what it is.
    told = {
        "model": f"{version.name}@{version.version}",
        "digest": version.digest,
        "data": table.ref or _absolute(data.strip()),
        "sink": _absolute(to),
        "options": asdict(options) | {"keep": list(options.keep)},
    }
    text = json.dumps(told, sort_keys=True).encode()
    key = hashlib.blake2b(text, digest_size=16).hexdigest()
    with ws.write() as tx:
        row = tx.session.get(BatchRecord, key)
        if row is None:
            row = BatchRecord(id=key, **told)
            tx.session.add(row)
        else:
            _check_free(row)
        _begin(row, ws.user)
        tx.emit(
            "prediction.batch_declared",
            f"prediction:{key}",
            payload={name: told[name] for name in ("data", "sink", "options")},
            inputs=[version.ref, *table.inputs],
        )
    return get(ws, key)


def resume(ws: Workspace, name: str) -> BatchJob:
    """Have the agent go on with one that ended.

    Raises
    ------
    NotFound
        There is none.
    Conflict
        It runs.
    """
    found = get(ws, name)
    with ws.write() as tx:
        row = tx.session.get_one(BatchRecord, found.id)
        _check_free(row)
        _begin(row, ws.user)
        tx.emit(
            "prediction.batch_declared",
            found.ref,
            payload={"data": row.data, "sink": row.sink},
            inputs=[f"model:{row.model}"],
        )
    return get(ws, found.id)


def stop(ws: Workspace, name: str) -> BatchJob:
    """Have one end after the parts that it is at, wherever it runs; what is done stays.

    Raises
    ------
    NotFound
        There is none.
    """
    found = get(ws, name)
    with ws.write() as tx:
        row = tx.session.get_one(BatchRecord, found.id)
        if row.desired == "running":
            row.desired = "stopped"
            if not (row.process and may_live(row.process)):
                row.state, row.ended_at, row.process = "stopped", utcnow(), None
                tx.emit("prediction.batch_stopped", found.ref, payload={"reason": "stopped"})
    return get(ws, found.id)


def get(ws: Workspace, name: str) -> BatchJob:
    """Find one by its id, the beginning of it, or its model, of which it is the newest.

    Raises
    ------
    NotFound
        There is none.
    Invalid
        More than one begins like that.
    """
    asked = Reference.parse(name, kind="prediction").name
    items = list_jobs(ws).items
    found = [one for one in items if len(asked) >= _SHORTEST and one.id.startswith(asked)]
    # What its events are kept under means it as well; the newest, where the line was another.
    found = found or [one for one in items if one.job == f"prediction:{asked}"][:1]
    if not found:
        named = [one for one in items if asked == one.model.partition("@")[0]]
        found = sorted(named, key=lambda one: one.declared_at)[-1:]
    if len(found) == 1:
        return found[0]
    if found:
        raise Invalid(
            f"more than one prediction begins with {asked!r}", fix="write more of its digits",
            code="E-BATCH-063",
        )  # fmt: skip
    listed = ", ".join(f"{one.short} of {one.model}" for one in items[:5])
    raise NotFound(
        f"no prediction that was left to the agent is called {asked!r}",
        f"there are {listed}" if listed else "there is none yet",
        "`%mlops predict MODEL DATA --to URI --detach` begins one",
        code="E-BATCH-064",
    )


def list_jobs(ws: Workspace) -> BatchJobs:
    """Return all, those that run first, then the newest."""
    with ws.read() as session:
        query = select(BatchRecord).order_by(BatchRecord.declared_at.desc(), BatchRecord.id)
        found = [_job(row) for row in session.scalars(query)]
    return BatchJobs(tuple(sorted(found, key=lambda one: one.state != "running")))


def _begin(row: BatchRecord, actor: str) -> None:
    row.desired, row.detached, row.state = "running", True, "waiting"
    row.actor, row.declared_at = actor, utcnow()
    row.restarts, row.error, row.ended_at = 0, None, None


def _check_free(row: BatchRecord) -> None:
    if row.process and may_live(row.process):
        raise Conflict(
            f"the prediction {row.id[:_SHORT]} runs",
            row.process,
            f"`%mlops predictions --name {row.id[:_SHORT]}` shows how far it is",
            code="E-BATCH-062",
        )


def _job(row: BatchRecord) -> BatchJob:
    state = row.state
    if state == "running" and not (row.process and may_live(row.process)):
        state = "interrupted"
    elif state == "running" and row.desired == "stopped":
        state = "stopping"
    live = state in ("running", "stopping")
    return BatchJob(
        id=row.id,
        model=row.model,
        digest=row.digest,
        data=row.data,
        to=row.sink,
        options=Options(**{**row.options, "keep": tuple(row.options["keep"])}),
        state=state,
        done=row.done,
        total=row.total,
        rejected=row.rejected,
        seconds=row.seconds,
        job=row.job,
        dataset=row.dataset,
        error=row.error or "",
        process=row.process if live else None,
        restarts=row.restarts,
        actor=row.actor,
        declared_at=row.declared_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )


def _absolute(uri: str) -> str:
    return uri if "://" in uri else str(Path(uri).expanduser().resolve())
