"""Verbs for datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_mlops.verbs.table import Body, Data, Namespace, verb

if TYPE_CHECKING:
    from jupyter_mlops.data import Dataset, Datasets, Difference, Preview, Split
    from jupyter_mlops.workspace import Workspace


@verb("data add", writes=True)
def data_add(
    ws: Workspace,
    name: str,
    source: Data,
    *,
    key: str | None = None,
    time: str | None = None,
    query: str | None = None,
    where: str | None = None,
    columns: list[str] | None = None,
    window: str | None = None,
) -> Dataset:
    """Add a dataset, or a new version of it when its content is new.

    The rows are copied into the workspace under the digest of their content, so a version
    always gives the same rows. Files above 1 GiB of Parquet stay where they are and are watched.

    Parameters
    ----------
    name : str
        What the dataset is called.
    source : data
        A CSV, TSV, Parquet or JSON lines file (also .gz or .zip), a glob, a URI, another
        dataset, or a data frame.
    key : str
        The column that identifies a row.
    time : str
        The column that says when a row happened.
    query : str
        SQL of the database the URI names, instead of one of its tables.
    where : str
        A condition in SQL that rows must fulfil.
    columns : list
        The columns to take.
    window : str
        How much of a stream: the last 5000 messages, those of the last 10m, all, those after
        a dataset's (after:clicks), or given offsets (offsets:0:120-560).

    Examples
    --------
    >>> %mlops data add flights flights.csv.zip --time time_hour
    >>> %mlops data add joined {frame} --key flight_id
    >>> %mlops data add orders postgresql://ada:secret:PGPASSWORD@db/shop#orders
    >>> %mlops data add clicks kafka://broker:9092/clicks --window 10m
    >>> %mlops data add clicks kafka://broker:9092/clicks --window after:clicks
    """
    from jupyter_mlops import data

    part = {"query": query, "where": where, "columns": columns, "window": window}
    return data.add(ws, name, source, key=key, time=time, **part)


@verb("data ls")
def data_ls(ws: Workspace) -> Datasets:
    """List the datasets of the workspace.

    Examples
    --------
    >>> %mlops data ls
    """
    from jupyter_mlops import data

    return data.list_datasets(ws)


@verb("data show")
def data_show(ws: Workspace, name: str) -> Dataset:
    """Show a dataset: its columns, versions and first rows.

    Parameters
    ----------
    name : str
        A name, or name@version.

    Examples
    --------
    >>> %mlops data show flights
    >>> %mlops data show flights@1
    """
    from jupyter_mlops import data

    return data.get(ws, name)


@verb("data sample")
def data_sample(
    ws: Workspace,
    source: Data,
    rows: int = 10,
    *,
    where: str | None = None,
    columns: list[str] | None = None,
) -> Preview:
    """Show rows drawn evenly from the whole table, the same ones every time.

    Parameters
    ----------
    source : data
        A dataset, a path or URI, or a data frame.
    rows : int
        How many, up to 10,000; the first 50 are shown.
    where : str
        A condition in SQL that rows must fulfil.
    columns : list
        The columns to show.

    Examples
    --------
    >>> %mlops data sample flights 20
    >>> %mlops data sample flights --where "dep_delay > 60" --columns carrier,dep_delay
    """
    from jupyter_mlops import data

    return data.sample(ws, source, rows, where=where, columns=columns)


@verb("data query", writes=True)
def data_query(
    ws: Workspace,
    name: str | None = None,
    body: Body | None = None,
    namespace: Namespace | None = None,
    *,
    sql: str | None = None,
    key: str | None = None,
    time: str | None = None,
) -> Dataset | Preview:
    """Run SQL over datasets and data frames, and keep the rows as a dataset.

    Tables are datasets (flights, "flights@2", "flights-train") and the notebook's data frames,
    by name. DuckDB runs the query and reaches nothing else. Without a name the first rows are
    shown and nothing is kept.

    Parameters
    ----------
    name : str
        What to call the dataset of the result.
    sql : str
        The query, when it isn't the cell's body.
    key : str
        The column that identifies a row of the result.
    time : str
        The column that says when a row of the result happened.

    Examples
    --------
    >>> %%mlops data query delays
    ... SELECT origin, avg(dep_delay) AS delay FROM flights GROUP BY origin
    >>> %mlops data query --sql "SELECT count(*) FROM flights"
    """
    from jupyter_mlops import data
    from jupyter_mlops.workspace import Invalid

    if (sql is None) == (body is None):
        raise Invalid(
            "`data query` needs SQL" if sql is None else "`data query` has a body and --sql",
            fix="write a SELECT below %%mlops data query NAME, or give it with --sql",
            code="E-DATA-079",
        )
    asked = sql if sql is not None else str(body)
    return data.query(ws, asked, name, namespace=namespace, key=key, time=time)


@verb("data diff", writes=True)
def data_diff(
    ws: Workspace, a: Data, b: Data, *, key: list[str] | None = None, examples: int = 10
) -> Difference:
    """Show what differs between two versions, or any two tables.

    The columns, the rows by key or else by content, and how the values of each column are
    spread in both.

    Parameters
    ----------
    a : data
        The earlier one: a dataset, a path or URI, or a data frame.
    b : data
        The later one.
    key : list
        The columns that identify a row; the recorded key when not given.
    examples : int
        How many rows of each kind to show.

    Examples
    --------
    >>> %mlops data diff flights@1 flights@2
    >>> %mlops data diff flights@1 flights@2 --key time_hour,carrier,flight
    """
    from dataclasses import replace

    from jupyter_mlops import data, profiling

    earlier, later = data.resolve(ws, a), data.resolve(ws, b)
    found = data.diff(earlier, later, key, examples)
    if found.equal:
        return found
    sides = profiling.compare(profiling.make(ws, later), profiling.make(ws, earlier))
    return replace(found, sides=sides)


@verb("data split", writes=True)
def data_split(
    ws: Workspace,
    name: str,
    *,
    parts: list[str] | None = None,
    stratify: str | None = None,
    group: list[str] | None = None,
    time: str | None = None,
    cuts: list[str] | None = None,
    gap: str | None = None,
    seed: int = 0,
) -> Split:
    """Split a dataset into parts that are recorded and share no row, key or group.

    Rows are drawn by what is in them: the same rows come into the same part on any machine, and
    rows added later move none at random or by group. Each part is a dataset, as flights-train.

    Parameters
    ----------
    name : str
        A dataset, or a version of it.
    parts : list
        Names and shares, such as train=0.7,valid=0.15,test=0.15; train=0.8,test=0.2 when not
        given. With cuts, names alone.
    stratify : str
        A column of classes; each part gets its share of every class.
    group : list
        Columns; rows that agree in them stay together.
    time : str
        A column of times; the first part gets the earliest rows, the last the latest.
    cuts : list
        The times at which the parts after the first begin, instead of shares.
    gap : str
        How much time to leave out after each cut, such as 1d.
    seed : int
        Another seed draws other rows.

    Examples
    --------
    >>> %mlops data split flights --parts train=0.7,valid=0.15,test=0.15 --stratify late
    >>> %mlops data split flights --group tailnum
    >>> %mlops data split flights --time time_hour --gap 1d
    >>> %mlops data split flights --parts train,test --time time_hour --cuts 2013-11-01
    """
    from jupyter_mlops import data

    return data.split(
        ws,
        name,
        parts or data.PARTS,
        stratify=stratify,
        group=group,
        time=time,
        cuts=cuts,
        gap=gap,
        seed=seed,
    )


@verb("data asof", writes=True)
def data_asof(
    ws: Workspace,
    left: Data,
    right: Data,
    *,
    on: str | None = None,
    by: list[str] | None = None,
    tolerance: str | None = None,
    equal: bool = False,
    suffix: str = "_right",
    save: str | None = None,
) -> Dataset | Preview:
    """Join to each row the last row of another table that was known before its time.

    It never looks ahead: a row of the very same time counts only when asked for. Rows without
    a match stay, with missing values.

    Parameters
    ----------
    left : data
        The table that gets more columns: a dataset, a path or URI, or a data frame.
    right : data
        The table they come from.
    on : str
        The column of times, or LEFT=RIGHT where names differ; the recorded ones when not given.
    by : list
        Columns in which both rows must agree, also written LEFT=RIGHT.
    tolerance : str
        How old a row may be, such as 1h.
    equal : bool
        Let a row of the very same time count as known.
    suffix : str
        What to put behind the names of columns that both have.
    save : str
        What to call the dataset of the result; without it the first rows are shown.

    Examples
    --------
    >>> %mlops data asof flights weather --on time_hour --by origin --tolerance 2h --save joined
    """
    from jupyter_mlops import data

    return data.asof(
        ws,
        left,
        right,
        on=on,
        by=by,
        tolerance=tolerance,
        equal=equal,
        suffix=suffix,
        save=save,
    )
