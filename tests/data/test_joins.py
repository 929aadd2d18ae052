"""Point-in-time joins give each row what was known before it, and nothing that came later."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from jupyter_mlops import data
from jupyter_mlops.verbs.table import find
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import MLOpsError, Workspace

NOON = datetime(2024, 5, 1, 12)
HOUR = timedelta(hours=1)
TRIPS = pl.DataFrame(
    {
        "trip": [1, 2, 3, 4],
        "city": ["a", "a", "b", "c"],
        "at": [NOON, NOON + HOUR, NOON + HOUR, NOON],
        "temp": ["own", "own", "own", "own"],
    }
)
WEATHER = pl.DataFrame(
    {
        "city": ["a", "a", "a", "a", "b", "b"],
        "at": [NOON - 5 * HOUR, NOON, NOON + HOUR, NOON + 2 * HOUR, NOON, NOON + 9 * HOUR],
        "temp": [10.0, 12.0, 13.0, 14.0, 20.0, 29.0],
        "sky": ["dark", "noon", "one", "two", "b", "later"],
    }
)


@pytest.fixture
def lone(tmp_path: Path) -> Workspace:
    ws = Workspace.open(tmp_path / "lone")
    data.add(ws, "trips", TRIPS, key="trip", time="at")
    data.add(ws, "weather", WEATHER, time="at")
    return ws


def joined(ws: Workspace, **how: object) -> dict[int, str | None]:
    made = data.asof(ws, "trips", "weather", **{"by": ["city"], **how})  # type: ignore[arg-type]
    assert isinstance(made, data.Preview)
    return dict(made.rows.select("trip", "sky").rows())


def test_the_last_row_strictly_before_is_taken(lone: Workspace) -> None:
    assert joined(lone) == {1: "dark", 2: "noon", 3: "b", 4: None}
    assert joined(lone, equal=True) == {1: "noon", 2: "one", 3: "b", 4: None}


def test_a_row_that_is_too_old_is_none(lone: Workspace) -> None:
    assert joined(lone, tolerance="4h") == {1: None, 2: "noon", 3: "b", 4: None}
    assert joined(lone, tolerance="1h") == {1: None, 2: "noon", 3: "b", 4: None}
    assert joined(lone, tolerance="59m") == {1: None, 2: None, 3: None, 4: None}


def test_rows_of_the_future_never_matter(lone: Workspace) -> None:
    before = joined(lone, equal=True)
    planted = [
        {
            "city": city,
            "at": at + timedelta(microseconds=1),
            "temp": -99.0,
            "sky": "from the future",
        }
        for city, at in TRIPS.select("city", "at").rows()
        for _ in range(3)
    ]
    worse = pl.concat([WEATHER, pl.DataFrame(planted)]).filter(
        pl.col("sky").is_in(["one", "two"]).not_() | (pl.col("at") <= NOON + HOUR)
    )
    data.add(lone, "weather", worse, time="at")
    after = joined(lone, equal=True)
    # Trip 2 may know what was planted behind trip 1, an hour earlier, but it knew a later row.
    assert after == before


def test_the_result_is_a_version_that_says_what_it_was_made_from(ws: Workspace) -> None:
    trips = data.add(ws, "trips", TRIPS, key="trip", time="at")
    weather = data.add(ws, "weather", WEATHER, time="at")
    made = find("data asof")(
        ws, left="trips", right="weather", by=["city"], tolerance="6h", save="features"
    )
    assert made.schema == {
        "trip": "integer",
        "city": "text",
        "at": "datetime",
        "temp": "text",
        "at_right": "datetime",
        "temp_right": "float",
        "sky": "text",
    }
    rows = made.scan().sort("trip").collect()
    assert rows["temp"].to_list() == ["own"] * 4
    assert rows["temp_right"].to_list() == [10.0, 12.0, 20.0, None]
    assert rows["at_right"].to_list() == [NOON - 5 * HOUR, NOON, NOON, None]
    found = data.get(Workspace.open(ws.root), "features")
    assert (found.key, found.time) == ("trip", "at")
    assert found.provenance["asof"] == {
        "left": "data:trips@1",
        "right": "data:weather@1",
        "on": ["at", "at"],
        "by": [["city", "city"]],
        "tolerance": "6h",
        "equal": False,
        "rows": 4,
        "matched": 3,
        "repeated": 0,
    }
    assert [one["digest"] for one in found.provenance["inputs"]] == [trips.digest, weather.digest]
    assert ws.events(newest=True)[0].inputs == ("data:trips@1", "data:weather@1")
    text = mimebundle(found)["text/plain"]
    assert "the last of weather@1 before at with the same city, at most 6h old" in text
    assert "Found: 3 of 4 rows" in text
    again = data.asof(ws, "trips", "weather", by=["city"], tolerance="6h", save="features")
    assert again.ref == "data:features@1"


def test_flights_get_the_weather_that_was_known_as_pandas_finds_it(
    tmp_path: Path, nyc: dict[str, Path]
) -> None:
    ws = Workspace.open(tmp_path / "nyc")
    data.add(ws, "flights", str(nyc["flights.csv.zip"]), time="time_hour")
    data.add(ws, "weather", str(nyc["weather.csv"]), time="time_hour")
    made = data.asof(ws, "flights", "weather", by=["origin"], tolerance="2h", save="known")
    assert isinstance(made, data.Dataset)
    assert made.rows == 336_776
    columns = ["origin", "time_hour", "temp", "time_hour_right"]
    ours = made.scan().select(columns).sort(columns, nulls_last=True).collect().to_pandas()
    flights = data.get(ws, "flights").pandas()[["origin", "time_hour"]]
    weather = data.get(ws, "weather").pandas()[["origin", "time_hour", "temp"]]
    theirs = pd.merge_asof(
        flights.sort_values("time_hour"),
        weather.assign(time_hour_right=weather["time_hour"]).sort_values("time_hour"),
        on="time_hour",
        by="origin",
        tolerance=pd.Timedelta("2h"),
        allow_exact_matches=False,
    )
    theirs = theirs.sort_values(columns)[columns].reset_index(drop=True)
    pd.testing.assert_frame_equal(ours, theirs, check_dtype=False)
    gap = ours["time_hour"] - ours["time_hour_right"]
    assert gap.dropna().between(pd.Timedelta("1s"), pd.Timedelta("2h")).all()


def test_of_rows_of_one_time_always_the_same_is_taken(lone: Workspace) -> None:
    twice = pl.concat([WEATHER, WEATHER.with_columns(pl.lit("zz").alias("sky"))])
    for seed in range(3):
        data.add(lone, f"twice{seed}", twice.sample(fraction=1, shuffle=True, seed=seed), time="at")
        shown = data.asof(lone, "trips", f"twice{seed}", by=["city"])
        assert set(shown.rows["sky"]) == {"zz", None}  # type: ignore[union-attr]
        assert "6 times occur more than once" in mimebundle(shown)["text/plain"]


def test_columns_may_have_other_names_and_times_other_units_and_zones(lone: Workspace) -> None:
    trips = TRIPS.with_columns(
        pl.col("at").dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo")
    ).rename({"city": "town"})
    weather = WEATHER.with_columns(
        pl.col("at").dt.replace_time_zone("UTC").dt.cast_time_unit("ms")
    ).rename({"at": "seen"})
    shown = data.asof(lone, trips, weather, on="at=seen", by=["town=city"], suffix="_there")
    rows = shown.rows.sort("trip")  # type: ignore[union-attr]
    assert rows["sky"].to_list() == ["dark", "noon", "b", None]
    assert "temp_there" in rows.columns
    nanos = WEATHER.with_columns(
        (pl.col("at").cast(pl.Datetime("ns")) + pl.duration(nanoseconds=1)).alias("at")
    )
    shown = data.asof(lone, TRIPS, nanos, on="at", by=["city"], equal=True)
    # A nanosecond later is later.
    assert shown.rows.sort("trip")["sky"].to_list() == ["dark", "noon", "b", None]  # type: ignore[union-attr]


def test_dates_are_joined_as_days(lone: Workspace) -> None:
    days = pl.DataFrame({"at": [date(2024, 5, 1), date(2024, 5, 2)], "rate": [1, 2]})
    trips = pl.DataFrame({"at": [date(2024, 5, 2), date(2024, 5, 3)]})
    assert data.asof(lone, trips, days, on="at").rows["rate"].to_list() == [1, 2]  # type: ignore[union-attr]
    # A day begins at midnight: what was measured during it isn't known yet.
    hours = pl.DataFrame({"at": [datetime(2024, 5, 1, 23), datetime(2024, 5, 2, 1)], "v": [1, 2]})
    assert data.asof(lone, trips, hours, on="at").rows["v"].to_list() == [1, 2]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("how", "right", "says"),
    [
        ({"on": "att"}, WEATHER, r"has no column 'att' to join by: .*did you mean 'at'"),
        ({"on": "at", "by": ["town"]}, WEATHER, "has no column 'town'"),
        ({}, WEATHER, "isn't recorded with a column of times"),
        ({"on": "at=temp"}, WEATHER, "both must be dates or datetimes"),
        (
            {"on": "at"},
            WEATHER.with_columns(pl.col("at").dt.replace_time_zone("UTC")),
            "doesn't say which it is in",
        ),
        ({"on": "at"}, WEATHER.with_columns(pl.col("at").dt.date()), "it might look ahead"),
        ({"on": "at", "by": ["trip=city"]}, WEATHER, "'trip' and 'city' can't be equal"),
        ({"on": "at", "tolerance": "short"}, WEATHER, "'short' can't be a tolerance"),
        ({"on": "at", "suffix": ""}, WEATHER, "two columns called 'city'"),
        ({"on": "at", "save": "a b"}, WEATHER, "can't name a dataset"),
    ],
)
def test_what_cannot_be_joined_without_guessing_is_refused(
    lone: Workspace, how: dict[str, object], right: pl.DataFrame, says: str
) -> None:
    before = len(lone.events())
    with pytest.raises(MLOpsError, match=says) as caught:
        data.asof(lone, "trips", right, **how)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert len(lone.events()) == before
