"""What a contract learns from a table, and what it says of others."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pytest

from jupyter_mlops.profiling import profile
from jupyter_mlops.profiling.contracts import Contract, check, diff, infer
from jupyter_mlops.profiling.contracts.limits import allowed, upper_limit
from jupyter_mlops.views import mimebundle, view
from jupyter_mlops.views.blocks import Table
from jupyter_mlops.workspace.errors import Invalid, NotFound


def numbered(seed: int, rows: int) -> pl.DataFrame:
    """The same with what naive limits fail on: ids that count on, gaps and values seen once."""
    rng = np.random.default_rng(seed)
    return population(seed, rows).with_columns(
        pl.when(pl.Series(rng.random(rows) > 0.7 / rows)).then("normal").alias("normal"),
        pl.Series("status", np.where(rng.random(rows) < 1.5 / rows, "rare", "common")),
        id=pl.int_range(seed * rows, seed * rows + rows),
    )


def population(seed: int, rows: int) -> pl.DataFrame:
    """Rows of one population of twelve columns: heavy tails, gaps, rare categories, dates."""
    rng = np.random.default_rng(seed)
    cities = np.array([f"city {i}" for i in range(60)])
    weights = 1 / np.arange(1, 61) ** 2
    days = rng.integers(0, 730, rows)
    gaps = rng.random((2, rows)) < [[0.05], [0.0005]]
    frame = pl.DataFrame(
        {
            "normal": rng.normal(size=rows),
            "income": rng.lognormal(10, 1.2, rows),
            "wild": rng.standard_cauchy(rows),
            "count": rng.poisson(3, rows),
            "exact": rng.integers(0, 10, rows),
            "zeros": np.where(rng.random(rows) < 0.99, 0.0, rng.normal(size=rows)),
            "city": rng.choice(cities, rows, p=weights / weights.sum()),
            "grade": rng.choice(["a", "b", "c"], rows),
            "flag": rng.random(rows) < 0.2,
            "mail": pl.Series(rng.integers(0, 10**9, rows)).cast(pl.String),
            "day": pl.Series(days).cast(pl.Int32).cast(pl.Date) + timedelta(days=18_000),
            "text": pl.Series(rng.integers(0, 3, (rows, 6))),
        }
    )
    words = pl.element().replace_strict({0: "rain", 1: "fog", 2: "ice"}, return_dtype=pl.String)
    return frame.with_columns(
        pl.format("user{}@example.org", "mail").alias("mail"),
        pl.col("text").arr.to_list().list.eval(words).list.join(" "),
        pl.when(pl.Series(~gaps[0])).then("income").alias("income"),
        pl.when(pl.Series(~gaps[1])).then("grade").alias("grade"),
    )


@pytest.fixture(scope="module")
def learnt() -> Contract:
    seen = population(0, 20_000)
    return infer(profile(seen.lazy()), seen.lazy())


def broken(contract: Contract, frame: pl.DataFrame, **options: object) -> list[tuple[str, str]]:
    return [(one.column, one.rule) for one in check(contract, frame, **options).violations]  # type: ignore[arg-type]


def test_the_next_honest_tables_keep_the_contract_whatever_their_size(learnt: Contract) -> None:
    found = [broken(learnt, population(seed, 20_000)) for seed in range(1, 21)]
    found += [broken(learnt, population(seed, 500)) for seed in range(100, 140)]
    assert sum(1 for one in found if one) <= 2, found


def test_contracts_of_few_rows_are_kept_by_the_next_tables_too() -> None:
    alarms = []
    for seed in range(20):
        seen = numbered(seed, 300)
        contract = infer(profile(seen.lazy()), seen.lazy())
        alarms += [broken(contract, numbered(1000 + seed, 300))]
    assert sum(1 for one in alarms if one) <= 2, alarms


def test_a_contract_without_the_rows_at_hand_is_kept_as_well() -> None:
    contract = infer(profile(population(0, 20_000).lazy()))
    assert not any(broken(contract, population(seed, 20_000)) for seed in range(1, 6))


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("normal", 50.0, "bounds"),
        ("count", -1, "bounds"),
        ("income", None, "null"),
        ("city", "Atlantis", "domain"),
        ("mail", "no address", "pattern"),
        ("text", "x" * 500, "length"),
    ],
)
def test_one_row_in_fifty_out_of_line_is_told_with_its_rows(
    learnt: Contract, column: str, value: object, rule: str
) -> None:
    spoilt = (
        population(1, 5000)
        .with_row_index()
        .with_columns(
            pl.when(pl.col("index") % (5 if rule == "null" else 50) != 7 % 5)
            .then(column)
            .otherwise(pl.lit(value))
            .alias(column)
        )
    )
    result = check(learnt, spoilt.drop("index"))
    (one,) = [one for one in result.violations if one.column == column and one.rule == rule]
    assert not result.ok
    assert one.rows >= 100
    assert one.share > one.allowed
    assert [row for row, _ in one.examples] == sorted(row for row, _ in one.examples)
    assert len(one.examples) == 5
    bad = result.bad(spoilt)
    assert bad.dtype == pl.Boolean
    assert all(bad[row] for row, _ in one.examples)
    # Without the rows that are bad it is a table that keeps the contract.
    rest = check(learnt, spoilt.drop("index").filter(~result.rows))
    assert (column, rule) not in [(v.column, v.rule) for v in rest.violations]


def test_a_missing_column_and_another_type_are_told_once() -> None:
    contract = infer(profile(pl.LazyFrame({"a": range(100), "b": ["x", "y"] * 50})))
    result = check(contract, pl.DataFrame({"a": ["1", "2"]}))
    assert [(one.column, one.rule) for one in result.violations] == [
        ("a", "type"),
        ("b", "column"),
    ]


def test_whole_numbers_with_gaps_may_come_as_floats_but_fractions_may_not() -> None:
    contract = infer(profile(pl.LazyFrame({"a": [1, 2, None] * 100})))
    assert check(contract, pd.DataFrame({"a": [1.0, None, 2.0]})).ok
    assert broken(contract, pl.DataFrame({"a": [1.5, 2.0]})) == [("a", "type")]


def test_whole_numbers_may_come_as_decimals_but_fractions_may_not() -> None:
    contract = infer(profile(pl.LazyFrame({"miles": range(500)})))
    kilometres = pl.DataFrame({"miles": range(500)}).select(
        pl.col("miles").cast(pl.Decimal(18, 3)) * pl.lit("1.609").cast(pl.Decimal(18, 3))
    )
    assert ("miles", "type") in broken(contract, kilometres)
    whole = pl.DataFrame({"miles": range(500)}).cast(pl.Decimal(18, 3))
    assert broken(contract, whole) == []


def test_columns_of_every_type_are_learnt_kept_and_read_back() -> None:
    start, n = datetime(2024, 1, 1), 300
    hours = [start + timedelta(hours=i) for i in range(n)]
    words = pl.Series(["x", "y", "z"] * (n // 3))
    seen = pl.DataFrame(
        {
            "infinite": [float("inf"), *[1.0] * (n - 1)],
            "nan": [*[float("nan")] * 10, *[2.0] * (n - 10)],
            "nothing": [None] * n,
            "categorical": words.cast(pl.Categorical),
            "zoned": pl.Series(hours).dt.replace_time_zone("UTC").cast(pl.Datetime("ns", "UTC")),
            "date": [start.date() + timedelta(days=i) for i in range(n)],
            "duration": [timedelta(seconds=i) for i in range(n)],
            "clock": [one.time() for one in hours],
            "decimal": pl.Series(range(n)).cast(pl.Decimal(10, 2)),
            "list": [[1, 2]] * n,
            "struct": [{"a": 1}] * n,
            "bytes": [b"x"] * n,
            "big": [2**62 + i for i in range(n)],
            "huge": [1e300, -1e300] * (n // 2),
            "tiny": [1e-300 * i for i in range(n)],
            "small": pl.Series([i % 256 for i in range(n)], dtype=pl.UInt8),
            "code": [0, 1] * (n // 2),
        }
    )
    contract = infer(profile(seen.lazy()), seen.lazy())
    assert broken(contract, seen) == []
    assert Contract.from_dict(json.loads(contract.text())).digest == contract.digest
    assert [one.rule for one in check(contract, seen.clear()).violations] == ["rows"]
    plain = seen.drop("decimal", "duration", "clock", "struct", "list")
    told = check(contract, plain.to_pandas()).violations
    assert {one.rule for one in told} == {"column"}
    with pytest.raises(Invalid, match="rows can't be a list"):
        check(contract, [1, 2])


def test_the_target_is_absent_at_serving_and_missed_in_training() -> None:
    seen = pl.DataFrame({"x": range(500), "late": [True, False] * 250})
    contract = infer(profile(seen.lazy(), target="late"), seen.lazy())
    requests = pl.DataFrame({"x": [3, 4]})
    assert contract.columns["late"].role == "target"
    assert check(contract, requests, environment="serving").ok
    assert ("late", "column") in broken(contract, requests, environment="training")
    with pytest.raises(Invalid, match="has no environment 'moon'"):
        check(contract, requests, environment="moon")


def test_keys_repeat_in_no_row_single_or_compound() -> None:
    seen = pl.DataFrame({"order": range(1000), "line": [n % 3 for n in range(1000)]})
    single = infer(profile(seen.lazy()), seen.lazy())
    assert [key.columns for key in single.keys] == [["order"]]
    both = infer(profile(seen.lazy()), seen.lazy(), key=["order", "line"])
    twice = pl.concat([seen, seen.head(2)])
    result = check(both, twice)
    (one,) = result.violations
    assert (one.rule, one.rows) == ("key", 2)
    assert result.rows.arg_true().to_list() == [1000, 1001]
    assert check(both, twice.filter(~result.rows)).ok


def test_a_time_column_that_was_fresh_must_stay_so() -> None:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    hours = [now - timedelta(hours=n) for n in range(1000)]
    seen = profile(pl.LazyFrame({"at": hours, "x": range(1000)}))
    seen.made_at = now
    contract = infer(seen, time="at")
    assert contract.freshness is not None
    assert check(contract, pl.DataFrame({"at": hours, "x": range(1000)}), now=now).ok
    late = check(
        contract, pl.DataFrame({"at": hours, "x": range(1000)}), now=now + timedelta(days=9)
    )
    assert [(one.rule, one.severity) for one in late.violations] == [("freshness", "warning")]
    seen.made_at = now + timedelta(days=4000)
    old = infer(seen, time="at")
    assert old.freshness is None
    assert "4,000 days" in old.notes[0]


def test_twenty_columns_are_eight_kilobytes_of_lines_that_differ_where_rules_do() -> None:
    frame = pl.concat(
        [population(0, 2000), population(1, 2000)[:, :8].rename(lambda name: f"{name} 2")],
        how="horizontal",
    )
    contract = infer(profile(frame.lazy()), frame.lazy())
    text = contract.text()
    assert len(contract.columns) == 20
    assert len(text.encode()) < 12_000
    assert Contract.from_dict(json.loads(text)).digest == contract.digest
    other = contract.column("normal", by="ada", hi=9)
    lines = set(other.text().splitlines()) - set(text.splitlines())
    assert len(lines) == 1
    assert '"edited by ada"' in lines.pop()
    assert all(
        rule["from"]
        for terms in contract.content()["columns"].values()
        for rule in terms.values()
        if isinstance(rule, dict)
    )


def test_edits_give_new_contracts_and_the_diff_says_which_way(learnt: Contract) -> None:
    stricter = learnt.column("income", max_missing=0.0).column("city", forbid=["city 0"])
    (null, domain) = diff(learnt, stricter).changes
    assert (null.column, null.rule, null.looser) == ("income", "null", False)
    assert (domain.column, domain.rule, domain.looser) == ("city", "domain", False)
    assert (stricter.name, stricter.ref) == (learnt.name, None)
    assert learnt.columns["income"].null != stricter.columns["income"].null
    optional = learnt.column("wild", required=False, absent_at="serving")
    assert check(optional, population(1, 500).drop("wild")).ok
    assert "wild" not in learnt.without("wild").columns


def test_edits_that_make_no_sense_are_refused_in_a_sentence(learnt: Contract) -> None:
    with pytest.raises(NotFound, match="did you mean 'income'"):
        learnt.column("incom", lo=0)
    with pytest.raises(Invalid, match="did you mean 'max_missing'"):
        learnt.column("income", max_mising=0.1)
    with pytest.raises(Invalid, match="can't be between 5 and 1"):
        learnt.column("income", lo=5, hi=1)
    with pytest.raises(Invalid, match="less than or equal to 1"):
        learnt.column("income", max_missing=3)
    with pytest.raises(Invalid, match="nothing is said"):
        learnt.column("income")


def test_names_of_any_kind_are_checked_as_they_are() -> None:
    names = ["^a.*$", "a,b", "a\nb", "*", "x'\"`"]
    seen = pl.DataFrame({name: range(200) for name in names})
    terms = {"type": "integer", "bounds": {"lo": 0, "hi": 200, "max_outside": 0}}
    terms |= {"null": {"max_fraction": 0}}
    contract = Contract.from_dict(
        {
            "columns": dict.fromkeys(names, terms),
            "keys": [{"columns": names, "max_repeats": 0}],
        }
    )
    assert check(contract, seen).ok
    spoilt = seen.with_columns(pl.Series("^a.*$", [10_000] * 200))
    assert ("^a.*$", "bounds") in broken(contract, spoilt)


def test_very_wide_tables_are_checked_and_shown_in_bounds() -> None:
    from jupyter_mlops.views import mimebundle

    terms = {"type": "float", "bounds": {"lo": 0, "hi": 1, "max_outside": 0}}
    wide = Contract.from_dict({"columns": {f"c{n}": terms for n in range(10_000)}})
    # More columns than one query takes.
    frame = pl.DataFrame({f"c{n}": [0.0, 1.0, float(n)] for n in range(1200)})
    narrower = Contract.from_dict({"columns": {f"c{n}": terms for n in range(1200)}})
    result = check(narrower, frame)
    assert len(result.violations) == 1198
    for shown in (mimebundle(wide), mimebundle(result)):
        assert len(shown["text/plain"].splitlines()) <= 15
        assert len(shown["text/html"]) < 200_000


def test_limits_are_the_exact_binomial_ones() -> None:
    assert upper_limit(0, 1000) == pytest.approx(1 - 0.01 ** (1 / 1000))
    assert allowed([0.0, 0.5], [10**6, 0], 2) == [0, 0]
    (most,) = allowed([0.01], [10_000], 1)
    drawn = np.random.default_rng(0).binomial(10_000, 0.01, 100_000)
    assert (drawn > most).mean() <= 0.01


def test_what_is_wrong_with_a_whole_column_is_said_so_and_not_counted_in_rows() -> None:
    seen = pl.DataFrame({"n": range(500), "word": ["a", "b"] * 250})
    contract = infer(profile(seen.lazy()), seen.lazy()).model_copy(update={"extra": "refused"})
    other = seen.select(pl.format("no {}", "n").alias("n"), pl.lit(1).alias("more")).clear()
    result = check(contract, other)
    table = next(block for block in view(result).blocks if isinstance(block, Table))
    cells = {row["rule"]["text"]: (row["rows"], row["share"]) for row in table.rows}
    assert cells == {
        "column": ("the whole column", None),
        "type": ("the whole column", None),
        "extra": ("the whole column", None),
        "rows": (None, None),
    }
    assert "Rows" in mimebundle(result)["text/html"]
    assert "100 %" not in mimebundle(result)["text/html"]
