"""Named, versioned datasets: the same content is the same version."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from jupyter_mlops.data.digest import logical_type
from jupyter_mlops.data.records import DatasetRecord
from jupyter_mlops.data.stored import Stored, keep, reopen
from jupyter_mlops.data.tables import Table
from jupyter_mlops.workspace.errors import Conflict, Invalid, NotFound, closest
from jupyter_mlops.workspace.records import new_id, utcnow
from jupyter_mlops.workspace.references import Reference, check_name
from jupyter_mlops.workspace.results import Result

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Transaction, Workspace

__all__ = ["Dataset", "Datasets", "Draft", "add", "draft", "get", "list_datasets", "record"]


class Dataset(Table, Result):
    """A version of a named dataset.

    Attributes
    ----------
    name : str
    version : int
    digest : str
        32 hexadecimal digits; see `jupyter_mlops.data.digest`.
    rows, size : int
        Rows, and bytes of the stored Parquet.
    key, time : str or None
        The columns that identify a row and say when it happened.
    origin : str
        Where it was added from.
    provenance : dict
        What beside the origin tells which rows these are: query, filter, offsets, split.
    """

    def __init__(self, record: DatasetRecord, workspace: Workspace) -> None:
        self.ref: str = f"data:{record.name}@{record.version}"
        self.inputs = [self.ref]
        self.name = record.name
        self.version = record.version
        self.rows = record.rows
        self.size = record.size
        self.digest = record.digest
        self.key = record.key
        self.time = record.time
        self.origin = record.source
        self.provenance: dict[str, Any] = dict(record.provenance)
        self.author = record.author
        self.created_at: datetime = record.created_at
        self.schema = dict(record.columns)
        self._record = record
        self._workspace = workspace

    @cached_property
    def source(self) -> Any:  # type: ignore[override]
        """The stored rows, opened when they are first needed."""
        return reopen(self._workspace, self._record, self.ref)

    @property
    def stored(self) -> bool:
        """Whether its rows are in the workspace."""
        location = self._record.location
        return bool(location) and self._workspace.artifacts.exists(location)

    @property
    def versions(self) -> list[Dataset]:
        """All versions of this name, the newest first."""
        return _versions(self._workspace, self.name)

    def head(self, rows: int = 5) -> pl.DataFrame:
        """The first rows."""
        return self.scan().head(rows).collect()

    def __repr__(self) -> str:
        return f"<Dataset {self.ref}: {self.rows:,} rows × {len(self.schema)} columns>"


@dataclass(frozen=True)
class Datasets(Result):
    """The datasets of a workspace, each in its current version."""

    items: list[Dataset]
    counts: dict[str, int] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Dataset]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def add(
    ws: Workspace,
    name: str,
    source: Any,
    *,
    key: str | None = None,
    time: str | None = None,
    **part: Any,
) -> Dataset:
    """Add a dataset, or a new version of it when its content is new.

    Parameters
    ----------
    ws : Workspace
    name : str
        Letters, digits, ``_``, ``.`` and ``-``.
    source : str, data frame or Table
        A path, glob, URI, the name of another dataset, or a pandas or polars frame.
    key : str, optional
        The column that identifies a row; it must have no gaps and no repeats.
    time : str, optional
        The date or datetime column that says when the row happened.
    **part
        Which part of the source: query, where, columns, window; see `Request`.

    Returns
    -------
    Dataset

    Raises
    ------
    NotFound, Invalid
        The source is missing, unreadable or empty, or `key` or `time` doesn't fit.

    Examples
    --------
    >>> add(ws, "flights", "flights.csv.zip", time="time_hour")  # doctest: +SKIP
    <Dataset data:flights@1: 336,776 rows × 19 columns>
    """
    return record(ws, [draft(ws, name, source, key=key, time=time, **part)])[0]


def draft(
    ws: Workspace,
    name: str,
    source: Any,
    *,
    key: str | None = None,
    time: str | None = None,
    **part: Any,
) -> Draft:
    """Check and keep the rows of a version that is still to be recorded; see `add`."""
    from jupyter_mlops.data.resolving import resolve

    check_name(name, "dataset")
    table = resolve(ws, source, **part)
    schema = table.source.schema()
    if not len(schema):
        raise Invalid(f"{table.label} has no columns", fix="check the source", code="E-DATA-050")
    _check_columns(table, schema, key, time)
    return Draft(name, table, keep(ws, table, part.get("where")), key, time)


@dataclass(frozen=True)
class Draft:
    """A version that is kept on disk and not yet in the records."""

    name: str
    table: Table
    stored: Stored
    key: str | None = None
    time: str | None = None


def record(
    ws: Workspace, drafts: list[Draft], then: Callable[[Transaction, list[str]], None] | None = None
) -> list[Dataset]:
    """Enter versions into the records, all of them or none.

    Parameters
    ----------
    ws : Workspace
    drafts : list of Draft
    then : callable, optional
        What belongs to the same transaction; it gets that and the versions' references.
    """
    for attempt in range(4):
        try:
            with ws.write() as tx:
                records = [_enter(ws, tx, draft) for draft in drafts]
                if then is not None:
                    then(tx, [f"data:{one.name}@{one.version}" for one in records])
            return [Dataset(one, ws) for one in records]
        except IntegrityError:
            # On PostgreSQL two writers may have taken the same version number; the loser
            # looks again.
            if attempt == 3:
                raise
    raise AssertionError("the loop returns or raises")


def _enter(ws: Workspace, tx: Transaction, draft: Draft) -> DatasetRecord:
    name, table, stored = draft.name, draft.table, draft.stored
    existing = tx.session.scalars(
        select(DatasetRecord).where(
            DatasetRecord.name == name, DatasetRecord.digest == stored.digest
        )
    ).one_or_none()
    if existing is not None:
        return _again(tx, existing, draft)
    last = tx.session.scalar(
        select(func.max(DatasetRecord.version)).where(DatasetRecord.name == name)
    )
    now = utcnow()
    record = DatasetRecord(
        id=new_id(),
        name=name,
        version=(last or 0) + 1,
        digest=stored.digest,
        rows=stored.rows,
        size=stored.size,
        columns=[[column, kind] for column, kind in stored.schema.items()],
        source=_origin(ws, table),
        provenance=table.source.provenance(),
        location=stored.location,
        files=stored.files,
        key=draft.key,
        time=draft.time,
        author=ws.user,
        created_at=now,
        current_at=now,
    )
    tx.session.add(record)
    tx.session.flush()
    ref = f"data:{name}@{record.version}"
    tx.emit(
        "dataset.added",
        ref,
        payload={"digest": record.digest, "rows": record.rows, "source": record.source},
        inputs=table.inputs,
        outputs=[ref],
    )
    return record


def _again(tx: Transaction, record: DatasetRecord, draft: Draft) -> DatasetRecord:
    """Make a version that is there already the current one, with what is now said about it."""
    newest = tx.session.scalar(
        select(func.max(DatasetRecord.current_at)).where(DatasetRecord.name == record.name)
    )
    changed: dict[str, Any] = {}
    if draft.key is not None and draft.key != record.key:
        record.key = changed["key"] = draft.key
    if draft.time is not None and draft.time != record.time:
        record.time = changed["time"] = draft.time
    if newest != record.current_at:
        record.current_at = utcnow()
        changed["current"] = str(record.version)
    told = draft.table.source.provenance()
    if told and told != record.provenance:
        # The record keeps how the rows came here first; the log knows of every way.
        changed["made"] = "again, another way"
    if changed:
        ref = f"data:{record.name}@{record.version}"
        tx.emit(
            "dataset.added",
            ref,
            payload={"digest": record.digest, **changed},
            inputs=draft.table.inputs,
            outputs=[ref],
        )
    return record


def get(ws: Workspace, name: str) -> Dataset:
    """Find a dataset by name, ``name@version`` or reference.

    Raises
    ------
    NotFound
        No dataset of that name or version; names the closest.

    Examples
    --------
    >>> get(ws, "data:flights@1")  # doctest: +SKIP
    """
    ref = Reference.parse(name, kind="data")
    query = select(DatasetRecord).where(DatasetRecord.name == ref.name)
    if ref.version is not None:
        number = ref.number
        if number is None:
            raise Invalid(
                f"{ref.version!r} is no dataset version",
                fix=f"write {ref.name}@1",
                code="E-DATA-003",
            )
        query = query.where(DatasetRecord.version == number)
    with ws.read() as session:
        record = session.scalars(query.order_by(DatasetRecord.current_at.desc()).limit(1)).first()
        names = sorted(set(session.scalars(select(DatasetRecord.name)))) if not record else []
        if record is not None:
            session.expunge(record)
    if record is not None:
        return Dataset(record, ws)
    if ref.name in names:
        last = get(ws, ref.name).versions[0].version
        raise NotFound(
            f"dataset {ref.name!r} has no version {ref.version}",
            f"its versions go from 1 to {last}",
            f"`%mlops data show {ref.name}` lists them",
            code="E-DATA-002",
        )
    raise NotFound(
        f"no dataset is called {ref.name!r}",
        f"the workspace holds {', '.join(names[:8])}{' …' if len(names) > 8 else ''}"
        if names
        else "the workspace holds none",
        closest(ref.name, names) or "add it with `%mlops data add NAME URI`",
        code="E-DATA-001",
    )


def list_datasets(ws: Workspace) -> Datasets:
    """List the datasets, each in its current version, the newest first."""
    with ws.read() as session:
        records = list(
            session.scalars(select(DatasetRecord).order_by(DatasetRecord.current_at.desc()))
        )
        session.expunge_all()
    current: dict[str, DatasetRecord] = {}
    counts: dict[str, int] = {}
    for record in records:
        current.setdefault(record.name, record)
        counts[record.name] = counts.get(record.name, 0) + 1
    return Datasets([Dataset(record, ws) for record in current.values()], counts)


def _versions(ws: Workspace, name: str) -> list[Dataset]:
    query = (
        select(DatasetRecord)
        .where(DatasetRecord.name == name)
        .order_by(DatasetRecord.version.desc())
    )
    with ws.read() as session:
        records = list(session.scalars(query))
        session.expunge_all()
    return [Dataset(record, ws) for record in records]


def _origin(ws: Workspace, table: Table) -> str:
    """Where the rows came from, as a path that still means something in another folder."""
    uri = table.ref or table.source.uri
    if "://" in uri or uri.startswith("data:") or not hasattr(table.source, "paths"):
        return uri
    path = Path.cwd() / Path(uri).expanduser()
    return str(path.relative_to(ws.root)) if path.is_relative_to(ws.root) else str(path)


def _check_columns(table: Table, schema: pl.Schema, key: str | None, time: str | None) -> None:
    for role, column in (("key", key), ("time", time)):
        if column is not None and column not in schema:
            raise NotFound(
                f"{table.label} has no column {column!r} to be the {role}",
                f"its columns are {', '.join(list(schema)[:12])}{' …' if len(schema) > 12 else ''}",
                closest(column, schema),
                code="E-DATA-052",
            )
    if time is not None and not schema[time].is_temporal():
        raise Invalid(
            f"column {time!r} can't be the time: it holds {logical_type(schema[time])}",
            fix="convert it to dates or datetimes first",
            code="E-DATA-053",
        )
    if key is not None:
        facts = (
            table.scan()
            .select(
                rows=pl.len(),
                missing=pl.col(key).null_count(),
                distinct=pl.col(key).n_unique(),
            )
            .collect(engine="streaming")
            .row(0, named=True)
        )
        repeats = facts["rows"] - facts["distinct"]
        if facts["missing"] or repeats:
            raise Conflict(
                f"column {key!r} can't be the key",
                f"{facts['missing']:,} rows lack it and {max(repeats, 0):,} repeat another's",
                "name a column that identifies each row",
                code="E-DATA-054",
            )
