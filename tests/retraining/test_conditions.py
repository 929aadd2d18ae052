"""Conditions: how they are written, and what becomes of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from jupyter_mlops.retraining.answering import Answer, Facts, answer
from jupyter_mlops.retraining.conditions import parse
from jupyter_mlops.workspace import Invalid, Unavailable

METRICS = ["log_loss", "auc", "accuracy"]
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def rows(count: int, skill: float, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    score = rng.normal(size=count)
    truth = (rng.uniform(size=count) < 1 / (1 + np.exp(-skill * score))).astype(int)
    chance = 1 / (1 + np.exp(-2 * score))
    return pl.DataFrame(
        {"truth": truth, "prediction": (chance > 0.5).astype(int), "probability": chance}
    )


def facts(now: pl.DataFrame, **more: Any) -> Facts:
    def away() -> Any:
        raise Unavailable("the traffic can't be read", code="E-TEST-001")

    known: dict[str, Any] = {
        "now": now,
        "references": {
            "champion_at_promotion": (rows(2000, 2, seed=5), "when it was promoted"),
            "validation": (None, "its validation"),
        },
        "task": "binary",
        "classes": [0, 1],
        "new_rows": 500,
        "promoted_at": NOW - timedelta(days=40),
        "at": NOW,
        "check": away,
    }
    return Facts(**{**known, **more})


def ask(text: str, now: pl.DataFrame | None = None, **more: Any) -> Answer:
    return answer(parse(text, METRICS), facts(rows(2000, 2) if now is None else now, **more))


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("loss >", "it ends there"),
        ("los > 1", "did you mean 'loss'"),
        ("loss > champion.loss", "there are champion_at_promotion, validation"),
        ("loss > validation.auc", "write `loss > validation.loss`"),
        ("age > 5", "write `age > 30d`"),
        ("loss > 30d", "only an age is a time"),
        ("loss > 1 (30%)", "it lies between 50% and 100%"),
        ("rows > 5 (95%)", "rows is a plain number"),
        ("drift drift", "no condition is written so"),
    ],
)
def test_what_is_no_condition_is_refused_with_where_and_what_instead(text: str, where: str) -> None:
    with pytest.raises(Invalid) as raised:
        parse(text, METRICS)
    assert where in str(raised.value)
    assert "position" in str(raised.value)


def test_a_loss_as_it_was_does_not_ask_for_training_and_a_worse_one_does() -> None:
    condition = "loss > champion_at_promotion.loss + 0.01 (95%)"
    same = ask(condition)
    assert same.verdict == "no"
    assert "the whole interval must be > 0.01" in same.sentence
    worse = ask(condition, rows(2000, 0))
    assert worse.verdict == "yes"
    assert "log-loss is" in worse.sentence
    assert "when it was promoted" in worse.sentence


def test_few_rows_say_nothing_whatever_they_hold() -> None:
    few = ask("loss > champion_at_promotion.loss", rows(12, -5))
    assert few.verdict == "unknown"
    assert few.sentence == "not enough data: 12 of 100 rows with truth"


def test_an_interval_of_95_percent_raises_few_false_alarms() -> None:
    condition = parse("loss > champion_at_promotion.loss (95%)", METRICS)
    alarms = 0
    for seed in range(200):
        known = facts(
            rows(400, 2, seed=1000 + seed),
            references={
                "champion_at_promotion": (rows(400, 2, seed=5000 + seed), "then"),
                "validation": (None, ""),
            },
        )
        alarms += answer(condition, known).verdict == "yes"
    # One side of a two-sided interval: 2.5 %, of which 200 looks give 11 or fewer (99.9 %).
    assert alarms <= 11


def test_parts_are_joined_as_logic_of_three_values_says() -> None:
    assert ask("rows > 100 and age > 30d").verdict == "yes"
    assert ask("rows > 1000 or age > 30d").verdict == "yes"
    assert ask("rows > 1000 and drift").verdict == "no"
    assert ask("rows > 100 and drift").verdict == "unknown"
    assert ask("rows > 1000 or drift").verdict == "unknown"
    assert ask("(rows > 1000 or age > 30d) and rows > 100").verdict == "yes"


def test_a_drift_check_that_fails_leaves_the_condition_open_and_says_why() -> None:
    found = ask("drift")
    assert found.verdict == "unknown"
    assert found.sentence == "the traffic can't be read"


def test_a_reference_without_rows_is_named() -> None:
    found = ask("loss > validation.loss")
    assert found.verdict == "unknown"
    assert "no rows of its validation" in found.sentence
