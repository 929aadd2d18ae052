"""Truth that comes later: kept in batches, joined by prediction or by key, the last one counts."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl
from sqlalchemy import select

from jupyter_mlops.data import Table
from jupyter_mlops.serving import traffic
from jupyter_mlops.serving.declarations import ever_hidden
from jupyter_mlops.serving.endpoints import get
from jupyter_mlops.serving.logpolicy import UNLOGGED, LogPolicy
from jupyter_mlops.serving.places import hash_key_path
from jupyter_mlops.serving.pseudonyms import Pseudonyms
from jupyter_mlops.serving.records import FeedbackRecord
from jupyter_mlops.workspace import Invalid, Result, Workspace, closest
from jupyter_mlops.workspace.records import new_id, utcnow

__all__ = ["Feedback", "add", "read", "standing"]

BATCHES = "feedback"


@dataclass(frozen=True)
class Feedback(Result):
    """What became of a batch of truth.

    Attributes
    ----------
    endpoint : str
    by : str
        The column it is joined by.
    rows : int
        Rows with a truth.
    matched : int
        Those that belong to a prediction made so far; the others wait for theirs.
    unlogged : int
        Those whose prediction is known not to be in the log, because of the sample, because
        logging is off or because there was no room: they will never belong to one.
    empty : int
        Rows without a truth, which are left out.
    conflicting : int
        Predictions to which the batch gives more than one truth; the last row of each counts.
    known : bool
        The same batch had come before, and nothing was added.
    total : int
        Predictions of the endpoint that have a truth now.
    predictions : int
        Predictions in the endpoint's log.
    log : str
        What is logged, in words.
    """

    endpoint: str
    by: str
    rows: int
    matched: int
    empty: int
    known: bool
    total: int
    predictions: int
    digest: str
    at: datetime
    unlogged: int = 0
    conflicting: int = 0
    log: str = ""


def add(ws: Workspace, endpoint: str, data: Table, truth: str) -> Feedback:
    """Keep a batch of truth.

    Parameters
    ----------
    ws : Workspace
    endpoint : str
    data : Table
        With a column ``prediction_id``, or the endpoint's key column.
    truth : str
        The column that holds what was right.

    Returns
    -------
    Feedback

    Raises
    ------
    Invalid
        A column is missing, or a row names no prediction.

    Notes
    -----
    The same batch given twice counts once. Of several truths for one prediction the one that
    was received last counts.
    """
    found = get(ws, endpoint)
    columns = data.scan().collect_schema()
    by = _joined_by(found.key, found.name, list(columns), truth)
    frame = data.scan().select(pl.col(by).cast(pl.String), pl.col(truth).alias("truth")).collect()
    given = frame.drop_nulls("truth")
    if given[by].null_count():
        row = frame.with_row_index("n").filter(pl.col(by).is_null() & pl.col("truth").is_not_null())
        raise Invalid(
            f"row {row['n'][0]} of the truth names no prediction",
            f"its column {by!r} is empty",
            "leave such rows out",
            code="E-SERVE-052",
        )
    column = "prediction_id" if by == "prediction_id" else "key"
    given = given.rename({by: column})
    given = given.with_columns(_lost(found.log, column).alias("lost"))
    if column == "key" and by in found.log.hashed:
        given = given.with_columns(_hashes(ws))
    content = _content(given.drop("lost"))
    digest = hashlib.sha256(content).hexdigest()
    now = utcnow()
    known = _keep(ws, found.name, digest, content, given.height, by)
    asked = traffic.read(ws, found.name).select("prediction_id", "key")
    if column == "key" and found.key in ever_hidden(ws, found.name):
        given, asked = given.with_columns(_hashes(ws)), asked.with_columns(_hashes(ws))
    logged = asked.collect()
    # What was logged under another policy is there, whatever the sample says now.
    waiting = given.join(logged, on=column, how="anti")
    return Feedback(
        endpoint=found.name,
        by=by,
        rows=given.height,
        matched=given.height - waiting.height,
        unlogged=int(waiting["lost"].sum()),
        conflicting=_conflicting(given, column),
        empty=frame.height - given.height,
        known=known,
        total=int(read(ws, found.name).select(pl.len()).collect().item()),
        predictions=logged.height,
        digest=digest,
        at=now,
        log=found.log.words(),
    )


def standing(ws: Workspace, endpoint: str) -> Feedback:
    """How much truth is known when nothing new was told.

    Parameters
    ----------
    ws : Workspace
    endpoint : str
    """
    found = get(ws, endpoint)
    count = pl.len()
    return Feedback(
        endpoint=found.name,
        by="prediction_id",
        rows=0,
        matched=0,
        empty=0,
        known=True,
        total=int(read(ws, found.name).select(count).collect().item()),
        predictions=int(traffic.read(ws, found.name).select(count).collect().item()),
        digest="",
        at=utcnow(),
        log=found.log.words(),
    )


def read(ws: Workspace, endpoint: str) -> pl.LazyFrame:
    """Return the truth known of an endpoint's predictions.

    Parameters
    ----------
    ws : Workspace
    endpoint : str

    Returns
    -------
    polars.LazyFrame
        ``prediction_id, truth, at, corrected``, one row for each prediction that has a truth;
        ``at`` is when it was received, ``corrected`` says that another one had come before it.
    """
    found = get(ws, endpoint)
    name = found.name
    with ws.read() as session:
        rows = session.execute(
            select(FeedbackRecord.file, FeedbackRecord.received_at)
            .where(FeedbackRecord.endpoint == name, FeedbackRecord.file != "")
            .order_by(FeedbackRecord.received_at, FeedbackRecord.file)
        ).all()
    batches = []
    for order, (file, at) in enumerate(rows):
        frame = _scan(ws, file)
        for column in ("prediction_id", "key"):
            if column not in frame.collect_schema():
                frame = frame.with_columns(pl.lit(None, pl.String).alias(column))
        received = pl.lit(at).cast(pl.Datetime("us", "UTC"))
        batches.append(
            frame.select(
                "prediction_id", "key", "truth", received.alias("at"), pl.lit(order).alias("order")
            )
        )
    if not batches:
        moment = pl.Datetime("us", "UTC")
        return pl.LazyFrame(
            schema={
                "prediction_id": pl.String(),
                "truth": pl.Float64(),
                "at": moment,
                "corrected": pl.Boolean(),
            }
        )
    every = pl.concat(batches, how="vertical_relaxed")
    by_id = every.filter(pl.col("prediction_id").is_not_null()).drop("key")
    asked = traffic.read(ws, name).select("prediction_id", "key")
    every = every.drop_nulls("key")
    if found.key in ever_hidden(ws, name):
        # Some keys were logged, or told, before they were hashed.
        every, asked = every.with_columns(_hashes(ws)), asked.with_columns(_hashes(ws))
    by_key = (
        every.drop("prediction_id")
        .join(asked, on="key", how="inner")
        .drop("key")
        .select("prediction_id", "truth", "at", "order")
    )
    return (
        pl.concat([by_id, by_key])
        .sort("order", maintain_order=True)
        .group_by("prediction_id", maintain_order=True)
        .agg(pl.col("truth", "at").last(), corrected=pl.col("truth").n_unique() > 1)
    )


def logged(ws: Workspace, endpoint: str, truths: Sequence[pl.DataFrame], column: str) -> pl.Series:
    """Return which ids or keys of some batches belong to a prediction that is in the log.

    Parameters
    ----------
    ws : Workspace
    endpoint : str
    truths : sequence of polars.DataFrame
        Batches with that column.
    column : {"prediction_id", "key"}
    """
    if not truths:
        return pl.Series(column, [], pl.String)
    told = pl.concat([one.select(column) for one in truths]).unique().lazy()
    told = told.with_columns(told=pl.col(column))
    asked = traffic.read(ws, endpoint).select(column)
    found = get(ws, endpoint)
    if column == "key" and found.key in ever_hidden(ws, found.name):
        told, asked = told.with_columns(_hashes(ws)), asked.with_columns(_hashes(ws))
    # The log is the larger side, and is read piece by piece.
    return asked.join(told, on=column).select("told").unique().collect(engine="streaming")["told"]


def write(ws: Workspace, endpoint: str, truth: pl.DataFrame) -> str:
    """Write a batch of truth to a file of its own, which no record names yet; return its key."""
    file = f"{endpoint}/{BATCHES}/{new_id()}.parquet"
    ws.traffic.write_bytes(file, _content(truth))
    return file


def _joined_by(key: str | None, endpoint: str, columns: list[str], truth: str) -> str:
    if truth not in columns:
        raise Invalid(
            f"the truth has no column {truth!r}",
            f"it has {', '.join(columns[:20])}",
            closest(truth, columns) or "name the column with --truth",
            code="E-SERVE-050",
        )
    if "prediction_id" in columns:
        return "prediction_id"
    if key is not None and key in columns:
        return key
    raise Invalid(
        "the truth cannot be joined to predictions",
        f"it needs a column 'prediction_id'{f' or {key!r}' if key else ''}",
        (closest(key, columns) if key else "")
        or f"`%mlops call {endpoint} DATA` returns prediction ids; or serve with --key COLUMN",
        code="E-SERVE-051",
    )


def _conflicting(given: pl.DataFrame, column: str) -> int:
    truths = given.group_by(column).agg(pl.col("truth").n_unique())
    return truths.filter(pl.col("truth") > 1).height


def _lost(policy: LogPolicy, column: str) -> pl.Expr:
    """Whether the prediction that is meant isn't in the log, and never will be."""
    if column == "prediction_id":
        return pl.col(column).str.contains(rf"^[0-9a-f]{{25}}-\d+{UNLOGGED}$")
    if policy.whole:
        return pl.lit(False)
    if policy.mode == "off":
        return pl.lit(True)
    return ~pl.col(column).map_elements(policy.samples, return_dtype=pl.Boolean)


