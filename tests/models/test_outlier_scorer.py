"""What is told of strange rows: as often as was said, with the columns that make them so."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from jupyter_mlops.models.outliers import FILE, THRESHOLD, keeping, read
from jupyter_mlops.models.outliers.files import as_bytes
from jupyter_mlops.models.outliers.fitting import arrays, fit
from jupyter_mlops.workspace import Invalid


def people(rows: int, seed: int) -> pl.DataFrame:
    """Height and weight go together; incomes are lopsided; some rows have holes."""
    rng = np.random.default_rng(seed)
    height = rng.normal(170, 10, rows)
    return pl.DataFrame(
        {
            "height": height,
            "weight": 0.9 * (height - 100) + rng.normal(0, 4, rows),
            "income": np.exp(rng.normal(10, 1, rows)),
            "month": rng.integers(1, 13, rows),
            "member": rng.random(rows) < 0.3,
            "carrier": rng.choice(["AA", "UA", "DL"], rows, p=[0.6, 0.3, 0.1]),
            "town": rng.choice([f"town {n}" for n in range(5000)], rows),
            "age": np.where(rng.random(rows) < 0.1, np.nan, rng.gamma(4, 10, rows)),
        }
    )


def one(**changed):
    usual = {
        "height": 170.0, "weight": 63.0, "income": 22_000.0, "month": 6, "member": False,
        "carrier": "AA", "town": "town 7", "age": 40.0,
    }  # fmt: skip
    return arrays(pl.DataFrame([usual | changed], schema_overrides={"age": pl.Float64}))


@pytest.fixture(scope="module")
def scorer():
    return fit(people(20_000, 1))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("share", [0.1, 0.01, THRESHOLD])
def test_rows_like_the_training_rows_are_outliers_as_often_as_is_said(seed, share):
    told = fit(people(20_000, seed))(arrays(people(50_000, seed + 100)))
    found = int((told.p <= share).sum())
    # The rate is itself known from 10,000 rows: twice its binomial error, and that of the test.
    error = np.sqrt(share / 10_000 + share / 50_000)
    assert abs(found / 50_000 - share) < 4 * error, found


def test_heavy_ties_and_few_rows_raise_no_more_alarms_than_is_said():
    rng = np.random.default_rng(5)
    found = rows = 0
    for _ in range(20):
        sample = pl.DataFrame(
            {"rain": np.where(rng.random(600) < 0.9, 0.0, rng.exponential(1, 600)),
             "code": rng.poisson(2, 600)}
        )  # fmt: skip
        fresh = {
            "rain": np.where(rng.random(5000) < 0.9, 0.0, rng.exponential(1, 5000)),
            "code": rng.poisson(2, 5000).astype(float),
        }
        found += int((fit(sample)(fresh).p <= 0.01).sum())
        rows += 5000
    # 300 held-out rows tell a share of 0.01 to within 0.006; over 20 fits to within 0.0013.
    assert found / rows < 0.01 + 4 * 0.0014


@pytest.mark.parametrize(
    ("changed", "reasons"),
    [
        ({"income": 1e9}, ["income"]),
        ({"income": -1e9}, ["income"]),
        ({"month": 13}, ["month"]),
        ({"carrier": "ZZ"}, ["carrier"]),
        ({"carrier": None}, ["carrier"]),
        ({"height": None}, ["height"]),
        ({"height": float("inf")}, ["height"]),
    ],
)
def test_one_strange_value_is_named(scorer, changed, reasons):
    told = scorer(one(**changed))
    assert told.p[0] <= THRESHOLD
    assert told.reasons[0] == reasons


def test_columns_that_do_not_go_together_are_named(scorer):
    # Each value alone is one in a hundred.
    told = scorer(one(height=150.0, weight=85.0))
    assert told.p[0] <= 1e-5
    assert set(told.reasons[0]) == {"height", "weight"}
    assert scorer(one(height=150.0, weight=45.0)).p[0] > 0.01


def test_usual_rows_and_new_names_of_many_are_not_strange(scorer):
    for changed in ({}, {"age": None}, {"town": "a town that nobody has been to"}):
        told = scorer(one(**changed))
        assert told.p[0] > 0.05, changed
        assert told.reasons == {}


def test_what_is_stranger_has_a_smaller_p(scorer):
    incomes = [1e5, 1e6, 1e7, 1e8]
    p = [float(scorer(one(income=income)).p[0]) for income in incomes]
    assert p == sorted(p, reverse=True)
    assert len(set(p)) == 4


def test_the_file_holds_no_code_and_gives_the_same_scorer(scorer, tmp_path):
    content = as_bytes(scorer)
    assert as_bytes(fit(people(20_000, 1))) == content
    (tmp_path / FILE).write_bytes(content)
    with np.load(tmp_path / FILE, allow_pickle=False) as kept:
        assert {kept[name].dtype.kind for name in kept.files} <= {"f", "u"}
    rows = arrays(people(500, 9))
    again = read(tmp_path / FILE)
    assert np.array_equal(again(rows).p, scorer(rows).p)
    assert again(rows).reasons == scorer(rows).reasons
    np.savez(tmp_path / FILE, about=np.array([{"version": 1}], dtype=object))
    with pytest.raises(ValueError, match="pickle"):
        read(tmp_path / FILE)


def test_constant_empty_and_repeated_columns_are_no_trouble():
    n = 400
    rng = np.random.default_rng(2)
    x = rng.normal(size=n)
    sample = pl.DataFrame(
        {"x": x, "again": x, "constant": [1.0] * n, "empty": [None] * n, "none": [None] * n},
        schema_overrides={"empty": pl.Float64, "none": pl.String},
    )
    scorer = fit(sample)
    row = {"x": [0.1], "again": [0.1], "constant": [1.0], "empty": [3.0]}
    given = {name: np.array(values) for name, values in row.items()}
    given["none"] = np.array(["anything"], dtype=object)
    assert scorer(given).p[0] > 0.05
    assert scorer(given | {"constant": np.array([2.0])}).reasons[0] == ["constant"]
    apart = {"x": np.array([1.0]), "again": np.array([-1.0])}
    assert set(scorer(given | apart).reasons[0]) == {"x", "again"}


@pytest.mark.parametrize(("whole", "rows"), [(10**6, 40_000), (1000, 40_000)])
def test_of_a_large_table_rows_are_drawn_from_all_of_it(monkeypatch, whole, rows):
    monkeypatch.setattr(keeping, "WHOLE", whole)
    table = pl.LazyFrame({"row": np.arange(200_000)})
    drawn = keeping._sample(table, 200_000)["row"]
    assert drawn.n_unique() == len(drawn) == rows
    assert drawn.min() == 0
    assert drawn.max() >= 199_990
    assert abs(drawn.mean() - 100_000) < 1000


def test_too_few_rows_and_times_alone_are_refused_in_a_sentence():
    with pytest.raises(Invalid, match="150 of 200 rows"):
        fit(people(150, 1))
    times = pl.DataFrame({"at": pl.datetime_range(
        pl.datetime(2020, 1, 1), pl.datetime(2020, 12, 1), "1d", eager=True
    )})  # fmt: skip
    with pytest.raises(Invalid, match="no column"):
        fit(times)


def test_batches_are_cheap(scorer):
    import time

    rows = {name: column[:64] for name, column in arrays(people(64, 3)).items()}
    best = min(_timed(scorer, rows, time.perf_counter) for _ in range(50))
    assert best / 64 < 50e-6


def _timed(scorer, rows, clock):
    began = clock()
    scorer(rows)
    return clock() - began
