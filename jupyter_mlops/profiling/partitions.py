"""Tables in parts: profiled where the parts are, merged as a tree, or kept apart by period."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from jupyter_mlops.data.sources.frames import FrameSource
from jupyter_mlops.profiling.allocation import hand_back
from jupyter_mlops.profiling.engine import Scan, scan
from jupyter_mlops.profiling.profiles import Profile, check_target, finished
from jupyter_mlops.profiling.reading import batches, row_groups
from jupyter_mlops.workspace.errors import Invalid, MLOpsError

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["profile_by", "profile_dask", "profile_parquet", "scan_by"]

#: Merged at once on the way up the tree.
_BRANCHES: Final = 8
_ROWS: Final = 1_000_000
_PERIODS: Final = 1000
#: Seconds until a cluster must have answered.
WAIT: Final = 10.0
#: Far more rows than a partition has: each samples its rows by other random numbers.
_APART: Final = 1 << 40


def profile_dask(
    frame: Any,
    *,
    target: str | None = None,
    key: str | None = None,
    time: str | None = None,
    cluster: str | Client | None = None,
) -> Profile:
    """Profile a Dask frame partition by partition, where the partitions are.

    Parameters
    ----------
    frame : dask.dataframe.DataFrame or sequence of dask.delayed.Delayed
        Each partition a pandas, polars or Arrow table.
    target : str, optional
        The column to predict.
    key, time : str, optional
        The columns that identify a row and that say when it happened.
    cluster : str or distributed.Client, optional
        A scheduler's address (``tcp://…``); otherwise where Dask computes by default.

    Returns
    -------
    Profile
        The merge of the partitions' profiles; a column whose type changes between them is
        marked with a fault.

    Raises
    ------
    Invalid
        There is no partition, or `frame` isn't something of Dask's.

    Examples
    --------
    >>> profile_dask(dask.dataframe.from_pandas(flights, 8))  # doctest: +SKIP
    """
    started = perf_counter()
    if hasattr(frame, "to_delayed"):
        check_target([str(name) for name in frame.columns], target, key=key, time=time)
        parts = frame.to_delayed()
    elif isinstance(frame, list | tuple) and all(hasattr(one, "__dask_graph__") for one in frame):
        parts = list(frame)
    else:
        raise Invalid(
            f"a {type(frame).__name__} can't be profiled",
            "only polars' lazy frames and Dask's frames can",
            "open it with `data.resolve`, or give `frame.lazy()`",
            code="E-PROFILE-040",
        )
    tasks = [(part, i * _APART) for i, part in enumerate(parts)]
    return _compute(_frame_part, tasks, target, cluster, started, (key, time))


def profile_parquet(
    paths: Sequence[str],
    *,
    target: str | None = None,
    cluster: str | Client | None = None,
    rows: int = _ROWS,
) -> Profile:
    """Profile Parquet files on a Dask cluster, about `rows` rows of whole row groups a task.

    Parameters
    ----------
    paths : sequence of str
        Files that the workers can read under the same names.
    target : str, optional
        The column to predict.
    cluster : str or distributed.Client, optional
        A scheduler's address (``tcp://…``); otherwise where Dask computes by default.
    rows : int
        Rows a task, at least a row group.

    Returns
    -------
    Profile
        What one process would make of the files, its sample included.
    """
    import pyarrow.parquet as pq

    started = perf_counter()
    check_target(pl.scan_parquet(paths[0]).collect_schema().names() if paths else [], target)
    tasks: list[tuple[Any, ...]] = []
    seen = 0
    for path in paths:
        meta = pq.read_metadata(path)
        first = size = 0
        for group in range(meta.num_row_groups):
            size += meta.row_group(group).num_rows
            if size >= rows or group == meta.num_row_groups - 1:
                tasks.append((path, first, size, seen + first))
                first, size = first + size, 0
        seen += first
    return _compute(_parquet_part, tasks, target, cluster, started)


def profile_by(
    frame: pl.LazyFrame, time: str, *, every: str = "1h", target: str | None = None
) -> dict[datetime, Profile]:
    """Profile a table by period, in one pass; the profiles of neighbouring periods merge.

    Rows without a time belong to no period and are left out.

    Parameters
    ----------
    frame : polars.LazyFrame
        For example the traffic of an endpoint.
    time : str
        A column of dates or datetimes.
    every : str
        The length of a period: ``1h``, ``1d``, ``1w``.
    target : str, optional
        The column to predict.

    Returns
    -------
    dict of datetime to Profile
        By the beginning of each period that has rows, in order.

    Raises
    ------
    NotFound
        There is no such column.
    Invalid
        It holds no times, the length can't be understood, or there are over 1,000 periods.

    Examples
    --------
    >>> traffic = pl.LazyFrame({"at": [datetime(2026, 1, 1, 0, 5), datetime(2026, 1, 1, 1)]})
    >>> [when.hour for when in profile_by(traffic, "at")]
    [0, 1]
    """
    scans = scan_by(frame, time, every=every, target=target)
    return {when: finished(one) for when, one in scans.items()}


def scan_by(
    frame: pl.LazyFrame,
    time: str,
    *,
    every: str = "1h",
    target: str | None = None,
    columns: list[str] | None = None,
    sample: int | None = None,
) -> dict[Any, Scan]:
    """What one pass has seen of each period, before anything is made of it.

    Parameters
    ----------
    frame, time, every, target
        As for `profile_by`.
    columns : list of str, optional
        The columns to profile; all when left out.
    sample : int, optional
        Rows kept of each period; all periods are in memory at once.
    """
    schema = frame.collect_schema()
    check_target(schema.names(), time)
    check_target(schema.names() if columns is None else columns, target)
    if not isinstance(schema[time], pl.Datetime | pl.Date):
        raise Invalid(
            f"column {time!r} holds no times but {schema[time]}",
            fix="name a column of dates or datetimes",
            code="E-PROFILE-041",
        )
    profiled = schema if columns is None else pl.Schema({name: schema[name] for name in columns})
    scans: dict[Any, Scan] = {}
    for batch in batches(frame, schema, row_groups(frame)):
        try:
            period = batch[time].dt.truncate(every)
        except pl.exceptions.PolarsError as error:
            raise Invalid(
                f"{every!r} is no length of time",
                str(error).splitlines()[0],
                "write for example 1h, 1d or 1w",
                code="E-PROFILE-042",
            ) from None
        if len(scans.keys() | set(period.unique())) > _PERIODS:
            raise Invalid(
                f"there are over {_PERIODS:,} periods of {every}",
                fix="choose longer periods, or fewer rows",
                code="E-PROFILE-043",
            )
        for (when,), part in batch.group_by(period.alias("\0period"), maintain_order=True):
            if when is None:
                continue
            if when not in scans:
                scans[when] = Scan.of(profiled, target, len(scans) * _APART)
                kept = scans[when].sample
                kept.size = min(kept.size, sample or kept.size)
            scans[when].update(part.select(profiled.names()))
    return {when: scans[when] for when in sorted(scans)}


def _compute(
    task: Any,
    tasks: list[tuple[Any, ...]],
    target: str | None,
    cluster: str | Client | None,
    started: float,
    roles: tuple[str | None, str | None] = (None, None),
) -> Profile:
    import dask

    if not tasks:
        raise Invalid("the table has no partitions", fix="check the source", code="E-PROFILE-044")
    level = [dask.delayed(task)(*given, target) for given in tasks]
    merge = dask.delayed(_merged)
    while len(level) > 1:
        level = [merge(level[i : i + _BRANCHES]) for i in range(0, len(level), _BRANCHES)]
    client: Any = cluster
    with ExitStack() as stack:
        if isinstance(cluster, str):
            from distributed import Client

            try:
                client = stack.enter_context(Client(cluster, timeout=WAIT, set_as_default=False))
            except (OSError, ValueError) as error:
                raise MLOpsError(
                    f"the cluster at {cluster} can't be reached",
                    str(error).splitlines()[0] if str(error) else type(error).__name__,
                    "check the address and that its scheduler is running",
                    code="E-PROFILE-045",
                ) from None
        if client is not None:
            seen = client.compute(level[0], sync=True)
        else:
            seen = dask.compute(level[0])[0]
    seen.key, seen.time = roles
    return finished(seen, started)


def _frame_part(part: Any, start: int, target: str | None) -> Scan:
    return _part(FrameSource(part).scan(), start, target)


def _parquet_part(path: str, first: int, rows: int, start: int, target: str | None) -> Scan:
    return _part(pl.scan_parquet(path).slice(first, rows), start, target)


def _part(frame: pl.LazyFrame, start: int, target: str | None) -> Scan:
    seen = scan(frame, target, start=start, threads=1)
    hand_back()
    return seen


def _merged(parts: list[Scan]) -> Scan:
    whole = parts[0]
    for part in parts[1:]:
        whole.merge(part)
    return whole