def _hashes(ws: Workspace) -> pl.Expr:
    """The column `key`, hashed where it isn't yet."""
    pseudonyms = Pseudonyms.read(hash_key_path(ws))
    return pl.col("key").map_elements(pseudonyms.again, return_dtype=pl.String)


def _content(frame: pl.DataFrame) -> bytes:
    stream = io.BytesIO()
    frame.write_parquet(stream)
    return stream.getvalue()


def _keep(ws: Workspace, name: str, digest: str, content: bytes, rows: int, by: str) -> bool:
    """Write the batch, then record it; return whether it was known."""
    with ws.read() as session:
        if session.get(FeedbackRecord, (name, digest)) is not None:
            return True
    file = f"{name}/{BATCHES}/{new_id()}.parquet"
    ws.traffic.write_bytes(file, content)
    with ws.write() as tx:
        if tx.session.get(FeedbackRecord, (name, digest)) is not None:
            known = True  # another process was quicker
        else:
            known = False
            tx.session.add(
                FeedbackRecord(endpoint=name, digest=digest, file=file, rows=rows, actor=ws.user)
            )
            tx.emit(
                "feedback.received",
                f"endpoint:{name}",
                payload={"rows": rows, "digest": digest, "by": by},
            )
    if known:
        ws.traffic.delete(file)
    return known


def _scan(ws: Workspace, file: str) -> pl.LazyFrame:
    if ws.traffic.is_local:
        return pl.scan_parquet(ws.traffic.local(file))
    with ws.traffic.open(file) as stream:
        return pl.read_parquet(stream).lazy()
