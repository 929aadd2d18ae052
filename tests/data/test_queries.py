"""SQL over datasets and data frames: kept with its history, and locked in."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pandas as pd
import polars as pl
import psutil
import pytest

from jupyter_mlops import data
from jupyter_mlops.data import sandbox
from jupyter_mlops.data.statements import parse
from jupyter_mlops.verbs.line import parse as parse_line
from jupyter_mlops.verbs.table import find
from jupyter_mlops.views import mimebundle, view
from jupyter_mlops.workspace import Conflict, Invalid, MLOpsError, NotFound, Workspace

TRIPS = pl.DataFrame(
    {"id": [1, 2, 3, 4], "city": ["a", "a", "b", None], "fare": [1.5, 2.5, 4.0, 8]}
)
NAMES = pl.DataFrame({"city": ["a", "b"], "name": ["Aachen", "Bonn"]})
JOINED = """
WITH named AS (SELECT * FROM trips JOIN "names-of-cities" USING (city))
SELECT name, count(*) AS trips, sum(fare) AS fares FROM named GROUP BY name
"""


@pytest.fixture
def lone(tmp_path: Path) -> Workspace:
    """A workspace for what has nothing to do with its database."""
    ws = Workspace.open(tmp_path / "lone")
    data.add(ws, "trips", TRIPS)
    data.add(ws, "names-of-cities", NAMES)
    return ws


def test_the_result_is_a_version_that_says_what_it_was_made_from(ws: Workspace) -> None:
    trips = data.add(ws, "trips", TRIPS)
    names = data.add(ws, "names-of-cities", NAMES)
    made = data.query(ws, JOINED, "fares", key="name")
    assert isinstance(made, data.Dataset)
    assert made.scan().sort("name").collect().rows() == [("Aachen", 2, 4.0), ("Bonn", 1, 4.0)]
    assert made.schema == {"name": "text", "trips": "integer", "fares": "float"}
    found = data.get(Workspace.open(ws.root), "fares")
    assert found.key == "name"
    assert found.provenance["query"] == JOINED.strip()
    assert found.provenance["dialect"].startswith("duckdb ")
    assert [(one["ref"], one["digest"], one["rows"]) for one in found.provenance["inputs"]] == [
        ("data:trips@1", trips.digest, 4),
        ("data:names-of-cities@1", names.digest, 2),
    ]
    event = ws.events(newest=True)[0]
    assert (event.kind, event.outputs) == ("dataset.added", ("data:fares@1",))
    assert event.inputs == ("data:trips@1", "data:names-of-cities@1")


def test_the_same_result_is_the_same_version(ws: Workspace) -> None:
    data.add(ws, "trips", TRIPS)
    first = data.query(ws, "SELECT * FROM trips WHERE fare > 2", "dear")
    again = data.query(ws, "SELECT * FROM trips WHERE fare > 2", "dear")
    other = data.query(ws, "SELECT * FROM trips WHERE fare >= 2.1 ORDER BY id DESC", "dear")
    third = data.query(ws, "SELECT * FROM trips WHERE fare > 3", "dear")
    versions = [one.version for one in (first, again, other, third)]  # type: ignore[union-attr]
    assert versions == [1, 1, 1, 2]
    assert "fare > 2" in data.get(ws, "dear@1").provenance["query"]
    data.add(ws, "trips", TRIPS.head(3))
    fourth = data.query(ws, "SELECT * FROM trips WHERE fare > 3", "dear")
    assert fourth.version == 3  # type: ignore[union-attr]
    assert fourth.provenance["inputs"][0]["ref"] == "data:trips@2"  # type: ignore[union-attr]


def test_the_same_question_over_the_same_content_is_not_asked_twice(
    lone: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = data.query(lone, JOINED, "fares")
    from jupyter_mlops.data.sandbox import SqlSource

    monkeypatch.setattr(SqlSource, "scan", lambda self: pytest.fail("it ran again"))
    assert data.query(lone, JOINED, "fares").ref == first.ref
    monkeypatch.undo()
    # What changes by itself is asked again, and so is what was lost.
    data.query(lone, "SELECT random() AS r FROM trips", "luck")
    second = data.query(lone, "SELECT random() AS r FROM trips", "luck")
    assert second.ref == "data:luck@2"
    assert second.provenance["changing"] == ["random()"]  # type: ignore[union-attr]
    assert "gives other rows when it runs again" in mimebundle(second)["text/plain"]
    lone.artifacts.delete(f"datasets/{first.digest}.parquet")  # type: ignore[union-attr]
    assert data.query(lone, JOINED, "fares").pandas().shape == (2, 3)  # type: ignore[union-attr]


def test_frames_of_the_notebook_are_tables_and_datasets_go_first(lone: Workspace) -> None:
    names = pd.DataFrame({"city": ["a", "b"], "mayor": ["Ada", "Bea"]})
    space = {"mayors": names, "trips": pd.DataFrame({"fare": [0]}), "n": 3}
    made = data.query(
        lone, "SELECT mayor, fare FROM trips JOIN mayors USING (city)", "m", namespace=space
    )
    assert made.rows == 3
    assert [one["ref"] for one in made.provenance["inputs"]] == [  # type: ignore[union-attr]
        "data:trips@1",
        None,
    ]
    assert made.provenance["inputs"][1]["digest"] == data.digest(  # type: ignore[union-attr]
        pl.from_pandas(names).lazy()
    )
    for frame in (pl.from_pandas(names), pl.from_pandas(names).lazy(), names.pipe(pl.from_pandas)):
        assert data.query(lone, "FROM frame", namespace={"frame": frame}).rows.height == 2
    with pytest.raises(Invalid, match=r"'n' is no table: in the notebook it is a int"):
        data.query(lone, "FROM n", namespace=space)


def test_without_a_name_rows_are_shown_and_nothing_is_kept(lone: Workspace) -> None:
    before = len(lone.events())
    shown = data.query(lone, "SELECT id FROM trips ORDER BY id DESC")
    assert shown.rows["id"].to_list() == [4, 3, 2, 1]
    many = data.query(lone, "SELECT * FROM range(10_000_000)")
    assert (many.rows.height, many.total) == (50, None)  # type: ignore[union-attr]
    assert "the first 50 rows" in mimebundle(many)["text/plain"]
    assert len(lone.events()) == before


def test_types_come_back_as_they_went_in(lone: Workspace) -> None:
    from datetime import date, datetime, time, timedelta

    frame = pl.DataFrame(
        {
            "span": [timedelta(days=1, microseconds=5), None],
            "date": [date(2020, 1, 1), None],
            "at": [datetime(2020, 1, 1, 5), None],
            "clock": [time(1, 2, 3), None],
            "list": [[1, 2], None],
            "record": [{"x": 1}, {"x": None}],
            "bytes": [b"\xff", None],
            "yes": [True, None],
            "small": pl.Series([1, 2], dtype=pl.UInt8),
            "money": ["1.50", None],
            "kind": pl.Series(["a", None], dtype=pl.Categorical),
        }
    ).with_columns(
        pl.col("money").cast(pl.Decimal(10, 2)),
        pl.col("at").dt.replace_time_zone("Europe/Paris").alias("there"),
        pl.col("span").cast(pl.Duration("ns")).alias("fine"),
    )
    added = data.add(lone, "types", frame)
    again = data.query(lone, "FROM types", "types")
    assert again.version == added.version  # type: ignore[union-attr]


def test_missing_numbers_are_missing_however_they_are_written(lone: Workspace) -> None:
    frame = pl.DataFrame({"i": [1, 2, 3, 4], "x": [1.0, float("nan"), None, float("inf")]})
    data.add(lone, "gaps", frame.with_columns(y=pl.col("x").cast(pl.Float32)))
    asked = "SELECT count(x), count(y), sum(i) FILTER (x IS NULL), count_if(isinf(x)) FROM gaps"
    assert data.query(lone, asked).rows.row(0) == (2, 2, 5, 1)
    assert data.query(lone, "SELECT i FROM gaps WHERE x > 0.5").rows["i"].to_list() == [1, 4]
    # DuckDB trusts a file's own word for its largest number, and NaN is none of its numbers.
    many = data.query(lone, "SELECT g.i, h.x FROM gaps g LEFT JOIN gaps h USING (i) ORDER BY i")
    assert many.rows["x"].to_list() == [1.0, None, None, float("inf")]


def test_what_frames_cannot_hold_is_made_plain(lone: Workspace) -> None:
    made = data.query(
        lone,
        """SELECT sum(id) AS whole, uuid() AS u, max(id) * INTERVAL 1 DAY AS span,
           'x'::ENUM ('x') AS e, '{}'::JSON AS j FROM trips""",
        "plain",
    )
    assert list(made.schema.values()) == [  # type: ignore[union-attr]
        "integer",
        "text",
        "duration",
        "text",
        "text",
    ]
    with pytest.raises(Invalid, match="out of range"):
        data.query(lone, "SELECT sum(9223372036854775807) AS x FROM trips", "huge")


@pytest.mark.parametrize(
    ("sql", "error", "says"),
    [
        ("SELECT * FROM tripz", NotFound, r"no dataset or data frame is called 'tripz'.*'trips'"),
        ("SELECT * FROM 'other.csv'", NotFound, "data add"),
        ('FROM "trips@7"', NotFound, "has no version 7"),
        ("SELECT *\n  FORM trips", Invalid, r"line 2, column 8"),
        ("SELECT * FROM trips@1", Invalid, r"line 1, column 20: .*double quotes"),
        ("SELECT * FROM names-of-cities", Invalid, "double quotes"),
        ("SELECT faer FROM trips", Invalid, r'"faer" not found.*"fare"'),
        ("SELECT city::INT FROM trips", Invalid, "Could not convert string 'a'"),
        ("SELECT id, id FROM trips", Invalid, "two columns of the result are called 'id'"),
        ("SELECT 1; SELECT 2", Invalid, "holds 2 statements"),
        ("-- nothing", Invalid, "no SQL"),
        ("DROP TABLE trips", Invalid, "no SELECT"),
        ("SELECT * FROM trips WHERE false", Invalid, "no rows"),
    ],
)
def test_mistakes_are_one_sentence_and_leave_nothing(
    lone: Workspace, sql: str, error: type[MLOpsError], says: str
) -> None:
    before = (len(lone.events()), lone.artifacts.list())
    with pytest.raises(error, match=says) as caught:
        data.query(lone, sql, "made")
    assert "\n" not in str(caught.value)
    assert (len(lone.events()), lone.artifacts.list()) == before


def test_sql_reaches_nothing_but_its_tables(
    lone: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Web(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

    server = HTTPServer(("127.0.0.1", 0), Web)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    web = f"http://127.0.0.1:{server.server_port}/x"
    out = tmp_path / "out.csv"
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    frame_of_this_process = TRIPS
    for sql in (
        "SELECT * FROM read_csv('/etc/passwd')",
        f"SELECT * FROM read_csv('{secret}')",
        f"SELECT * FROM '{secret}'",
        f"SELECT * FROM read_text('{secret}')",
        f"SELECT * FROM glob('{tmp_path}/*')",
        f"SELECT * FROM read_parquet('{web}.parquet')",
        f"SELECT * FROM read_csv('{web}.csv')",
        f"COPY (SELECT 1) TO '{out}'",
        f"ATTACH '{out}' AS other",
        f"EXPORT DATABASE '{out}'",
        f"SELECT * FROM query('COPY (SELECT 1) TO ''{out}''')",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "CREATE TABLE t AS SELECT 1",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "SELECT * FROM frame_of_this_process",
        "SELECT getenv('HOME')",
    ):
        with pytest.raises(MLOpsError) as caught:
            data.query(lone, sql, "made")
        assert caught.value.code in {"E-DATA-070", "E-DATA-071", "E-DATA-072", "E-DATA-073"}
    server.shutdown()
    assert frame_of_this_process is TRIPS
    assert asked == []
    assert not out.exists()


def test_duckdb_itself_refuses_what_the_parser_lets_through(lone: Workspace) -> None:
    from jupyter_mlops.data.sandbox import sandbox

    frame_of_this_process = TRIPS
    with sandbox({"trips": data.get(lone, "trips")}) as connection:
        assert connection.sql("SELECT count(*) FROM trips").fetchall() == [(4,)]
        for sql in (
            "COPY trips TO '/tmp/never.csv'",
            "ATTACH '/tmp/never.db'",
            "SET memory_limit = '1TB'",
            "SET enable_external_access = true",
            "SELECT * FROM read_csv('/etc/passwd')",
        ):
            with pytest.raises(Exception, match=r"disabled by configuration|has been locked"):
                connection.execute(sql)
        with pytest.raises(Exception, match="does not exist"):
            connection.execute("SELECT * FROM frame_of_this_process")
    assert frame_of_this_process is TRIPS


def test_a_large_result_streams_in_bounded_memory(lone: Workspace) -> None:
    big = lone.root / "big.parquet"
    pl.select(i=pl.int_range(1_000_000)).with_columns(
        x=pl.col("i") * 0.5, s=pl.format("value number {}", "i")
    ).write_parquet(big)
    lone.settings.copy_limit = 1000
    data.add(lone, "big", str(big))
    before = psutil.Process().memory_info().rss
    made = data.query(lone, "SELECT *, x * 2 AS y FROM big", "more")
    assert made.rows == 1_000_000
    assert psutil.Process().memory_info().rss - before < 350e6


_ENDLESS = """
import signal, sys, threading, time

