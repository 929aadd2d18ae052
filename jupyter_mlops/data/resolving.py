"""From whatever a person passes as data to a table."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from jupyter_mlops.data.datasets import get
from jupyter_mlops.data.sampling import sample as draw
from jupyter_mlops.data.sources import Narrowed, Request, open_source
from jupyter_mlops.data.sources.frames import FrameSource, is_frame
from jupyter_mlops.data.sources.streams import continue_from
from jupyter_mlops.data.tables import Table, numpy_pandas
from jupyter_mlops.workspace.errors import Invalid, NotFound
from jupyter_mlops.workspace.references import NAME
from jupyter_mlops.workspace.results import Result

if TYPE_CHECKING:
    import pandas as pd

    from jupyter_mlops.workspace import Workspace

__all__ = ["Preview", "resolve", "sample"]


@dataclass(frozen=True)
class Preview(Result):
    """A few rows of a table.

    Attributes
    ----------
    label : str
    ref : str or None
        The recorded version they are of.
    rows : polars.DataFrame
    total : int or None
        How many rows there are; None where that would take reading them all.
    sql : str
        The query they answer, if any.
    notes : list of str
        What else to know of them, in sentences.
    """

    label: str
    ref: str | None
    rows: pl.DataFrame
    total: int | None
    sql: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def frame(self) -> pd.DataFrame:
        """The rows as a pandas frame."""
        return numpy_pandas(self.rows)


def resolve(
    ws: Workspace,
    source: Any,
    *,
    query: str | None = None,
    where: str | None = None,
    columns: list[str] | None = None,
    window: str | None = None,
) -> Table:
    """Find the table that a name, reference, path, URI or data frame means.

    Parameters
    ----------
    ws : Workspace
    source : str, data frame or Table
        A recorded dataset goes before a file of the same name.
    query, where, columns, window : optional
        Which part of it; see `jupyter_mlops.data.Request`.

    Raises
    ------
    NotFound
        There is no such dataset or file.
    Invalid
        It is nothing that holds rows.

    Examples
    --------
    >>> resolve(ws, "data:flights@1").rows  # doctest: +SKIP
    336776
    """
    if isinstance(source, Path):
        source = str(source)
    found = _recorded(ws, source)
    if found is None:
        if not isinstance(source, str):
            raise Invalid(
                f"data can't be a {type(source).__name__}",
                fix="pass a dataset's name, a path or URI, or a data frame",
                code="E-DATA-004",
            )
        opened = open_source(
            source.strip(),
            query=query,
            where=where,
            columns=columns,
            window=_since(ws, window, source.strip()),
            allow_private=ws.settings.allow_private_urls,
        )
        return Table(opened)
    Request(found.label, query=query, window=window).refuse("query", "window")
    if where is None and columns is None:
        return found
    return Table(Narrowed(found.source, where, columns), inputs=found.inputs)


def _since(ws: Workspace, window: str | None, uri: str) -> str | None:
    """The window, with the offsets that ``after:NAME`` means."""
    name = (window or "").removeprefix("after:").strip()
    if name == window or not re.fullmatch(rf"(data:)?{NAME.pattern}(@\w+)?", name):
        return window
    return continue_from(get(ws, name).provenance, uri)


def _recorded(ws: Workspace, source: Any) -> Table | None:
    """The table that a frame or a dataset's name means; None for what must be opened."""
    if isinstance(source, Table):
        return source
    if is_frame(source):
        origin = type(source).__module__.partition(".")[0]
        return Table(FrameSource(source, f"a {origin} frame"))
    if not isinstance(source, str):
        return None
    text = source.strip()
    if text.startswith("data:"):
        return get(ws, text)
    if re.fullmatch(rf"{NAME.pattern}(@\w+)?", text) is None:
        return None
    try:
        return get(ws, text)
    except NotFound as missing:
        # A word with an ending, or one that names a file, is meant as a file.
        path = Path(text).expanduser()
        if missing.code == "E-DATA-002" or not (path.suffix or path.exists()):
            raise
    return None


def sample(
    ws: Workspace,
    source: Any,
    rows: int = 10,
    *,
    where: str | None = None,
    columns: list[str] | None = None,
) -> Preview:
    """Draw rows evenly from a table, the same ones every time.

    Parameters
    ----------
    ws : Workspace
    source : str, data frame or Table
    rows : int
        From 1 to 10,000.
    where : str, optional
        A condition in SQL that rows must fulfil.
    columns : list of str, optional
        The columns to show.

    Raises
    ------
    Invalid
        `rows` is out of range.
    """
    if not 1 <= rows <= 10_000:
        raise Invalid(
            f"a sample can't have {rows:,} rows", fix="ask for 1 to 10,000", code="E-DATA-005"
        )
    table = resolve(ws, source, where=where, columns=columns)
    notes = [f"Only rows where {where}."] if where else []
    return Preview(table.label, table.ref, draw(table.scan(), rows), table.rows, notes=notes)
