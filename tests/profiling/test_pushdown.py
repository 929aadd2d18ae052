"""A large table of a database is profiled where it is, and the profile is that of its rows."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
import psycopg
import pytest

from jupyter_mlops import profiling
from jupyter_mlops.data import Table, open_source
from jupyter_mlops.data.sources.sql.opening import Database
from jupyter_mlops.profiling import Profile, make, profile, pushdown
from jupyter_mlops.profiling.pushdown import _as_many, pushed_down
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import NotFound, Workspace
from servers.postgresql import PostgreSQL

ROWS = 25_000


@pytest.fixture(scope="module")
def flights(nyc: dict[str, Path]) -> pl.DataFrame:
    with zipfile.ZipFile(nyc["flights.csv.zip"]) as archive:
        text = archive.read(archive.namelist()[0])
    frame = pl.read_csv(text, n_rows=ROWS, null_values="NA", try_parse_dates=True)
    # Faults that numbers have: NaN, infinity, and values whose powers overflow.
    x = pl.int_range(pl.len()).cast(pl.Float64)
    wild = pl.when(x == 5).then(float("nan")).when(x == 6).then(float("-inf")).otherwise(x * 1e100)
    return frame.with_columns(
        wild=wild,
        price=(x / 8).cast(pl.Decimal(12, 2)),
        late=pl.col("dep_delay") > 15,
        parts=pl.concat_list("day", "hour"),
    )


@pytest.fixture(scope="module")
def fetched(flights: pl.DataFrame) -> Profile:
    return profile(flights.lazy(), target="arr_delay")


@pytest.fixture(scope="module", params=["postgresql", "duckdb"])
def uri(
    request: pytest.FixtureRequest,
    flights: pl.DataFrame,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("flights")
    path = folder / "flights.duckdb"
    with duckdb.connect(path) as connection:
        connection.execute("CREATE TABLE flights AS SELECT * FROM flights")
    if request.param == "duckdb":
        yield f"duckdb:///{path}#flights"
        return
    server: PostgreSQL = request.getfixturevalue("postgresql")
    address = server.new_database()
    kinds = {
        pl.Int64: "bigint",
        pl.Float64: "float8",
        pl.String: "text",
        pl.Boolean: "boolean",
        pl.Datetime: "timestamptz",
        pl.Decimal: "numeric(12, 2)",
        pl.List: "bigint[]",
    }
    names = ", ".join(f"{name} {kinds[type(kind)]}" for name, kind in flights.schema.items())
    with psycopg.connect(address) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE flights ({names})")
        lists = pl.concat_str(pl.lit("{"), "day", pl.lit(","), "hour", pl.lit("}"))
        with cursor.copy("COPY flights FROM STDIN (FORMAT csv)") as copy:
            copy.write(flights.with_columns(parts=lists).write_csv(include_header=False))
        cursor.execute("ANALYZE flights")
    yield f"{address}#flights"


def test_what_the_database_counts_is_what_its_rows_hold(uri: str, fetched: Profile) -> None:
    source = open_source(uri)
    assert isinstance(source, Database)
    made = pushed_down(Table(source), "arr_delay", always=True)
    assert made is not None
    assert not source.fetched
    assert made.rows == fetched.rows == ROWS
    for name, told in fetched.columns.items():
        column = made.columns[name]
        if name == "parts":
            assert column.fault
            assert column.missing == told.missing
            continue
        for fact in ("type", "missing", "infinite", "zeros", "negatives", "unlabelled"):
            assert getattr(column, fact) == getattr(told, fact), (name, fact)
        assert column.low == pytest.approx(told.low), name
        assert column.high == pytest.approx(told.high), name
        assert column.semantic == told.semantic, name
        for fact in ("count", "mean", "deviation", "skewness", "kurtosis"):
            wanted, found = getattr(told.moments, fact), getattr(column.moments, fact)
            close = None if wanted is None else pytest.approx(wanted, rel=1e-6)
            assert found == close, (name, fact)
        assert column.values.exact == told.values.exact, name
        assert column.values.distinct() == pytest.approx(told.values.distinct(), rel=0.02), name
        if told.values.exact:
            assert column.values.counts == told.values.counts, name
        if told.times is not None and column.times is not None:
            assert column.times.latest == told.times.latest
            assert column.times.counts.sum() == told.times.counts.sum()
    wanted = [one.finding for one in fetched.advice if one.finding != "nested"]
    assert [one.finding for one in made.advice] == wanted


def test_quantiles_of_the_database_are_within_two_percent_of_rank(
    uri: str, flights: pl.DataFrame
) -> None:
    made = pushed_down(Table(open_source(uri, columns=["dep_time", "flight"])), always=True)
    assert made is not None
    for name in ("dep_time", "flight"):
        values = flights[name].drop_nulls()
        for rank in (0.01, 0.25, 0.5, 0.75, 0.99):
            found = made.columns[name].quantile(rank)
            assert found is not None
            below, upto = (values < found).mean(), (values <= found).mean()
            assert below - 0.02 <= rank <= upto + 0.02, (name, rank)  # type: ignore[operator]


def test_only_large_tables_stay_where_they_are(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws = Workspace.open(tmp_path / "project")
    small = Table(open_source(uri, columns=["origin", "distance"]))
    assert len(make(ws, small).digest) == 32
    assert small.source.fetched  # type: ignore[attr-defined]
    monkeypatch.setattr(pushdown, "LARGE_ROWS", ROWS // 2)
    large = Table(open_source(uri, columns=["origin", "distance"]))
    made = make(ws, large)
    assert not large.source.fetched  # type: ignore[attr-defined]
    assert made.digest.startswith("unread-")
    assert made.columns["origin"].values.top(1)[0][0] == "EWR"
    dialect = "DuckDB" if "duckdb" in uri else "PostgreSQL"
    told = mimebundle(made)["text/plain"]
    assert f"Counts are {dialect}'s own" in told
    assert "sample of 20,000 rows" in " ".join(told.split())
    assert profiling.get(ws, made.id).counted_by == dialect
    assert pushed_down(small) is None


def test_a_filter_and_a_missing_target_are_minded(uri: str) -> None:
    part = Table(open_source(uri, where="origin = 'JFK'", columns=["origin", "distance"]))
    made = pushed_down(part, always=True)
    assert made is not None
    assert made.columns["origin"].semantic == "constant"
    assert made.rows == part.rows
    with pytest.raises(NotFound, match="did you mean 'distance'"):
        pushed_down(part, "distanc", always=True)


@pytest.mark.parametrize("number", [1, 2000, 50_000, 7_000_000, 10**12])
def test_a_count_of_distinct_values_survives_as_a_sketch(number: int) -> None:
    assert _as_many(number).estimate() == pytest.approx(number, rel=0.01)
