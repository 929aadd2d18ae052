"""Verbs for datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_mlops.verbs.table import Data, verb

if TYPE_CHECKING:
    from jupyter_mlops.data import Dataset, Datasets, Preview
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
        How much of a stream: the last 5000 messages, or those of the last 10m.

    Examples
    --------
    >>> %mlops data add flights flights.csv.zip --time time_hour
    >>> %mlops data add joined {frame} --key flight_id
    >>> %mlops data add orders postgresql://ada:secret:PGPASSWORD@db/shop#orders
    >>> %mlops data add clicks kafka://broker:9092/clicks --window 10m
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
def data_sample(ws: Workspace, source: Data, rows: int = 10) -> Preview:
    """Show rows drawn evenly from the whole table, the same ones every time.

    Parameters
    ----------
    source : data
        A dataset, a path or URI, or a data frame.
    rows : int
        How many, up to 10,000; the first 50 are shown.

    Examples
    --------
    >>> %mlops data sample flights 20
    """
    from jupyter_mlops import data

    return data.sample(ws, source, rows)
