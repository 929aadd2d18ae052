"""Read what endpoints were asked and what they answered."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from jupyter_mlops.serving.compaction import COLD, with_version
from jupyter_mlops.serving.config import FRESH
from jupyter_mlops.serving.endpoints import get
from jupyter_mlops.serving.journal import SUFFIX, read_segment
from jupyter_mlops.serving.places import traffic_folder
from jupyter_mlops.workspace import Workspace

__all__ = ["read"]

_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "prediction_id": pl.String,
    "request_id": pl.String,
    "at": pl.Datetime("us", "UTC"),
    "event_time": pl.Datetime("us", "UTC"),
    "key": pl.String,
    "version": pl.String,
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
        ``prediction_id, request_id, at, event_time, key, version, prediction, probability``
        and the model's columns as ``in.<name>``. ``probability`` is of the second of two
        classes, or a list with one for each class.

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
    moment = pl.col("event_time")
    if since is not None:
        rows = rows.filter(moment >= _utc(since))
    if until is not None:
        rows = rows.filter(moment < _utc(until))
    return rows


def _utc(moment: datetime) -> pl.Expr:
    zone = pl.lit(moment)
    if moment.tzinfo is None:
        return zone.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return zone.cast(pl.Datetime("us", "UTC"))