from jupyter_mlops import data
from jupyter_mlops.data import sandbox
from jupyter_mlops.workspace import Workspace

# A process whose parent ignores interrupts would ignore them too.
signal.signal(signal.SIGINT, signal.default_int_handler)
ws = Workspace.open(sys.argv[1])


def tell():
    while not sandbox._OPEN:
        time.sleep(0.01)
    print("running", flush=True)


threading.Thread(target=tell, daemon=True).start()
try:
    hours = "SELECT sum(a.range * b.range % 7) FROM range(10_000_000) a, range(10_000_000) b"
    data.query(ws, hours, *sys.argv[2:])
except KeyboardInterrupt:
    print("interrupted", len(sandbox._OPEN), data.query(ws, "FROM trips").total)
"""


@pytest.mark.parametrize("name", [[], ["kept"]], ids=["shown", "kept"])
def test_a_query_that_takes_too_long_can_be_interrupted(lone: Workspace, name: list[str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _ENDLESS, str(lone.root), *name],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as shell:
        assert shell.stdout is not None
        try:
            assert shell.stdout.readline() == "running\n"
            shell.send_signal(signal.SIGINT)
            said, _ = shell.communicate(timeout=60)
        finally:
            shell.kill()
    assert said == "interrupted 0 4\n"


def test_an_interrupt_while_the_work_is_handed_over_ends_it_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[type[BaseException] | None] = []

    def work() -> None:
        long = "SELECT sum(a.range * b.range % 7) FROM range(200_000) a, range(200_000) b"
        try:
            # The interrupt may come as early as when the sandbox is being locked.
            with sandbox.sandbox({}) as connection, sandbox.explained():
                connection.sql(long).fetchall()
        finally:
            ended.append(sys.exc_info()[0])

    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        while not sandbox._OPEN:
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sandbox.stoppable(work)
    assert ended
    assert ended != [None]
    assert not sandbox._OPEN


def test_the_parser_finds_tables_and_what_changes_by_itself() -> None:
    def read(sql: str) -> tuple[list[str], list[str]]:
        found = parse(sql)
        return found.tables, found.changing

    assert read("WITH a AS (FROM x) SELECT * FROM a, (SELECT * FROM y WHERE i IN (FROM z))") == (
        ["x", "y", "z"],
        [],
    )
    assert read("WITH a AS (FROM a) FROM a") == (["a"], [])
    assert read(
        "WITH RECURSIVE n AS (SELECT 1 i UNION SELECT i + 1 FROM n WHERE i < 3) FROM n"
    ) == (
        [],
        [],
    )
    assert read("SELECT now() FROM a LIMIT 3")[1] == ["LIMIT without ORDER BY", "now()"]
    assert read("SELECT current_date, i FROM a ORDER BY i LIMIT 3")[1] == ["current_date()"]
    assert read("FROM a TABLESAMPLE 10%")[1] == ["a sample"]


def test_names_that_sql_cannot_tell_apart_are_refused(lone: Workspace) -> None:
    assert data.query(lone, "FROM TRIPS").total == 4  # type: ignore[union-attr]
    data.add(lone, "Trips", NAMES)
    assert data.query(lone, "FROM Trips").total == 2  # type: ignore[union-attr]
    with pytest.raises(Conflict, match="can't tell 'trips' from 'Trips'"):
        data.query(lone, "FROM trips, Trips")


def test_the_verb_takes_a_body_or_a_flag(lone: Workspace) -> None:
    line = parse_line(["data", "query", "dear"])
    made = line.call(lone, "SELECT * FROM mine\n", {"mine": TRIPS})
    assert (made.ref, made.rows) == ("data:dear@1", 4)
    shown = view(parse_line(["data", "query", "--sql", "SELECT 1 AS one"]).call(lone))
    assert (shown.kind, shown.subtitle) == ("preview", "1 row")
    with pytest.raises(Invalid, match="needs SQL"):
        find("data query")(lone)
    with pytest.raises(Invalid, match="a body and --sql"):
        find("data query")(lone, body="SELECT 1", sql="SELECT 1")


def test_part_of_a_dataset_says_which_part_it_is(ws: Workspace) -> None:
    data.add(ws, "trips", TRIPS)
    made = find("data add")(
        ws, name="cheap", source="trips", where="fare < 3", columns=["id", "fare"]
    )
    assert made.rows == 2
    assert made.provenance == {"where": "fare < 3", "columns": ["id", "fare"]}
    assert made.origin == "data:trips@1"
    assert ws.events(newest=True)[0].inputs == ("data:trips@1",)
    text = mimebundle(made)["text/plain"]
    assert "Only rows where: fare < 3" in text
    shown = find("data sample")(ws, source="trips", where="city = 'a'", columns=["fare"])
    assert sorted(shown.rows["fare"]) == [1.5, 2.5]
    assert "Only rows where city = 'a'" in mimebundle(shown)["text/plain"]
