"""A profile is made in one pass, kept, and looks right whatever the data."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from jupyter_mlops import data, profiling
from jupyter_mlops.verbs.table import find
from jupyter_mlops.views import mimebundle, view
from jupyter_mlops.workspace import Invalid, NotFound, Workspace

ODD = pl.DataFrame(
    {
        "nothing": pl.Series([None] * 5, dtype=pl.Null),
        "empty": pl.Series([None] * 5, dtype=pl.Float64),
        "nan": [float("nan")] * 5,
        "inf": [float("inf"), 1.0, None, float("-inf"), 2.0],
        "huge": [1e308, -1e308, 1e308, 0.0, None],
        "list": [[1], [1, 2], None, [], [1]],
        "record": [{"a": 1}, {"a": None}, None, {"a": 1}, {"a": 2}],
        "bytes": [b"a", b"", None, b"a" * 1000, b"b"],
        "price": [Decimal("1.10"), None, Decimal("2"), Decimal("3"), Decimal("3")],
        "took": [timedelta(seconds=3), None, timedelta(0), timedelta(1), timedelta(1)],
        "kind": pl.Series(["a", "b", None, "a", "a"], dtype=pl.Categorical),
        "<script>alert('x')</script>": ["<b>", "</td>", '"', "\n", None],
        'it\'s\na "name"': ["x" * 1_000_000, None, "", "y", "y"],
        "": [1, 2, 3, 4, 5],
        "ü": [True, None, False, True, True],
    }
)


def test_odd_types_and_names_are_profiled_and_stay_harmless() -> None:
    made = profiling.profile(ODD.lazy())
    assert list(made.columns) == ODD.columns
    assert made.columns["nan"].missing == 5
    assert made.columns["inf"].infinite == 2
    assert made.columns["inf"].moments.mean == 1.5
    assert made.columns["price"].moments.mean == pytest.approx(2.275)
    assert made.columns["list"].values.distinct() == 3
    assert made.columns["bytes"].present == 4
    bundle = mimebundle(made)
    assert "<script>" not in bundle["text/html"]
    assert len(str(bundle)) < 200_000


def test_odd_types_are_kept_and_read_back(ws: Workspace) -> None:
    table = ODD.with_columns(pl.col("nothing").cast(pl.String))
    data.add(ws, "odd", table)
    made = find("profile")(ws, source="odd")
    back = find("profile")(ws, source="odd")
    assert back.id == made.id
    assert back.columns["huge"].high == 1e308
    assert mimebundle(back)["text/plain"] == mimebundle(made)["text/plain"]


def test_a_wide_table_of_long_names_stays_under_200_kb() -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {f"column number {i} " * 30: rng.normal(size=300) for i in range(1000)}
        | {"y": rng.random(300) < 0.5}
    )
    made = profiling.profile(frame.lazy(), target="y")
    bundle = mimebundle(made)
    for kind, content in bundle.items():
        assert len(str(content).encode()) < 200_000, kind
    assert len(bundle["text/plain"].splitlines()) <= 15
    assert view(made).blocks


@pytest.mark.parametrize(
    ("frame", "target", "error", "says"),
    [
        (pl.DataFrame({"late": [1]}), "lat", NotFound, "did you mean 'late'"),
        (pl.DataFrame({"late": []}), None, Invalid, "no rows"),
        (pl.DataFrame(), None, Invalid, "no columns"),
    ],
)
def test_what_cannot_be_profiled_leaves_nothing(
    ws: Workspace, frame: pl.DataFrame, target: str | None, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        find("profile")(ws, source=frame, target=target)
    assert ws.events() == []
    assert ws.artifacts.list() == []


@pytest.mark.parametrize("labels", [[None] * 60, [1] * 60, [f"t{i}" for i in range(60)]])
def test_a_target_that_teaches_nothing_is_said(labels: list[object]) -> None:
    frame = pl.DataFrame({"x": range(60), "y": pl.Series(labels, strict=False)})
    made = profiling.profile(frame.lazy(), target="y")
    assert mimebundle(made)["text/plain"]
    if labels[0] == 1 or labels[0] is None:
        assert made.advice[0].column == "y"


def test_the_same_content_and_target_is_profiled_once(ws: Workspace) -> None:
    frame = pd.DataFrame({"x": range(500), "y": [i % 3 == 0 for i in range(500)]})
    data.add(ws, "t", frame)
    first = find("profile")(ws, source="t", target="y")
    again = find("profile")(ws, source="t", target="y")
    other = find("profile")(ws, source="t")
    assert (again.id, other.id != first.id) == (first.id, True)
    assert again.to_dict() == first.to_dict()
    assert [e.kind for e in ws.events()] == ["dataset.added", "profile.made", "profile.made"]
    assert list(ws.events()[1].inputs) == ["data:t@1"]
    assert profiling.get(ws, first.id).advice == first.advice
    assert view(again).ref == f"profile:{first.id}"
    with pytest.raises(NotFound):
        profiling.get(ws, "nope")


def test_a_profile_says_in_fifteen_lines_what_matters(ws: Workspace, nyc: dict[str, Path]) -> None:
    frame = data.open_source(str(nyc["flights.csv.zip"])).scan().head(60_000)
    late = frame.with_columns(late=pl.col("arr_delay") > 15)
    text = mimebundle(find("profile")(ws, source=late, target="late"))["text/plain"]
    assert len(text.splitlines()) <= 15
    for word in ("dep_delay", "arr_time", "air_time", "tailnum", "Missing labels"):
        assert word in text
    assert text.index("leakage") < text.index("Columns (20)")


def test_two_tables_side_by_side(ws: Workspace) -> None:
    rng = np.random.default_rng(0)
    here = pd.DataFrame({"x": rng.normal(3, 1, 5000), "k": rng.choice(["a", "b"], 5000), "new": 1})
    there = pd.DataFrame({"x": rng.normal(0, 1, 5000), "k": rng.choice(["a", "b"], 5000)})
    both = find("profile")(ws, source=here, against=there)
    assert both.distances["x"] > 0.7
    assert both.distances["k"] < 0.05
    text = mimebundle(both)["text/plain"]
    assert "Only in" in text
    assert "new" in text


def test_a_year_of_flights_takes_seconds(nyc: dict[str, Path], tmp_path: Path) -> None:
    frame = data.open_source(str(nyc["flights.csv.zip"])).scan()
    frame.sink_parquet(tmp_path / "f.parquet")
    made = profiling.profile(pl.scan_parquet(tmp_path / "f.parquet"), target="arr_delay")
    assert made.rows == 336_776
    assert made.seconds < 30  # about 1 s on two quiet cores
    expected = frame.select(pl.all().null_count()).collect().row(0, named=True)
    assert {name: column.missing for name, column in made.columns.items()} == expected
    truth = frame.select(pl.all().n_unique()).collect().row(0, named=True)
    for name, column in made.columns.items():
        gap = 1 if column.missing else 0
        assert column.values.distinct() == pytest.approx(truth[name] - gap, rel=0.02)


def test_distinct_values_are_never_more_than_there_are_rows() -> None:
    # The estimate of these 2,990 different values is 3,030.
    column = profiling.profile(pl.LazyFrame({"id": range(2990)})).columns["id"]
    assert not column.values.exact
    assert 2900 < column.distinct <= 2990 < column.values.distinct()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1359, "1359"),
        (1402.4, "1402"),
        (9999.7, "10,000"),
        (12345, "12,345"),
        (-12345.0, "-12,345"),
        (0.25, "0.25"),
        (-0.0, "0"),
        (1e300, "1e+300"),
    ],
)
def test_numbers_of_one_size_are_written_alike_whatever_their_type(value: float, text: str) -> None:
    for kind in (pl.Int64(), pl.Float64(), pl.Decimal(38, 2)):
        assert profiling.ColumnProfile.of("x", kind).shown(value, 4) == text


def test_keys_years_and_codes_are_written_as_the_names_they_are() -> None:
    rows = {
        "order": np.arange(20_000),
        "year": np.arange(20_000) % 2 + 12_013,
        "zip": np.arange(20_000) % 2 + 70_173,
        "paid": np.arange(20_000) * 1.5,
    }
    made = profiling.profile(pl.LazyFrame(rows))
    assert made.columns["order"].shown(19_999) == "19999"
    assert made.columns["year"].shown(12_013) == "12013"
    assert made.columns["zip"].shown(70_173) == "70173"
    assert made.columns["paid"].shown(19_999) == "19,999"


def test_the_ends_of_a_histogram_are_written_as_the_values_are() -> None:
    values = np.arange(4000) % 1000 * 8
    made = profiling.profile(pl.LazyFrame({"whole": values, "real": values + 0.0}))
    blocks = [block for block in view(made).blocks if block.type == "explorer"]
    ends = {row["name"]: row["spread"]["ends"] for block in blocks for row in block.rows}
    assert ends["whole"] == ends["real"] == ["0", "≥ 7984"]
