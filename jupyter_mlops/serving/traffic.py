"""Read what endpoints were asked and what they answered."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from jupyter_mlops.serving.compaction import COLD, with_version
from jupyter_mlops.serving.config import FRESH
from jupyter_mlops.serving.declarations import ever_hidden
from jupyter_mlops.serving.endpoints import get
from jupyter_mlops.serving.ids import REPLAYED
from jupyter_mlops.serving.journal import SUFFIX, read_segment
from jupyter_mlops.serving.places import traffic_folder
from jupyter_mlops.workspace import NotFound, Workspace

__all__ = ["hidden", "read"]

_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "prediction_id": pl.String,
    "request_id": pl.String,
    "at": pl.Datetime("us", "UTC"),
    "event_time": pl.Datetime("us", "UTC"),
    "key": pl.String,
    "caller": pl.String,
    "version": pl.String,
    "share": pl.Float64,
    "prediction": pl.Float64,
    "probability": pl.Float64,
}


def read(
    ws: Workspace,
    endpoint: str,
    since: datetime | None = None,
    until: datetime | None = None,
) -> pl.LazyFrame:
    """Return an endpoint's logged predictions, each answered one exactly once.

    Parameters
    ----------
    ws : Workspace
    endpoint : str
    since, until : datetime, optional
        Keep rows with ``since <= event_time < until``; a time without a zone is UTC.

    Returns
    -------
    polars.LazyFrame
        ``prediction_id, request_id, at, event_time, key, caller, version, share, prediction,
        probability`` and the model's columns as ``in.<name>``. ``caller`` is who asked, as far
        as the request said it. ``share`` says which share of
        the rows was logged when this one was: it stands for ``1 / share`` rows.
        ``probability`` is of the second of two classes, or a list with one for each class.
        What the endpoint's log leaves out isn't there, and what it hashes is a hash.
        Where a model tells how strange rows are, ``outlier`` is the share of its training rows
        that are at least as strange, and ``outlier_columns`` names what makes some of them so.

    Raises
    ------
    NotFound
        There is no such endpoint.

    Examples
    --------
    >>> read(ws, "delay").select("prediction").mean().collect()  # doctest: +SKIP
    """
    name = get(ws, endpoint).name
    hot: dict[str, pl.LazyFrame] = {}
    # Hot before cold: a segment compacted between the two looks is seen in either or in both.
    for path in sorted((traffic_folder(ws, name) / FRESH).glob(f"*{SUFFIX}")):
        try:
            table = read_segment(path).table
        except FileNotFoundError:
            continue
        if table is not None and table.num_rows:
            frame = pl.from_arrow(with_version(table))
            assert isinstance(frame, pl.DataFrame)
            hot[path.stem] = frame.lazy()
    frames = []
    for key in ws.traffic.list(f"{name}/{COLD}"):
        stem = key.rpartition("/")[2].removesuffix(".parquet")
        if not key.endswith(".parquet"):
            continue
        hot.pop(stem, None)
        if ws.traffic.is_local:
            frames.append(pl.scan_parquet(ws.traffic.local(key)))
        else:
            with ws.traffic.open(key) as stream:
                frames.append(pl.read_parquet(stream).lazy())
    frames += hot.values()
    if not frames:
        return pl.LazyFrame(schema=_SCHEMA)
    rows = pl.concat(frames, how="diagonal_relaxed")
    if "share" in rows.collect_schema():  # files of before there was one hold every row
        rows = rows.with_columns(pl.col("share").fill_null(1.0))
    else:
        rows = rows.with_columns(share=pl.lit(1.0))
    # Rows asked about again are logged like any other, but nobody wanted their answers.
    rows = rows.filter(~pl.col("request_id").str.starts_with(REPLAYED).fill_null(False))
    moment = pl.col("event_time")
    if since is not None:
        rows = rows.filter(moment >= _utc(since))
    if until is not None:
        rows = rows.filter(moment < _utc(until))
    return rows


def hidden(ws: Workspace, endpoint: str) -> frozenset[str]:
    """Return the model's columns that can't be read from all of what is logged.

    Some of the rows that are kept lack them, or hold their hashes, because the endpoint was
    told so when they were logged.

    Raises
    ------
    NotFound
        There is no such endpoint.
    """
    name = get(ws, endpoint).name
    if not ever_hidden(ws, name):
        return frozenset()
    found: set[str] = set()
    for path in (traffic_folder(ws, name) / FRESH).glob(f"*{SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):  # compacted meanwhile
            table = read_segment(path).table
            if table is not None and table.num_rows:
                found |= _hidden(table.schema)
    for key in ws.traffic.list(f"{name}/{COLD}"):
        if key.endswith(".parquet"):
            with contextlib.suppress(NotFound), ws.traffic.open(key) as stream:
                found |= _hidden(pq.read_schema(stream))
    return frozenset(found)


def _hidden(schema: pa.Schema) -> set[str]:
    return set(json.loads((schema.metadata or {}).get(b"hidden", b"[]")))


def _utc(moment: datetime) -> pl.Expr:
    zone = pl.lit(moment)
    if moment.tzinfo is None:
        return zone.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return zone.cast(pl.Datetime("us", "UTC"))
