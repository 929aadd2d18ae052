"""What a query reads, found by DuckDB's own parser before anything runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from jupyter_mlops.workspace.errors import Invalid

__all__ = ["Statement", "parse"]

#: What these give depends on when they are asked.
_CLOCKS: Final = frozenset(
    {
        "current_date",
        "current_localtime",
        "current_localtimestamp",
        "current_time",
        "current_timestamp",
        "get_current_time",
        "get_current_timestamp",
        "localtime",
        "localtimestamp",
        "now",
        "today",
        "transaction_timestamp",
        "txid_current",
    }
)


@dataclass(frozen=True)
class Statement:
    """One SELECT.

    Attributes
    ----------
    sql : str
    tables : list of str
        The tables it names, in the order in which they are first named.
    changing : list of str
        What makes it give other rows when it is run again over the same tables: functions such
        as ``random`` and ``now``, samples, and LIMIT without ORDER BY.
    """

    sql: str
    tables: list[str]
    changing: list[str]


def parse(sql: str) -> Statement:
    """Read one SELECT.

    Raises
    ------
    Invalid
        It isn't SQL (the error names the line and column), no SELECT, or several statements.

    Examples
    --------
    >>> parse('WITH a AS (FROM flights) SELECT * FROM a JOIN "weather@2" USING (origin)').tables
    ['flights', 'weather@2']
    """
    import duckdb

    with duckdb.connect(":memory:") as connection:
        found = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchall()
        read = json.loads(found[0][0])
        if read["error"]:
            raise _fault(sql, read)
        if len(read["statements"]) != 1:
            count = len(read["statements"])
            raise Invalid(
                f"the SQL holds {count} statements" if count else "there is no SQL to run",
                fix="write one SELECT; parts of it can be named with WITH",
                code="E-DATA-071",
            )
        volatile = connection.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability = 'VOLATILE'"
        ).fetchall()
    changing: dict[str, None] = {}
    tables: dict[str, None] = {}
    node = read["statements"][0]["node"]
    for name in _tables(node, frozenset()):
        tables.setdefault(name)
    for reason in _changing(node, frozenset(name for (name,) in volatile) | _CLOCKS):
        changing.setdefault(reason)
    return Statement(sql, list(tables), list(changing))


def _fault(sql: str, read: dict[str, Any]) -> Invalid:
    if read.get("error_type") != "parser":
        return Invalid(
            "the SQL is no SELECT",
            "a query makes a table of tables and changes nothing",
            "write SELECT … FROM …, and keep its rows with `data query NAME`",
            code="E-DATA-071",
        )
    place = int(read.get("position") or 0)
    # Positions count bytes.
    before = sql.encode()[:place].decode("utf-8", "replace")
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    after = sql.encode()[place : place + 1].decode("utf-8", "replace")
    hint = "check the SQL there"
    if after and after in "@-.:":
        hint = f'put a name with {after!r} into double quotes: FROM "flights@2"'
    return Invalid(
        f"the SQL has a mistake in line {line}, column {column}",
        str(read["error_message"]),
        hint,
        code="E-DATA-076",
    )


def _tables(node: Any, known: frozenset[str]) -> Iterator[str]:
    """The tables below a node that no WITH around them defines."""
    if isinstance(node, list):
        for one in node:
            yield from _tables(one, known)
        return
    if not isinstance(node, dict):
        return
    entries = (node.get("cte_map") or {}).get("map") or []
    for entry in entries:
        value = entry["value"]
        own = str(entry["key"]).casefold()
        # A recursive part reads itself; any other of the name of a table reads the table.
        again = value["query_node"]["type"] == "RECURSIVE_CTE_NODE"
        yield from _tables(value, known | {own} if again else known)
        known |= {own}
    if node.get("type") == "BASE_TABLE":
        path = [str(one) for one in (node["catalog_name"], node["schema_name"]) if one]
        name = ".".join([*path, str(node["table_name"])])
        if path or name.casefold() not in known:
            yield name
    for key, value in node.items():
        if key != "cte_map":
            yield from _tables(value, known)


def _changing(node: Any, functions: frozenset[str]) -> Iterator[str]:
    """What makes the rows depend on more than the tables."""
    if isinstance(node, list):
        for one in node:
            yield from _changing(one, functions)
        return
    if not isinstance(node, dict):
        return
    name = str(node.get("function_name") or "").casefold()
    if node.get("class") == "COLUMN_REF" and len(node.get("column_names") or []) == 1:
        # current_date and its like are written without parentheses.
        lone = str(node["column_names"][0]).casefold()
        name = lone if lone in _CLOCKS and lone.startswith("current_") else name
    if name in functions:
        yield f"{name}()"
    if node.get("sample"):
        yield "a sample"
    kinds = [one.get("type") for one in node.get("modifiers") or [] if isinstance(one, dict)]
    if any(str(kind).startswith("LIMIT") for kind in kinds) and "ORDER_MODIFIER" not in kinds:
        yield "LIMIT without ORDER BY"
    for value in node.values():
        yield from _changing(value, functions)
