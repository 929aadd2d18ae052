"""Columns are compared two by two, and what chance could have made is told from the rest."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from scipy import stats

from jupyter_mlops.profiling import Profile, profile

ROWS = 6000


@pytest.fixture(scope="module")
def made() -> tuple[pl.DataFrame, Profile]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=ROWS)
    kind = rng.choice(["a", "b", "c"], ROWS)
    noisy = np.where(rng.random(ROWS) < 0.7, kind, rng.choice(["a", "b", "c"], ROWS))
    frame = pl.DataFrame(
        {
            "x": x,
            "y": 0.6 * x + 0.8 * rng.normal(size=ROWS),
            "grown": np.exp(3 * x),
            "alone": rng.normal(size=ROWS),
            "kind": kind,
            "noisy": noisy,
            "coin": rng.choice(["h", "t"], ROWS),
            "level": np.array([0.0, 1.0, 4.0])[np.unique(kind, return_inverse=True)[1]]
            + rng.normal(size=ROWS),
            "name": [f"n{i}" for i in range(ROWS)],
            "same": ["s"] * ROWS,
        }
    ).with_columns(pl.when(pl.col("alone") > 1.5).then(None).otherwise(pl.col("y")).alias("y"))
    return frame, profile(frame.lazy())


def value(made: tuple[pl.DataFrame, Profile], one: str, other: str, kind: str) -> float:
    assert made[1].associations is not None
    found = made[1].associations.between(one, other, kind)
    assert found is not None
    return found.value


def test_correlations_are_those_of_scipy_on_the_rows_both_have(
    made: tuple[pl.DataFrame, Profile],
) -> None:
    both = made[0].drop_nulls("y")
    x, y = both["x"].to_numpy(), both["y"].to_numpy()
    assert value(made, "x", "y", "pearson") == pytest.approx(stats.pearsonr(x, y)[0], abs=1e-5)
    assert value(made, "x", "y", "spearman") == pytest.approx(stats.spearmanr(x, y)[0], abs=0.01)
    assert value(made, "x", "grown", "spearman") == pytest.approx(1)
    assert value(made, "x", "grown", "pearson") < 0.5
    found = made[1].associations.between("y", "x", "pearson")  # type: ignore[union-attr]
    assert found is not None
    assert found.rows == both.height
    low, high = stats.pearsonr(x, y).confidence_interval()
    assert found.error == pytest.approx((high - low) / 2, abs=1e-4)


def test_categories_are_compared_without_the_bias_of_small_samples(
    made: tuple[pl.DataFrame, Profile],
) -> None:
    a, b = made[0]["kind"].to_numpy(), made[0]["noisy"].to_numpy()
    cells = stats.contingency.crosstab(a, b).count
    plain = stats.contingency.association(cells, method="cramer")
    assert value(made, "kind", "noisy", "cramer") == pytest.approx(plain, abs=0.002)
    assert value(made, "kind", "coin", "cramer") < 0.03


def test_a_category_explains_a_share_of_a_number(made: tuple[pl.DataFrame, Profile]) -> None:
    frame = made[0]
    level = frame["level"].to_numpy()
    means = frame.select(pl.col("level").mean().over("kind")).to_series().to_numpy()
    plain = np.sqrt(((means - level.mean()) ** 2).sum() / ((level - level.mean()) ** 2).sum())
    assert value(made, "kind", "level", "eta") == pytest.approx(plain, abs=0.002)
    assert value(made, "kind", "alone", "eta") < 0.04


def test_chance_is_within_the_stated_error_about_19_times_in_20() -> None:
    rng = np.random.default_rng(1)
    frame = pl.DataFrame(
        {f"x{i}": rng.normal(size=400) for i in range(20)}
        | {f"k{i}": rng.choice(list("abcde"), 400) for i in range(20)}
    )
    found = profile(frame.lazy()).associations
    assert found is not None
    for kind, many in (("pearson", 190), ("spearman", 190), ("cramer", 190), ("eta", 400)):
        pairs = [pair for pair in found.pairs if pair.kind == kind]
        assert len(pairs) == many
        assert sum(pair.sure for pair in pairs) / many < 0.1


def test_what_is_left_out_is_said(made: tuple[pl.DataFrame, Profile]) -> None:
    found = made[1].associations
    assert found is not None
    assert set(found.left_out) == {"name", "same"}
    assert "categories" in found.left_out["name"]
    assert found.rows == ROWS
    assert found.of("level")[0].first == "kind"


def test_a_wide_table_costs_no_more_than_48_columns() -> None:
    rng = np.random.default_rng(2)
    frame = pl.DataFrame({f"x{i}": rng.normal(size=300) for i in range(300)} | {"y": range(300)})
    found = profile(frame.lazy(), target="y").associations
    assert found is not None
    assert len(found.columns) == 48
    assert "y" in found.columns
    assert len(found.pairs) <= 2000
    assert "only 48 columns" in found.left_out["x299"]


def test_associations_are_kept_with_the_profile(made: tuple[pl.DataFrame, Profile]) -> None:
    back = Profile.from_dict(json.loads(json.dumps(made[1].to_dict())))
    assert back.associations == made[1].associations


def test_columns_of_odd_values_are_compared_as_far_as_they_go() -> None:
    frame = pl.DataFrame(
        {
            "huge": [1e308, -1e308] * 50,
            "inf": [float("inf"), 1.0] * 50,
            "gaps": pl.Series([None] * 99 + [1.0]),
            "flag": [True, False] * 50,
            "n": range(100),
        }
    )
    found = profile(frame.lazy()).associations
    assert found is not None
    pair = found.between("flag", "n", "eta")
    assert pair is not None
    assert not pair.sure
