"""SQL over any mix of datasets and data frames, its result kept as a version with its history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from jupyter_mlops.data.datasets import Dataset, Draft, draft, get, list_datasets, record
from jupyter_mlops.data.resolving import Preview
from jupyter_mlops.data.sandbox import SqlSource, stoppable
from jupyter_mlops.data.sources.frames import FrameSource, is_frame
from jupyter_mlops.data.statements import Statement, parse
from jupyter_mlops.data.stored import Stored
from jupyter_mlops.data.tables import Table
from jupyter_mlops.workspace.errors import Conflict, Invalid, NotFound, closest
from jupyter_mlops.workspace.references import NAME, Reference, check_name

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["described", "query"]

SHOWN: Final = 50


def query(
    ws: Workspace,
    sql: str,
    name: str | None = None,
    *,
    namespace: Mapping[str, Any] | None = None,
    key: str | None = None,
    time: str | None = None,
) -> Dataset | Preview:
    """Run SQL over datasets and data frames.

    DuckDB runs it, streaming and within bounded memory, and can reach nothing but the tables.
    The same query over the same content is the version that is there already, unless the
    query itself gives other rows each time.

    Parameters
    ----------
    ws : Workspace
    sql : str
        One SELECT. Tables are datasets (``flights``, ``"flights@2"``) or data frames.
    name : str, optional
        Keep the rows as a dataset of this name; without it the first rows are shown.
    namespace : mapping, optional
        Where data frames are found by name; a dataset of the same name goes first.
    key, time : str, optional
        As for `add`.

    Raises
    ------
    NotFound
        A table is neither a dataset nor a frame.
    Invalid
        The SQL has a mistake, is no SELECT, or reaches for something else than its tables.

    Examples
    --------
    >>> query(ws, "SELECT origin, count(*) AS n FROM flights GROUP BY 1")  # doctest: +SKIP
    """
    import duckdb

    if name is not None:
        check_name(name, "dataset")
    statement = parse(sql)
    tables = _tables(ws, statement, namespace or {})
    told: dict[str, Any] = {
        "query": sql.strip(),
        "dialect": f"duckdb {duckdb.__version__}",
        "inputs": [described(one, table) for one, table in tables.items()],
    }
    if statement.changing:
        told["changing"] = statement.changing
    label = f"a query over {', '.join(tables)}" if tables else "a query"
    source = SqlSource(label, sql, tables, told)
    inputs = list(dict.fromkeys(ref for table in tables.values() for ref in table.inputs))
    if name is None:
        return _preview(source, statement)
    table = Table(source, inputs=inputs)
    known = None if statement.changing else _known(ws, name, told)
    if known is not None:
        # Sums of fractions differ in their last digit from run to run; the answer to the same
        # question is the one that was given.
        kept = Stored(known.digest, known.rows, known.size, known.schema)
        return record(ws, [Draft(name, table, kept, key, time)])[0]
    with source.reasons():
        made = stoppable(lambda: draft(ws, name, table, key=key, time=time))
    return record(ws, [made])[0]


def described(name: str, table: Table) -> dict[str, Any]:
    """What provenance says of a table that others were made from."""
    return {"name": name, "ref": table.ref, "digest": table.digest, "rows": table.rows}


def _preview(source: SqlSource, statement: Statement) -> Preview:
    with source.reasons():
        rows = stoppable(lambda: source.scan().head(SHOWN + 1).collect())
    whole = rows.height <= SHOWN
    return Preview(
        "Query",
        None,
        rows.head(SHOWN),
        rows.height if whole else None,
        sql=statement.sql.strip(),
    )


def _known(ws: Workspace, name: str, told: dict[str, Any]) -> Dataset | None:
    """The version that the same query over the same content gave before, if its rows are there."""
    wanted = _asked(told)
    mine = (one for one in list_datasets(ws) if one.name == name)
    for one in next((one.versions for one in mine), []):
        if _asked(one.provenance) == wanted and one.stored:
            return one
    return None


def _asked(told: dict[str, Any]) -> tuple[Any, ...]:
    inputs = [(one["name"], one["digest"]) for one in told.get("inputs", [])]
    return told.get("query"), told.get("dialect"), inputs


def _tables(ws: Workspace, statement: Statement, namespace: Mapping[str, Any]) -> dict[str, Table]:
    found: dict[str, Table] = {}
    # DuckDB doesn't tell upper from lower case, dataset names do.
    written: dict[str, tuple[str, Table]] = {}
    for name in statement.tables:
        table = _table(ws, name, namespace)
        first, same = written.setdefault(name.casefold(), (name, table))
        if same is not table and same.ref != table.ref:
            raise Conflict(
                f"the SQL can't tell {first!r} from {name!r}",
                "SQL takes upper and lower case for the same",
                'name a version of one of them, such as "flights@1"',
                code="E-DATA-078",
            )
        if first == name:
            found[name] = table
    return found


def _table(ws: Workspace, name: str, namespace: Mapping[str, Any]) -> Table:
    datasets = [one.name for one in list_datasets(ws)]
    alike = [one for one in datasets if one.casefold() == name.casefold()]
    if NAME.fullmatch(name.removeprefix("data:").partition("@")[0]):
        ref = (
            Reference.parse(name, kind="data") if "@" in name or name.startswith("data:") else None
        )
        if (ref.name if ref else name) in datasets:
            return get(ws, name)
    if name in namespace and is_frame(namespace[name]):
        return Table(FrameSource(namespace[name], f"the frame {name}"))
    if len(alike) == 1:
        return get(ws, alike[0])
    if name in namespace:
        raise Invalid(
            f"{name!r} is no table",
            f"in the notebook it is a {type(namespace[name]).__name__}",
            "name a dataset or a data frame",
            code="E-DATA-077",
        )
    frames = [one for one, v in namespace.items() if not one.startswith("_") and is_frame(v)]
    known = [*datasets, *frames]
    raise NotFound(
        f"no dataset or data frame is called {name!r}",
        f"there are {', '.join(known[:8])}{' …' if len(known) > 8 else ''}" if known else "",
        closest(name, known) or "add it with `%mlops data add NAME URI`",
        code="E-DATA-070",
    )
