"""Verbs for datasets and their profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_mlops.verbs.table import Data, verb

if TYPE_CHECKING:
    from jupyter_mlops.data import Dataset, Datasets, Preview
    from jupyter_mlops.profiling import Profile, SideBySide
    from jupyter_mlops.workspace import Workspace


@verb("data add", writes=True)
def data_add(
    ws: Workspace, name: str, source: Data, *, key: str | None = None, time: str | None = None
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

    Examples
    --------
    >>> %mlops data add flights flights.csv.zip --time time_hour
    >>> %mlops data add joined {frame} --key flight_id
    """
    from jupyter_mlops import data

    return data.add(ws, name, source, key=key, time=time)


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


@verb("profile", writes=True)
def profile(
    ws: Workspace, source: Data, *, target: str | None = None, against: Data = None
) -> Profile | SideBySide:
    """Profile a table: what is in it, what is wrong with it, and what to do about it.

    One pass over the rows, without loading them whole. With a target, each column is related to
    it, and columns that seem to know the answer are named with their evidence.

    Parameters
    ----------
    source : data
        A dataset, a path or URI, or a data frame.
    target : str
        The column to predict.
    against : data
        Another table to put beside it.

    Examples
    --------
    >>> %mlops profile flights --target late
    >>> %mlops profile flights@2 --against flights@1
    """
    from jupyter_mlops import data, profiling

    made = profiling.make(ws, data.resolve(ws, source), target=target)
    if against is None:
        return made
    other = profiling.make(ws, data.resolve(ws, against))
    return profiling.compare(made, other)
