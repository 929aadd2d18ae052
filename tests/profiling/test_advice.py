"""The profile names columns that know the answer, and leaves honest ones alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn import datasets as known

from jupyter_mlops.data import open_source
from jupyter_mlops.profiling import Advice, Profile, profile

LATE = pl.col("arr_delay") > 15


@pytest.fixture(scope="module")
def flights(nyc: dict[str, Path]) -> pl.LazyFrame:
    table = open_source(str(nyc["flights.csv.zip"])).scan().with_columns(late=LATE)
    # The file is unpacked and read once, not for each profile.
    return table.collect().lazy()


@pytest.fixture(scope="module")
def late(flights: pl.LazyFrame) -> Profile:
    return profile(flights, target="late")


def found(made: Profile, finding: str, severity: str | None = None) -> set[str]:
    return {
        one.column
        for one in made.advice
        if one.finding == finding and severity in (None, one.severity)
    }


def the(made: Profile, column: str, finding: str) -> Advice:
    return next(a for a in made.advice if (a.column, a.finding) == (column, finding))


def test_what_is_known_only_after_landing_is_likely_leakage(late: Profile) -> None:
    assert found(late, "leakage", "likely") == {
        "arr_delay",
        "dep_delay",
        "arr_time",
        "dep_time",
        "air_time",
    }
    assert found(late, "leakage", "check") == set()
    assert "AUC 0.90" in the(late, "dep_delay", "leakage").evidence
    assert "missing in all of the 9,430 rows" in the(late, "air_time", "leakage").evidence
    assert "'sched_arr_time'" in the(late, "arr_time", "leakage").evidence


def test_labels_tail_numbers_and_the_one_year_are_named(late: Profile) -> None:
    assert "9,430 of 336,776" in the(late, "late", "missing labels").evidence
    assert "4,0" in the(late, "tailnum", "high cardinality").evidence
    assert found(late, "constant") == {"year"}
    assert late.columns["tailnum"].missing == 2512


def test_leakage_is_found_without_a_single_missing_label(flights: pl.LazyFrame) -> None:
    made = profile(flights.filter(pl.col("late").is_not_null()).drop("arr_delay"), target="late")
    assert found(made, "leakage") == {"dep_delay", "arr_time", "dep_time"}
    assert found(made, "missing labels") == set()


def test_a_numeric_target_has_its_leaks_too(flights: pl.LazyFrame) -> None:
    made = profile(flights.drop("late"), target="arr_delay")
    assert found(made, "leakage") >= {"dep_delay", "air_time"}
    assert made.analysis is not None
    assert made.analysis.metric == "R²"
    assert made.analysis.strength["dep_delay"] > 0.75


def test_a_pandas_target_of_floats_with_gaps_is_understood() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=1000)})
    frame["y"] = (frame["x"] + rng.normal(size=1000) > 0).astype(float)
    frame.loc[:99, "y"] = np.nan
    made = profile(pl.from_pandas(frame).lazy(), target="y")
    assert made.analysis is not None
    assert (made.analysis.task, made.analysis.missing) == ("binary", 100)
    assert 0.7 < made.analysis.strength["x"] < 0.85


@pytest.mark.parametrize("name", ["breast_cancer", "wine", "iris", "diabetes", "digits"])
def test_clean_sets_raise_no_false_alarm(name: str) -> None:
    frame = getattr(known, f"load_{name}")(as_frame=True).frame
    made = profile(pl.from_pandas(frame).lazy(), target="target")
    alarms = [a for a in made.advice if a.severity != "note" and a.finding != "constant"]
    # Three pixels of the digits are zero in every image, which is true and worth saying.
    assert alarms == []
    assert len(found(made, "constant")) == (3 if name == "digits" else 0)


def test_too_few_rows_are_said_not_guessed_from() -> None:
    frame = pl.DataFrame({"x": range(30), "y": [i < 15 for i in range(30)]})
    made = profile(frame.lazy(), target="y")
    assert [one.finding for one in made.advice] == ["few rows"]


def test_noise_is_not_leakage() -> None:
    rng = np.random.default_rng(1)
    frame = pl.DataFrame({f"x{i}": rng.normal(size=3000) for i in range(30)}).with_columns(
        many=pl.Series([f"c{i}" for i in rng.integers(0, 1500, 3000)]),
        y=pl.Series(rng.random(3000) < 0.4),
    )
    made = profile(frame.lazy(), target="y")
    assert found(made, "leakage") == set()
    assert made.analysis is not None
    assert max(made.analysis.strength.values()) < 0.56


def test_rows_without_any_content_do_not_accuse_every_column() -> None:
    rng = np.random.default_rng(2)
    frame = pl.DataFrame({f"x{i}": rng.normal(size=2000) for i in range(8)}).with_columns(
        y=pl.Series(rng.random(2000) < 0.5)
    )
    empty = pl.Series(np.arange(2000) % 20 == 0)
    frame = frame.with_columns(pl.when(~empty).then(pl.all()).name.keep())
    assert found(profile(frame.lazy(), target="y"), "leakage") == set()


def faulty() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    n = 2000
    base = rng.normal(size=n)
    y = base + rng.normal(size=n) > 2.5
    return pd.DataFrame(
        {
            "id": np.arange(n),
            "uuid": [f"{i:08x}-0000-4000-8000-{i:012x}" for i in range(n)],
            "feature": base,
            "copy": base,
            "same": "x",
            "nothing": np.full(n, np.nan),
            "gaps": np.where(rng.random(n) < 0.2, np.nan, base),
            "words": rng.choice(["red", None], n, p=[0.9, 0.1]),
            "colour": rng.choice(["red", "green"], n),
            "plate": [f"p{i}" for i in rng.integers(0, 900, n)],
            "date": [f"{d:02}.03.2013" for d in rng.integers(1, 28, n)],
            "price": [f"$1,{d}.50" for d in rng.integers(100, 999, n)],
            "agreed": rng.choice(["yes", "no"], n),
            "skewed": rng.lognormal(0, 2, n),
            "wild": np.where(np.arange(n) == 5, 1e9, base),
            "infinite": np.where(np.arange(n) == 5, np.inf, base),
            "remark": [f"this is the long remark number {i} of some day" for i in range(n)],
            'it\'s "quoted"': np.full(n, 7),
            "late": np.where(rng.random(n) < 0.05, None, y),
        }
    )


EXPECTED = {
    ("id", "identifier"),
    ("uuid", "identifier"),
    ("copy", "duplicate column"),
    ("same", "constant"),
    ("nothing", "empty"),
    ("gaps", "missing"),
    ("plate", "high cardinality"),
    ("date", "date in text"),
    ("price", "number in text"),
    ("agreed", "boolean in text"),
    ("skewed", "skew"),
    ("wild", "outliers"),
    ("infinite", "infinite values"),
    ("remark", "free text"),
    ('it\'s "quoted"', "constant"),
    ("late", "missing labels"),
    ("late", "imbalance"),
}


def test_planted_faults_are_found_and_their_code_runs() -> None:
    frame = faulty()
    made = profile(pl.from_pandas(frame).lazy(), target="late")
    named = {(one.column, one.finding) for one in made.advice}
    assert named >= EXPECTED
    # Both are the feature with one value changed.
    alike = {("wild", "redundant"), ("infinite", "redundant")}
    assert named - EXPECTED - alike <= {("words", "missing"), ("words", "constant")}
    for one in made.advice:
        space = {"df": frame.copy(), "pd": pd}
        exec(one.code, space)
        prepare = space.get("prepare")
        if prepare is not None:
            given = frame.dropna(subset=["late"])
            shaped = prepare.fit_transform(  # type: ignore[attr-defined]
                given[[one.column, "feature"]], given["late"].astype(bool)
            )
            assert shaped.shape[0] == len(given)
    read = {"df": frame.copy()}
    exec(the(made, "date", "date in text").code, read)
    assert read["df"]["date"].dt.month.eq(3).all()
    exec(the(made, "price", "number in text").code, read)
    assert read["df"]["price"].between(1100, 2000).all()


def test_missingness_that_tells_the_target_is_said() -> None:
    rng = np.random.default_rng(4)
    y = rng.random(4000) < 0.3
    gone = rng.random(4000) < np.where(y, 0.2, 0.02)
    frame = pl.DataFrame({"x": np.where(gone, np.nan, rng.normal(size=4000)), "y": y})
    made = profile(frame.lazy(), target="y")
    advice = the(made, "x", "missing")
    assert advice.severity == "check"
    assert "y is 'true' in" in advice.evidence
