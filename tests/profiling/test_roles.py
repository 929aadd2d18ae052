"""The key and the time that a dataset was recorded with are taken for what they are."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from jupyter_mlops import data
from jupyter_mlops.profiling import Profile, prepare, profile
from jupyter_mlops.verbs.table import find
from jupyter_mlops.workspace import NotFound, Workspace

START = datetime(2013, 1, 1)


def joined(rows: int = 3000) -> pl.DataFrame:
    """Rows with their own time, and the earlier one of what an as-of join brought along."""
    rng = np.random.default_rng(3)
    hours = np.sort(rng.integers(0, 3000, rows))
    back = rng.integers(20, 120, rows)
    ahead = rng.integers(60, 400, rows)
    own = [START + timedelta(hours=int(h)) for h in hours]
    return pl.DataFrame(
        {
            "flight_id": np.arange(rows),
            "time_hour_right": [
                t - timedelta(minutes=int(m)) for t, m in zip(own, back, strict=True)
            ],
            "time_hour": own,
            "landed": [t + timedelta(minutes=int(m)) for t, m in zip(own, ahead, strict=True)],
            "temp": rng.normal(size=rows),
            "delay": rng.normal(size=rows) + hours / 500,
        }
    )


def told(made: Profile, finding: str) -> set[str]:
    return {one.column for one in made.advice if one.finding == finding}


@pytest.fixture(scope="module")
def declared() -> Profile:
    return profile(joined().lazy(), target="delay", key="flight_id", time="time_hour")


def test_without_roles_the_earliest_time_is_the_clock_and_the_key_is_named() -> None:
    made = profile(joined().lazy(), target="delay")
    assert told(made, "identifier") == {"flight_id"}
    assert told(made, "time leakage") == {"time_hour", "landed"}
    assert told(made, "order in time") == {"time_hour_right"}


def test_the_declared_time_is_no_leakage_and_neither_is_what_lies_before_it(
    declared: Profile,
) -> None:
    assert told(declared, "time leakage") == {"landed"}
    late = next(one for one in declared.advice if one.finding == "time leakage")
    assert "lies after 'time_hour'" in late.evidence
    assert told(declared, "order in time") == {"time_hour"}


def test_the_declared_key_is_not_advised_against_and_no_feature(declared: Profile) -> None:
    assert told(declared, "identifier") == set()
    assert prepare(declared).left_out["flight_id"] == "a key"


def test_a_key_that_looks_like_a_feature_is_left_out_of_the_pipeline() -> None:
    frame = joined().with_columns(flight_id=pl.col("flight_id") * 7919 % 100_003)
    made = profile(frame.lazy(), target="delay", key="flight_id")
    assert prepare(made).left_out["flight_id"] == "a key"


def test_gaps_are_told_of_the_declared_time_alone() -> None:
    frame = joined().filter(~pl.col("time_hour").dt.ordinal_day().is_between(40, 60))
    assert told(profile(frame.lazy()), "time coverage") > {"time_hour"}
    assert told(profile(frame.lazy(), time="time_hour"), "time coverage") == {"time_hour"}


def test_a_clock_that_tells_the_target_is_a_trend_and_not_leakage() -> None:
    frame = joined().with_columns(late=pl.col("time_hour") > pl.col("time_hour").median())
    made = profile(frame.lazy(), target="late", time="time_hour")
    assert "time_hour" in told(profile(frame.lazy(), target="late"), "leakage")
    assert "time_hour" not in told(made, "leakage")
    assert told(made, "order in time") == {"time_hour"}


def test_a_recorded_dataset_hands_its_roles_to_its_profile(ws: Workspace) -> None:
    data.add(ws, "flights", joined(), key="flight_id", time="time_hour")
    made = find("profile")(ws, source="flights", target="delay")
    assert (made.key, made.time) == ("flight_id", "time_hour")
    again = find("profile")(ws, source="flights", target="delay")
    assert (again.id, again.key, again.time) == (made.id, "flight_id", "time_hour")
    # The same rows under another name have no roles: their profile is another one.
    data.add(ws, "plain", joined())
    other = find("profile")(ws, source="plain", target="delay")
    assert other.id != made.id
    assert told(other, "identifier") == {"flight_id"}
    assert find("profile")(ws, source="flights", target="delay").id == made.id


def test_parts_that_are_merged_keep_their_roles(declared: Profile) -> None:
    both = declared.merge(declared)
    assert (both.key, both.time) == ("flight_id", "time_hour")
    assert "time_hour" not in told(both, "time leakage")


def test_a_role_of_no_column_is_refused_by_name() -> None:
    with pytest.raises(NotFound, match="no column 'time_hours' to be the time"):
        profile(joined().lazy(), time="time_hours")
