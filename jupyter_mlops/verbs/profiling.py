"""Verbs for what is known and expected of data."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

from jupyter_mlops.verbs.progress import teller
from jupyter_mlops.verbs.table import Data, verb
from jupyter_mlops.workspace.errors import Invalid, NotFound

if TYPE_CHECKING:
    from jupyter_mlops.data import Table
    from jupyter_mlops.profiling import Periods, Preparation, Profile, SideBySide
    from jupyter_mlops.workspace import Workspace


# How the log marks what was sent.
_INPUT: Final = "in."


@verb("profile", writes=True)
def profile(
    ws: Workspace,
    source: Data,
    *,
    target: str | None = None,
    against: Data = None,
    as_: Literal["pipeline"] | None = None,
    window: str | None = None,
    every: str | None = None,
) -> Profile | SideBySide | Preparation | Periods:
    """Profile a table: what is in it, what is wrong with it, and what to do about it.

    One pass over the rows, without loading them whole. With a target, each column is related to
    it, and columns that seem to know the answer are named with their evidence. Beside another
    table, such as the test rows of a training set, it says which rows and keys both have.
    Of an endpoint (endpoint:NAME) the inputs it was sent are profiled, hour by hour if asked.

    Parameters
    ----------
    source : data
        A dataset, a path or URI, a data frame, or an endpoint (endpoint:NAME).
    target : str
        The column to predict.
    against : data
        Another table to put beside it.
    as_ : {"pipeline"}
        Give the preparation instead: one ColumnTransformer of scikit-learn, as code and object.
    window : str
        Only the newest so much of the rows' time, such as 7d or 12h.
    every : str
        Also each period by itself, such as 1h or 1d: its rows, its gaps, and the columns that
        differ most from the whole by more than chance explains.

    Examples
    --------
    >>> %mlops profile flights --target late
    >>> %mlops profile flights@2 --against flights@1
    >>> %mlops profile flights --target late --as pipeline -o preparation
    >>> %mlops profile endpoint:delay --window 7d --every 1h
    """
    from jupyter_mlops import profiling
    from jupyter_mlops.profiling.keeping import keep

    if every is not None and (as_ is not None or against is not None):
        raise Invalid(
            "periods are put beside the whole, not beside another table or into a pipeline",
            fix=f"leave out --every, or --{'as' if as_ is not None else 'against'}",
            code="E-PROFILE-064",
        )
    if as_ is not None and against is not None:
        raise Invalid(
            "a preparation is made of one table",
            fix="leave out --against, or --as",
            code="E-PROFILE-061",
        )
    table, columns = _opened(ws, source, window)
    if every is not None:
        found = profiling.by_period(
            table, every=every, target=target, columns=columns, window=window or ""
        )
        keep(ws, found.whole, table.inputs)
        return found
    if columns is not None:
        table = _only(table, columns)
    made = profiling.make(ws, table, target=target, progress=teller())
    if as_ is not None:
        return profiling.prepare(made)
    if against is None:
        return made
    rival, features = _opened(ws, against, None)
    if features is not None:
        rival = _only(rival, features)
    other = profiling.make(ws, rival, progress=teller())
    shared = profiling.overlap(table.scan(), rival.scan(), made, other)
    return replace(profiling.compare(made, other), advice=shared)


def _opened(ws: Workspace, source: Any, window: str | None) -> tuple[Table, list[str] | None]:
    """The table that is meant, cut to a window; of an endpoint also which columns are inputs."""
    from jupyter_mlops import data

    if isinstance(source, str) and source.strip().startswith("endpoint:"):
        table, columns = _traffic(ws, source.strip())
    else:
        table, columns = data.resolve(ws, source), None
    return (table if window is None else _newest(table, window)), columns


def _traffic(ws: Workspace, name: str) -> tuple[Table, list[str]]:
    import polars as pl

    from jupyter_mlops import serving
    from jupyter_mlops.data import Table
    from jupyter_mlops.data.sources.frames import FrameSource

    endpoint = serving.get(ws, name)
    log = serving.traffic.read(ws, endpoint.name)
    # What the log redacts says nothing of what was asked.
    hidden = serving.traffic.hidden(ws, endpoint.name)
    names = log.collect_schema().names()
    inputs = [n for n in names if n.startswith(_INPUT) and n.removeprefix(_INPUT) not in hidden]
    if not inputs:
        raise NotFound(
            f"endpoint {endpoint.name!r} has logged no rows",
            fix=f"send some with `%mlops call {endpoint.name} DATA`",
            code="E-PROFILE-065",
        )
    columns = [one.removeprefix(_INPUT) for one in inputs]
    time = "event_time"
    while time in columns:
        time += "_"
    renamed = [pl.col(one).alias(name) for one, name in zip(inputs, columns, strict=True)]
    frame = log.select(*renamed, pl.col("event_time").alias(time))
    table = Table(FrameSource(frame, endpoint.ref), endpoint.ref)
    table.time = time
    return table, columns


def _newest(table: Table, window: str) -> Table:
    """The rows of the newest time, counted back from the newest row."""
    import polars as pl

    from jupyter_mlops.data import Table
    from jupyter_mlops.data.sources.frames import FrameSource
    from jupyter_mlops.monitoring.windows import parse_length

    span = parse_length(window)
    if table.time is None:
        raise Invalid(
            f"there is no newest part of {table.label}",
            "no column of times is known of it",
            "name one when it is added: %mlops data add NAME URI --time COLUMN",
            code="E-PROFILE-066",
        )
    moment = pl.col(table.time)
    rows = table.scan().filter(moment > moment.max() - span)
    cut = Table(FrameSource(rows, f"{table.label} · last {window.strip()}"), inputs=table.inputs)
    cut.time, cut.key = table.time, table.key
    return cut


def _only(table: Table, columns: list[str]) -> Table:
    from jupyter_mlops.data import Table
    from jupyter_mlops.data.sources.frames import FrameSource

    return Table(FrameSource(table.scan().select(columns), table.label), table.ref, table.inputs)
