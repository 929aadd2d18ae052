"""Remove what a log is not to keep any longer: the oldest first, and the truth that came to it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
from sqlalchemy import select

from jupyter_mlops.serving import feedback
from jupyter_mlops.serving.compaction import COLD
from jupyter_mlops.serving.config import FRESH, SHADOW
from jupyter_mlops.serving.journal import SUFFIX, abandoned, read_segment
from jupyter_mlops.serving.logpolicy import LogPolicy
from jupyter_mlops.serving.places import traffic_folder
from jupyter_mlops.serving.records import EndpointRecord, FeedbackRecord
from jupyter_mlops.serving.trafficlog import LONGEST, STAMP
from jupyter_mlops.workspace import Workspace

__all__ = ["Pruned", "prune", "prune_all"]

_SUFFIXES = (SUFFIX, ".damaged", ".parquet")
#: Seconds after which a batch of truth that no record names is what a crash left.
_ORPHAN = 3600.0


@dataclass(frozen=True)
class Pruned:
    """What was removed from an endpoint's log.

    Attributes
    ----------
    files, rows, bytes : int
        Of the log; rows of a shadow count, too.
    truths : int
        Rows of truth that belonged to them.
    until : datetime
        Nothing that was logged later was removed.
    """

    files: int
    rows: int
    bytes: int
    truths: int
    until: datetime


@dataclass(frozen=True)
class _File:
    """A file of a log, hot or cold."""

    opened: datetime
    size: int
    busy: bool = False
    hot: Path | None = None
    cold: str | None = None


def prune_all(ws: Workspace) -> int:
    """Prune what every endpoint of the workspace keeps too long; return how many files."""
    with ws.read() as session:
        rows = session.execute(select(EndpointRecord.name, EndpointRecord.log)).all()
    limited = [(name, policy) for name, log in rows if (policy := LogPolicy.of(log)).limited]
    found = [prune(ws, name, policy) for name, policy in limited]
    return sum(one.files for one in found if one)


def prune(
    ws: Workspace, name: str, policy: LogPolicy, now: datetime | None = None
) -> Pruned | None:
    """Remove what an endpoint's log is not to keep: whole files, the oldest first.

    Parameters
    ----------
    ws : Workspace
    name : str
        The endpoint. What its shadow logged is kept no longer.
    policy : LogPolicy
    now : datetime, optional
        Default: now.

    Returns
    -------
    Pruned, optional
        None when all of it may stay.

    Notes
    -----
    A file holds ten minutes of traffic, so a row goes at most that much too late. The segment
    that is being written counts in the size and stays. The event is recorded before anything is
    removed: after a crash in between the rest is removed, and told, again.
    """
    now = now or datetime.now(UTC)
    files = sorted(_files(ws, name), key=lambda one: one.opened)
    going = _too_much(files, policy, now)
    if not going:
        return None
    until = max(one.opened for one in going) + timedelta(seconds=LONGEST)
    pruned = Pruned(
        files=len(going),
        rows=sum(_rows(ws, one) for one in going),
        bytes=sum(one.size for one in going),
        truths=0,
        until=min(until, now),
    )
    with ws.write("agent") as tx:
        tx.emit(
            "traffic.pruned",
            f"endpoint:{name}",
            payload={
                "files": pruned.files,
                "rows": pruned.rows,
                "bytes": pruned.bytes,
                "until": pruned.until.isoformat(),
                "policy": policy.words(),
            },
        )
    for one in going:
        if one.hot is not None:
            one.hot.unlink(missing_ok=True)
        if one.cold is not None:
            ws.traffic.delete(one.cold)
    truths = _prune_truth(ws, name, pruned.until)
    return replace(pruned, truths=truths)


def _files(ws: Workspace, name: str) -> list[_File]:
    """All files of a log; one that was compacted half way is one file."""
    found: dict[tuple[bool, str], _File] = {}
    for shadow in (False, True):
        whose = f"{name}/{SHADOW}" if shadow else name
        for path in (traffic_folder(ws, whose) / FRESH).glob("*"):
            opened = _opened(path.name)
            if opened is not None:
                busy = not abandoned(path)
                found[shadow, path.stem] = _File(opened, path.stat().st_size, busy, hot=path)
        for key, size in ws.traffic.sizes(f"{whose}/{COLD}").items():
            base = key.rpartition("/")[2]
            opened = _opened(base)
            if opened is not None:
                stem = base.removesuffix(".parquet")
                twin = found.get((shadow, stem))
                both = size + (twin.size if twin else 0)
                found[shadow, stem] = _File(opened, both, hot=twin.hot if twin else None, cold=key)
    return list(found.values())


def _opened(base: str) -> datetime | None:
    """When a segment was opened: its name says so."""
    stem, _, suffix = base.rpartition(".")
    if f".{suffix}" not in _SUFFIXES:
        return None
    try:
        return datetime.strptime(stem.partition("-")[0], STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def _too_much(files: Sequence[_File], policy: LogPolicy, now: datetime) -> list[_File]:
    limit = now - timedelta(seconds=policy.keep_seconds + LONGEST)
    over = sum(one.size for one in files) - policy.keep_bytes if policy.keep_bytes else 0
    going: list[_File] = []
    for one in files:
        old = policy.keep_seconds and one.opened < limit
        if not one.busy and (old or over > 0):
            going.append(one)
            over -= one.size
    return going


def _rows(ws: Workspace, one: _File) -> int:
    if one.cold is not None:
        with ws.traffic.open(one.cold) as stream:
            return int(pq.read_metadata(stream).num_rows)
    assert one.hot is not None
    table = read_segment(one.hot).table
    return 0 if table is None else int(table.num_rows)


def _prune_truth(ws: Workspace, name: str, until: datetime) -> int:
    """Remove truth whose prediction is gone; return how many rows.

    Truth by key that came after what was removed may wait for a prediction that is yet to come.
    That a batch has come is remembered, so that the same one still counts once.
    """
    with ws.read() as session:
        batches = session.execute(
            select(FeedbackRecord.digest, FeedbackRecord.file, FeedbackRecord.received_at).where(
                FeedbackRecord.endpoint == name, FeedbackRecord.file != ""
            )
        ).all()
    frames = {one.digest: _read(ws, one.file) for one in batches}
    matched = {
        column: feedback.logged(
            ws, name, [frame for frame in frames.values() if column in frame.columns], column
        )
        for column in ("prediction_id", "key")
    }
    files: dict[str, tuple[str, int]] = {}
    removed = 0
    for one in batches:
        frame = frames[one.digest]
        column = "prediction_id" if "prediction_id" in frame.columns else "key"
        if column == "key" and one.received_at > until:
            continue
        kept = frame.filter(pl.col(column).is_in(matched[column].to_list()))
        if kept.height < frame.height:
            removed += frame.height - kept.height
            files[one.digest] = (feedback.write(ws, name, kept) if kept.height else "", kept.height)
    if files:
        with ws.write("agent") as tx:
            for digest, (file, rows) in files.items():
                record = tx.session.get_one(FeedbackRecord, (name, digest))
                record.file, record.rows = file, rows
            tx.emit(
                "feedback.pruned",
                f"endpoint:{name}",
                payload={"batches": len(files), "rows": removed},
            )
    _sweep(ws, name, [one.file for one in batches if one.digest in files])
    return removed


def _sweep(ws: Workspace, name: str, replaced: Sequence[str]) -> None:
    """Remove files of truth that no record names: those just replaced, and what a crash left."""
    with ws.read() as session:
        named = set(
            session.scalars(select(FeedbackRecord.file).where(FeedbackRecord.endpoint == name))
        )
    for key in ws.traffic.list(f"{name}/{feedback.BATCHES}"):
        # A batch that comes in at this moment has its file first, and then its record.
        made = int(key.rpartition("/")[2][:12], 16) / 1000
        if key in replaced or (key not in named and time.time() - made > _ORPHAN):
            ws.traffic.delete(key)


def _read(ws: Workspace, file: str) -> pl.DataFrame:
    with ws.traffic.open(file) as stream:
        return pl.read_parquet(stream)
