"""Truth that comes later: kept in batches, joined by prediction or by key, the last one counts."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from datetime import datetime

import polars as pl
from sqlalchemy import select

from jupyter_mlops.data import Table
from jupyter_mlops.serving import traffic
from jupyter_mlops.serving.endpoints import get
from jupyter_mlops.serving.records import FeedbackRecord
from jupyter_mlops.workspace import Invalid, Result, Workspace, closest
from jupyter_mlops.workspace.records import new_id, utcnow

__all__ = ["Feedback", "add", "read"]

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
    empty : int
        Rows without a truth, which are left out.
    known : bool
        The same batch had come before, and nothing was added.
    total : int
        Predictions of the endpoint that have a truth now.
    predictions : int
        Predictions the endpoint has made.
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
    content = _content(given.rename({by: "prediction_id" if by == "prediction_id" else "key"}))
    digest = hashlib.sha256(content).hexdigest()
    now = utcnow()
    known = _keep(ws, found.name, digest, content, given.height, by)
    asked = traffic.read(ws, found.name).select("prediction_id", "key").collect()
    column = "prediction_id" if by == "prediction_id" else "key"
    matched = given.join(asked, left_on=by, right_on=column, how="semi").height
    return Feedback(
        endpoint=found.name,
        by=by,
        rows=given.height,
        matched=matched,
        empty=frame.height - given.height,
        known=known,
        total=int(read(ws, found.name).select(pl.len()).collect().item()),
        predictions=asked.height,
        digest=digest,
        at=now,
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
        ``prediction_id, truth, at``, one row for each prediction that has a truth; ``at`` is
        when it was received.
    """
    name = get(ws, endpoint).name
    with ws.read() as session:
        rows = session.execute(
            select(FeedbackRecord.file, FeedbackRecord.received_at)
            .where(FeedbackRecord.endpoint == name)
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
            schema={"prediction_id": pl.String(), "truth": pl.Float64(), "at": moment}
        )
    every = pl.concat(batches, how="vertical_relaxed")
    by_id = every.filter(pl.col("prediction_id").is_not_null()).drop("key")
    asked = traffic.read(ws, name).select("prediction_id", "key")
    by_key = (
        every.filter(pl.col("key").is_not_null())
        .drop("prediction_id")
        .join(asked, on="key", how="inner")
        .drop("key")
        .select("prediction_id", "truth", "at", "order")
    )
    return (
        pl.concat([by_id, by_key])
        .sort("order", maintain_order=True)
        .unique("prediction_id", keep="last", maintain_order=True)
        .drop("order")
    )


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
