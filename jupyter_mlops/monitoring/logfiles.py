"""The closed files of a traffic log, one by one: what each holds, by the hour."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from jupyter_mlops.monitoring.sides import INPUT
from jupyter_mlops.serving.compaction import COLD, with_version
from jupyter_mlops.serving.config import FRESH
from jupyter_mlops.serving.ids import REPLAYED
from jupyter_mlops.serving.journal import SUFFIX, read_segment
from jupyter_mlops.serving.places import traffic_folder
from jupyter_mlops.workspace import NotFound, Workspace

__all__ = [
    "HOUR",
    "LogFile",
    "files_of",
    "hot_rows",
    "in_order",
    "look_at",
    "read_alike",
    "read_files",
    "size_of",
]

#: Microseconds.
HOUR: Final = 3_600_000_000
#: Files of before there was a share hold every row.
_ALL: Final = pl.lit(1.0)


@dataclass(frozen=True)
class LogFile:
    """What is known of a closed file, which never changes.

    Attributes
    ----------
    hours : dict of int to int
        Rows by the hour of their event time, counted from 1970. Rows without one, and rows
        that were asked about again, don't count.
    hidden : list of str
        The model's columns that it leaves out or holds as hashes.
    """

    hours: dict[int, int] = field(default_factory=dict)
    hidden: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> LogFile:
        return cls(
            {int(hour): rows for hour, rows in stored["hours"].items()}, list(stored["hidden"])
        )


def files_of(ws: Workspace, endpoint: str) -> list[str]:
    """The names of an endpoint's closed files, in order."""
    if ws.traffic.is_local:
        # A month has thousands of files, and a plain listing takes a thirtieth of the time.
        folder = ws.traffic.local(f"{endpoint}/{COLD}/-").parent
        with os.scandir(folder) as entries:
            names = [one.name for one in entries]
    else:
        names = [key.rpartition("/")[2] for key in ws.traffic.list(f"{endpoint}/{COLD}")]
    return sorted(
        name.removesuffix(".parquet")
        for name in names
        if name.endswith(".parquet") and not name.startswith(".")
    )


def size_of(ws: Workspace, endpoint: str) -> int:
    """Bytes of an endpoint's closed files."""
    if not ws.traffic.is_local:
        return sum(ws.traffic.sizes(f"{endpoint}/{COLD}").values())
    with os.scandir(ws.traffic.local(f"{endpoint}/{COLD}/-").parent) as entries:
        return sum(one.stat().st_size for one in entries)


def look_at(ws: Workspace, endpoint: str, name: str) -> LogFile:
    """See which hours a file has rows of.

    Raises
    ------
    NotFound
        It was removed meanwhile.
    """
    with ws.traffic.open(_key(endpoint, name)) as stream:
        file = pq.ParquetFile(stream)
        hidden = _hidden(file.schema_arrow)
        rows = pl.from_arrow(file.read(columns=["request_id", "event_time"]))
    assert isinstance(rows, pl.DataFrame)
    counted = (
        _answered(rows.lazy())
        .group_by(hour=pl.col("event_time").dt.epoch("us") // HOUR)
        .len()
        .sort("hour")
        .collect()
    )
    return LogFile(dict(counted.iter_rows()), hidden)


def read_files(
    ws: Workspace, endpoint: str, names: Iterable[str], spans: Sequence[tuple[int, int]]
) -> pl.DataFrame:
    """Rows of closed files whose event times lie in any of the spans, in order of their ids.

    Parameters
    ----------
    spans : sequence of (int, int)
        Microseconds since 1970; each without its end.
    """
    return in_order(read_alike(ws, endpoint, names, spans))


def read_alike(
    ws: Workspace, endpoint: str, names: Iterable[str], spans: Sequence[tuple[int, int]]
) -> list[pl.DataFrame]:
    """The same as one frame for all files whose columns have the same types."""
    moment = pl.col("event_time").dt.epoch("us")
    wanted = pl.any_horizontal(*[(moment >= lo) & (moment < hi) for lo, hi in spans])
    alike: dict[frozenset[tuple[str, pl.DataType]], list[pl.LazyFrame]] = {}
    for frame in _scans(ws, endpoint, names):
        types = frozenset(frame.collect_schema().items())
        alike.setdefault(types, []).append(_answered(frame).filter(wanted))
    every = [pl.concat(frames, how="diagonal_relaxed") for frames in alike.values()]
    return pl.collect_all(every, engine="streaming")


def in_order(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Rows of several files; the order in which these are read must not show in what is made."""
    if not frames:
        return pl.DataFrame()
    return pl.concat(frames, how="diagonal_relaxed").sort("event_time", "prediction_id")


def hot_rows(ws: Workspace, endpoint: str) -> dict[str, pl.DataFrame]:
    """The rows of the files that aren't closed and compacted yet, by the names of these."""
    found = {}
    for path in sorted((traffic_folder(ws, endpoint) / FRESH).glob(f"*{SUFFIX}")):
        with contextlib.suppress(FileNotFoundError):  # compacted meanwhile
            table = read_segment(path).table
            if table is not None and table.num_rows:
                frame = pl.from_arrow(with_version(table))
                assert isinstance(frame, pl.DataFrame)
                hidden = [INPUT + one for one in _hidden(table.schema)]
                found[path.stem] = _answered(frame.lazy().drop(hidden, strict=False)).collect()
    return found


def _scans(ws: Workspace, endpoint: str, names: Iterable[str]) -> Iterator[pl.LazyFrame]:
    for name in names:
        key = _key(endpoint, name)
        # A file that retention took meanwhile is missed when the log is looked at next.
        with contextlib.suppress(NotFound, FileNotFoundError):
            if ws.traffic.is_local:
                frame = pl.scan_parquet(ws.traffic.local(key))
            else:
                with ws.traffic.open(key) as stream:
                    frame = pl.read_parquet(stream).lazy()
            yield frame if "share" in frame.collect_schema() else frame.with_columns(share=_ALL)


def _hidden(schema: pa.Schema) -> list[str]:
    return sorted(json.loads((schema.metadata or {}).get(b"hidden", b"[]")))


def _answered(rows: pl.LazyFrame) -> pl.LazyFrame:
    again = pl.col("request_id").str.starts_with(REPLAYED).fill_null(False)
    return rows.filter(~again & pl.col("event_time").is_not_null()).with_columns(
        pl.col("event_time").cast(pl.Datetime("us", "UTC"))
    )


def _key(endpoint: str, name: str) -> str:
    return f"{endpoint}/{COLD}/{name}.parquet"
