"""Tables and queries of databases are read with their types, once, from one snapshot."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import psycopg
import pytest

from jupyter_mlops.data import add, open_source
from jupyter_mlops.data.sources.sql.opening import Database
from jupyter_mlops.data.sources.sql.reading import paced
from jupyter_mlops.workspace import Invalid, MLOpsError, NotFound, Workspace
from servers.mariadb import MariaDB
from servers.postgresql import PostgreSQL


@pytest.fixture
def shop(postgresql: PostgreSQL) -> Callable[..., str]:
    """Make a database in PostgreSQL with some statements; its URI."""

    def make(*statements: str) -> str:
        uri = postgresql.new_database()
        with psycopg.connect(uri) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[arg-type]
        return uri

    return make


@pytest.fixture
def lite(tmp_path: Path) -> Callable[[str], str]:
    """Make a SQLite file with a script; its URI."""

    def make(script: str) -> str:
        with sqlite3.connect(tmp_path / "shop.db") as connection:
            connection.executescript(script)
        connection.close()
        return f"sqlite:///{tmp_path / 'shop.db'}"

    return make


def columns(source: Any) -> dict[str, list[Any]]:
    frame = source.scan().collect()
    assert frame.schema == source.schema()
    return frame.to_dict(as_series=False)


def test_the_same_table_has_the_same_digest_in_every_database(
    nyc: dict[str, Path], tmp_path: Path, shop: Callable[..., str], mariadb: MariaDB
) -> None:
    planes = open_source(str(nyc["planes.csv"]))
    frame = planes.scan().collect()
    kinds = {pl.Int64: "BIGINT", pl.Float64: "DOUBLE PRECISION", pl.String: "VARCHAR(60)"}
    names = [f"{name} {kinds[type(dtype)]}" for name, dtype in frame.schema.items()]
    create = f"CREATE TABLE planes ({', '.join(names)})"
    postgres = shop(create)
    with psycopg.connect(postgres) as connection, connection.cursor() as cursor:
        with cursor.copy("COPY planes FROM STDIN") as copy:
            for row in frame.iter_rows():
                copy.write_row(row)
    maria = mariadb.new_database(create)
    values = ", ".join(
        f"({', '.join('NULL' if v is None else repr(v) for v in row)})" for row in frame.iter_rows()
    )
    mariadb.run(f"INSERT INTO planes VALUES {values}", database=maria)
    with sqlite3.connect(tmp_path / "x.db") as lite:
        lite.execute(create)
        marks = ", ".join("?" * frame.width)
        lite.executemany(f"INSERT INTO planes VALUES ({marks})", frame.rows())
    lite.close()
    with duckdb.connect(tmp_path / "x.duckdb") as duck:
        duck.execute("CREATE TABLE planes AS SELECT * FROM frame")
    digests = {
        open_source(f"{address}#planes").digest()
        for address in (
            postgres,
            mariadb.uri(maria),
            f"sqlite:///{tmp_path / 'x.db'}",
            f"duckdb:///{tmp_path / 'x.duckdb'}",
        )
    }
    assert digests == {planes.digest()}


def test_postgresql_types_are_kept(shop: Callable[..., str]) -> None:
    uri = shop(
        "CREATE TYPE mood AS ENUM ('sad', 'ok')",
        "CREATE TABLE t (b bool, i int8, f float4, n numeric(10,2), nn numeric, d date, "
        "ts timestamp, tz timestamptz, ti time, iv interval, by bytea, u uuid, j jsonb, m mood, "
        "a int[], ta text[], na numeric[], vc varchar(9), nothing int, "
        '"We""ird; name" text)',
        """INSERT INTO t VALUES (true, 9223372036854775807, 1.5, 123.45, 1.123456789,
        '2013-01-02', '2013-01-02 03:04:05.678', '2013-01-02 03:04:05+02', '05:06:07.5',
        '1 day 2 hours', '\\xdead', '00000000-0000-0000-0000-00000000000a', '{"a": 1}', 'ok',
        '{1,NULL,3}', '{"a,b","NULL",NULL,""}', '{1.5}', '', NULL, E'two\\nlines, "q"'),
        (NULL, NULL, 'NaN', 'NaN', NULL, 'infinity', NULL, NULL, NULL, NULL, NULL, NULL, NULL,
        NULL, '{}', NULL, NULL, NULL, NULL, NULL)""",
    )
    source = open_source(f"{uri}#public.t")
    schema = source.schema()
    assert schema["n"] == pl.Decimal(10, 2)
    assert schema["tz"] == pl.Datetime("us", "UTC")
    assert schema["iv"] == pl.Duration("us")
    assert schema["nothing"] == pl.Int32
    read = columns(source)
    first = {name: values[0] for name, values in read.items()}
    assert first["i"] == 2**63 - 1
    assert first["n"] == Decimal("123.45")
    assert first["nn"] == Decimal("1.123456789")
    assert first["ts"] == datetime(2013, 1, 2, 3, 4, 5, 678000)
    assert first["tz"].isoformat() == "2013-01-02T01:04:05+00:00"
    assert first["iv"] == timedelta(hours=26)
    assert first["by"] == b"\xde\xad"
    assert (first["u"][-1], first["j"], first["m"]) == ("a", '{"a": 1}', "ok")
    assert (first["a"], first["ta"]) == ([1, None, 3], ["a,b", "NULL", None, ""])
    assert first["na"] == [Decimal("1.5")]
    assert (first["vc"], first['We"ird; name']) == ("", 'two\nlines, "q"')
    assert [name for name, values in read.items() if values[1] is not None] == ["f", "a"]


def test_mariadb_types_are_kept(mariadb: MariaDB) -> None:
    name = mariadb.new_database(
        "CREATE TABLE t (b TINYINT(1), small TINYINT, u TINYINT UNSIGNED, big BIGINT UNSIGNED, "
        "bi BIT(1), f FLOAT, n DECIMAL(10,2), da DATE, dt DATETIME(6), ts TIMESTAMP NULL, "
        "ti TIME(3), bl BLOB, e ENUM('a','b'), j JSON, uu UUID, nothing INT, `we``ird; name` TEXT)",
        """INSERT INTO t VALUES (1, -5, 200, 18446744073709551615, b'1', 0.123456789, 123.45,
        '2013-01-02', '2013-01-02 03:04:05.678901', '2013-01-02 03:04:05', '-838:59:59.999',
        x'dead00ff', 'a', '{"a":1}', '00000000-0000-0000-0000-00000000000a', NULL, 'häß😀')""",
        "SET sql_mode = ''",
        "INSERT INTO t (b, da, dt) VALUES (NULL, '0000-00-00', '2013-02-00 00:00:00')",
    )
    source = open_source(mariadb.uri(name, "t"))
    assert source.schema()["big"] == pl.UInt64
    read = columns(source)
    first = {column: values[0] for column, values in read.items()}
    assert (first["b"], first["small"], first["u"], first["bi"]) == (True, -5, 200, True)
    assert first["big"] == 2**64 - 1
    assert first["f"] == pytest.approx(0.123456789, rel=1e-7)
    assert first["n"] == Decimal("123.45")
    assert first["dt"] == datetime(2013, 1, 2, 3, 4, 5, 678901)
    assert first["ts"].tzinfo is not None
    assert first["ti"] == -timedelta(hours=838, minutes=59, seconds=59.999)
    assert first["bl"] == b"\xde\xad\x00\xff"
    assert (first["e"], first["j"], first["uu"][-1]) == ("a", '{"a":1}', "a")
    assert first["we`ird; name"] == "häß😀"
    assert (read["da"][1], read["dt"][1]) == (None, None)


def test_sqlite_values_get_the_declared_types(lite: Callable[[str], str]) -> None:
    uri = lite(
        "CREATE TABLE t (i INTEGER, x REAL, s VARCHAR(10), b BOOLEAN, d DATE, dt DATETIME, "
        "n DECIMAL(10,2), bl BLOB, any);"
        "INSERT INTO t VALUES "
        "(1, 1.5, 'a', 1, '2013-01-02', '2013-01-02T03:04:05Z', 0.1, x'00', 7),"
        " (NULL, 2, 5, 0, '2013-01-03 00:00', 1357095845, 12, 'x', 'y');"
    )
    assert columns(open_source(f"{uri}#t")) == {
        "i": [1, None],
        "x": [1.5, 2.0],
        "s": ["a", "5"],
        "b": [True, False],
        "d": [date(2013, 1, 2), date(2013, 1, 3)],
        "dt": [datetime(2013, 1, 2, 3, 4, 5)] * 2,
        "n": [Decimal("0.10"), Decimal("12.00")],
        "bl": [b"\0", b"x"],
        "any": ["7", "y"],
    }


def test_a_sqlite_value_of_another_type_is_named_with_its_row(lite: Callable[[str], str]) -> None:
    uri = lite(
        "CREATE TABLE t (i INTEGER, d DATE);"
        "INSERT INTO t VALUES (1, '2013-01-01'), ('three', '2013-01-01'), (3, 'yesterday');"
    )
    with pytest.raises(Invalid, match=r"column 'i' .* holds 'three' in row 2: .*Int64"):
        open_source(f"{uri}#t", columns=["i"]).scan()
    with pytest.raises(Invalid, match=r"column 'd' .* holds 'yesterday' in row 3: .*Date"):
        open_source(f"{uri}#t", columns=["d"]).scan()
    as_text = open_source(uri, query="SELECT CAST(i AS TEXT) AS i FROM t")
    assert columns(as_text) == {"i": ["1", "three", "3"]}


def test_duckdb_types_are_kept(tmp_path: Path) -> None:
    with duckdb.connect(tmp_path / "x.duckdb") as connection:
        connection.execute(
            "CREATE TYPE mood AS ENUM ('sad', 'ok');"
            "CREATE TABLE t AS SELECT 7::HUGEINT h, uuid() u, INTERVAL 1 DAY i, 'ok'::mood e, "
            "[1, 2] l, {'a': 1} s, TIMESTAMPTZ '2013-01-01 00:00:00+02' t, '1'::JSON j, "
            "1.5::DECIMAL(5,2) d, 18446744073709551615::UBIGINT ub, NULL::DATE nothing"
        )
    source = open_source(f"duckdb:///{tmp_path / 'x.duckdb'}#t")
    assert source.schema()["nothing"] == pl.Date
    read = {name: values[0] for name, values in columns(source).items()}
    assert len(read.pop("u")) == 36
    assert read.pop("t").isoformat() == "2012-12-31T22:00:00+00:00"
    assert list(read.values()) == [
        *(Decimal(7), timedelta(days=1), "ok", [1, 2], {"a": 1}, "1", Decimal("1.50"), 2**64 - 1),
        None,
    ]


def test_every_scan_sees_the_rows_of_the_first(shop: Callable[..., str]) -> None:
    uri = shop("CREATE TABLE t AS SELECT i FROM generate_series(1, 1000) AS i")
    source = open_source(f"{uri}#t")
    digest = source.digest()
    with psycopg.connect(uri) as connection:
        connection.execute("UPDATE t SET i = -i")
    assert source.digest() == digest
    assert open_source(f"{uri}#t").digest() != digest
    told = source.provenance()
    assert told["table"] == "t"
    assert told["server"].startswith("PostgreSQL 1")
    assert datetime.fromisoformat(told["read_at"]).tzinfo is not None


def test_the_database_does_the_filtering(shop: Callable[..., str], mariadb: MariaDB) -> None:
    make = "CREATE TABLE t (name VARCHAR(9), n INT)"
    fill = "INSERT INTO t VALUES ('anna', 1), ('bob', 2), ('arne', 3)"
    for uri, condition in (
        # Neither operator is known to anything but the database itself.
        (shop(make, fill), "name ~ '^a' AND n > 1 -- of these"),
        (mariadb.uri(mariadb.new_database(make, fill)), "name REGEXP '^a' AND n > 1 # of these"),
    ):
        source = open_source(f"{uri}#t", where=condition, columns=["n", "name"])
        assert isinstance(source, Database)
        assert columns(source) == {"n": [3], "name": ["arne"]}
        assert source.provenance()["where"] == condition
        query = open_source(
            uri, query="SELECT n * 2 AS twice FROM t WHERE name LIKE 'a%';", where="twice < 3"
        )
        assert columns(query) == {"twice": [2]}


def test_a_query_may_stand_in_the_uri(shop: Callable[..., str]) -> None:
    uri = shop("CREATE TABLE t AS SELECT 1 AS i")
    for text in ("SELECT i + 1 AS i FROM t", "SELECT%20i%2B1%20AS%20i%0AFROM%20t", "(TABLE t)"):
        assert open_source(f"{uri}#{text}").schema() == {"i": pl.Int32}
    with pytest.raises(Invalid, match="--query asks for something else"):
        open_source(f"{uri}#t", query="SELECT 1")


def test_a_uri_without_a_table_lists_those_there_are(shop: Callable[..., str]) -> None:
    uri = shop(
        "CREATE TABLE orders (id int)",
        "CREATE SCHEMA old",
        "CREATE VIEW old.clients AS SELECT 1 AS i",
    )
    with pytest.raises(Invalid, match=r"names no table: the database holds orders, old\.clients"):
        open_source(uri).schema()
    with pytest.raises(NotFound, match="did you mean 'orders'"):
        open_source(f"{uri}#oders").schema()
    assert open_source(f"{uri}#old.clients").schema() == {"i": pl.Int32}
    with pytest.raises(NotFound, match=r"has no column 'idd': .*did you mean 'id'"):
        open_source(f"{uri}#orders", columns=["idd"]).schema()
    with pytest.raises(Invalid, match=r"two columns .* are called 'a'"):
        open_source(uri, query="SELECT 1 AS a, 2 AS a").schema()


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("DELETE FROM t", "E-DATA-203"),
        ("/* SELECT */ DROP TABLE t", "E-DATA-203"),
        ("WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone", "E-DATA-215"),
        ("SELECT nextval('numbers')", "E-DATA-203"),
        ("SELECT * FROM t; DELETE FROM t", "E-DATA-204"),
        ("SELECT ';' AS a FROM t) AS x; DELETE FROM t --", "E-DATA-204"),
    ],
)
def test_a_query_that_changes_something_is_refused(
    query: str, code: str, shop: Callable[..., str]
) -> None:
    uri = shop("CREATE TABLE t AS SELECT 1 AS i", "CREATE SEQUENCE numbers")
    with pytest.raises(Invalid) as caught:
        open_source(uri, query=query).scan()
    assert caught.value.code == code
    assert open_source(f"{uri}#t").scan().collect().height == 1


@pytest.mark.parametrize(
    "condition",
    [
        "i = 1; DELETE FROM t",
        "i = 1) OR (i = 2",
        "i = 1) UNION SELECT 2 --",
        "i = 'open",
        "a$x$ = 1) OR (1 = 1 --$x$",
        "i = 1 /* open",
        " -- nothing",
    ],
)
def test_a_condition_stays_one_condition(condition: str) -> None:
    with pytest.raises(Invalid):
        open_source("postgresql://db/shop#t", where=condition)


def test_mysql_conditions_are_read_by_its_own_rules() -> None:
    for condition in (r"a = 'it\'s' AND b = '\\'", "a = '(' # ) ;", "`a;b` = 1"):
        open_source("mysql://db/shop#t", where=condition)
    for condition in ("a > 1 --1) OR (b = 1", "a = 1 /*!) OR (1 = 1 */", r"a = '\' OR b = 1"):
        with pytest.raises(Invalid):
            open_source("mysql://db/shop#t", where=condition)


def test_large_values_are_fetched_in_small_parts() -> None:
    left = [(b"x" * 1_000_000,)] * 200

    def fetch(number: int) -> list[tuple[bytes]]:
        taken, left[:] = left[:number], left[number:]
        return taken

    parts = [len(rows) for rows in paced(fetch)]
    assert sum(parts) == 200
    assert max(parts) <= 64
    assert max(parts[1:]) < 40


def test_a_missing_driver_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymysql", None)
    monkeypatch.delitem(sys.modules, "jupyter_mlops.data.sources.sql.mysql", raising=False)
    with pytest.raises(MLOpsError, match=r"pip install 'jupyter_mlops\[mysql\]'"):
        open_source("mysql://db/shop#t").schema()


def test_a_wrong_path_of_a_file_is_explained(tmp_path: Path, lite: Callable[[str], str]) -> None:
    uri = lite("CREATE TABLE t (i INTEGER)")
    with pytest.raises(NotFound, match=r"did you mean 'shop\.db'"):
        open_source(f"{uri[:-3]}.dbb#t").schema()
    with pytest.raises(NotFound, match="a full path has four slashes: sqlite:////"):
        open_source(f"sqlite://{tmp_path}/shop.db#t").schema()
    with pytest.raises(Invalid, match="is no DuckDB file"):
        open_source(f"duckdb:///{tmp_path}/shop.db#t").schema()


def test_a_dataset_tells_which_rows_of_which_database_it_is(
    tmp_path: Path, mariadb: MariaDB
) -> None:
    name = mariadb.new_database("CREATE TABLE t (i INT)", "INSERT INTO t VALUES (1), (2), (3)")
    ws = Workspace.open(tmp_path / "project")
    added = add(ws, "numbers", mariadb.uri(name, "t"), where="i > 1")
    assert added.rows == 2
    assert added.origin == mariadb.uri(name, "t")
    assert added.provenance.keys() == {"table", "where", "server", "read_at"}
    assert add(ws, "numbers", mariadb.uri(name, "t"), where="i > 1").version == 1
