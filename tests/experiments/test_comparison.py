"""Is a difference real: the interval, the pairing and the sentence."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from experiments.workbench import FOREST, LOGISTIC, Bench
from jupyter_mlops import data, experiments
from jupyter_mlops.experiments.comparison import paired_difference
from jupyter_mlops.workspace import Invalid

CONSTANT = """\
from sklearn.dummy import DummyClassifier
model = DummyClassifier().fit(rows.drop(columns="target"), rows["target"])
"""


def test_without_groups_it_is_the_paired_t_interval() -> None:
    rng = np.random.default_rng(7)
    a, b = rng.normal(size=40), rng.normal(0.3, 1, size=40)
    difference, low, high, count = paired_difference(a, b)
    expected = stats.ttest_rel(b, a).confidence_interval()
    assert (low, high) == pytest.approx((expected.low, expected.high))
    assert difference == pytest.approx((b - a).mean())
    assert count == 40


def test_with_equal_groups_it_is_the_t_interval_of_the_groups_means() -> None:
    rng = np.random.default_rng(7)
    groups = np.repeat(np.arange(12), 30)
    a = rng.normal(size=360)
    b = a + 0.1 + np.repeat(rng.normal(size=12), 30) + rng.normal(size=360)
    _, low, high, count = paired_difference(a, b, groups)
    means = (b - a).reshape(12, 30).mean(axis=1)
    expected = stats.ttest_1samp(means, 0).confidence_interval()
    assert (low, high) == pytest.approx((expected.low, expected.high))
    assert count == 12


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Days differ, rows within a day hang together: rows alone would be far too sure."""
    rng = np.random.default_rng(11)
    grouped = alone = 0
    for _ in range(400):
        sizes = rng.integers(5, 60, size=30)
        groups = np.repeat(np.arange(30), sizes)
        d = rng.normal(size=30).repeat(sizes) + rng.normal(size=len(groups))
        zero = np.zeros(len(d))
        _, low, high, _ = paired_difference(zero, d, groups)
        grouped += low <= 0 <= high
        _, low, high, _ = paired_difference(zero, d)
        alone += low <= 0 <= high
    assert 0.90 <= grouped / 400 <= 0.98
    assert alone / 400 < 0.6


def test_the_better_run_is_named_with_its_interval(bench: Bench) -> None:
    bench.scored(CONSTANT, "guess")
    bench.scored(LOGISTIC, "logit")
    found = experiments.compare(bench.ws, "guess", "logit")
    assert found.better == "b"
    assert found.loss_a - found.loss_b == pytest.approx(-found.difference)
    assert found.verdict.startswith("logit is better by 0.5")
    assert "log_loss (95% CI 0." in found.verdict
    assert found.verdict.endswith("paired by row, 284 rows).")
    turned = experiments.compare(bench.ws, "logit", "guess")
    assert turned.better == "a"
    assert turned.verdict == found.verdict


def test_no_difference_is_called_so(bench: Bench) -> None:
    first, second = bench.scored(FOREST, seed=1), bench.scored(FOREST, seed=2)
    found = experiments.compare(bench.ws, first, second, metric="error_rate")
    assert found.better is None
    assert found.verdict.startswith(f"No real difference: cancer ({first.short}) is ")


def test_rows_are_grouped_by_columns_or_by_the_calendar(bench: Bench) -> None:
    held_out = bench.names["held_out"]
    hours = pd.date_range("2013-01-01", periods=len(held_out), freq="h", tz="UTC")
    held_out["at"] = hours
    held_out["site"] = np.arange(len(held_out)) % 3
    held_out["row"] = np.arange(len(held_out))
    data.add(bench.ws, "held", held_out, key="row", time="at")
    body = LOGISTIC + "\n"
    bench.scored(body, "logit", valid="held")
    bench.scored(CONSTANT, "guess", valid="held")
    by_day = experiments.compare(bench.ws, "logit", "guess", by=["day"])
    assert by_day.groups == len(set(hours.date))
    assert f"paired by day, {by_day.groups} groups" in by_day.verdict
    by_both = experiments.compare(bench.ws, "logit", "guess", by=["site", "day"])
    assert by_both.groups == 3 * by_day.groups
    by_site = experiments.compare(bench.ws, "logit", "guess", by=["site"], metric="brier")
    assert "With 3 groups the interval is rough" in by_site.notes[0]
    with pytest.raises(Invalid, match=r"no column 'sight' to group by.*did you mean 'site'"):
        experiments.compare(bench.ws, "logit", "guess", by=["sight"])


def test_rows_in_another_order_are_matched_by_their_key(bench: Bench) -> None:
    held_out = bench.names["held_out"].assign(row=range(len(bench.names["held_out"])))
    data.add(bench.ws, "held", held_out, key="row")
    shuffled = held_out.sample(frac=0.9, random_state=3)
    data.add(bench.ws, "mixed", shuffled, key="row")
    bench.scored(LOGISTIC, "logit", valid="held")
    bench.scored(LOGISTIC, "again", valid="mixed")
    found = experiments.compare(bench.ws, "logit", "again")
    assert found.rows == len(shuffled)
    assert found.difference == pytest.approx(0)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda f: f.iloc[:-1], "284 rows against 283"),
        (lambda f: f.iloc[::-1], "their truth differs row by row"),
    ],
)
def test_other_rows_are_refused(
    bench: Bench, spoil: Callable[[pd.DataFrame], pd.DataFrame], sentence: str
) -> None:
    bench.scored(LOGISTIC, "one")
    bench.scored(LOGISTIC, "other", valid=spoil(bench.names["held_out"]))
    with pytest.raises(Invalid, match="were validated on different rows") as raised:
        experiments.compare(bench.ws, "one", "other")
    assert sentence in str(raised.value)


def test_what_cant_be_compared_is_one_sentence(
    bench: Bench, diabetes: dict[str, pd.DataFrame]
) -> None:
    bench.scored(LOGISTIC, "logit")
    bench.train(LOGISTIC, "unscored")
    bench.names.update(diabetes)
    ridge = "from sklearn.linear_model import Ridge\nX = rows.drop(columns='target')\n"
    bench.scored(ridge + "model = Ridge().fit(X, rows['target'])", "numbers")
    with pytest.raises(Invalid, match="has no validation rows to compare on"):
        experiments.compare(bench.ws, "logit", "unscored")
    with pytest.raises(Invalid, match=r"different rows|can't be compared"):
        experiments.compare(bench.ws, "logit", "numbers")
    with pytest.raises(Invalid, match=r"can't be compared by 'auc'.*log_loss, brier, error_rate"):
        experiments.compare(bench.ws, "logit", "logit", metric="auc")
    found = experiments.compare(bench.ws, "numbers", "numbers")
    assert (found.metric, found.difference) == ("squared_error", 0)
