"""Where a change is, since when, and what it costs."""

from __future__ import annotations

import datetime as dt
import sys

import numpy as np
import polars as pl
import pytest

from jupyter_mlops import monitoring
from jupyter_mlops.data import resolve
from jupyter_mlops.monitoring import KeptLog, Window
from jupyter_mlops.monitoring import drift as drift_module  # noqa: F401
from jupyter_mlops.monitoring.attribution import explain_loss
from jupyter_mlops.monitoring.columns import read_numbers
from jupyter_mlops.monitoring.concentrating import concentrates
from jupyter_mlops.monitoring.expected import Expectation
from jupyter_mlops.monitoring.onset import onset
from jupyter_mlops.views.registry import mimebundle

from .logs import evenly, logged, write

DAY = dt.timedelta(days=1)
START = dt.datetime(2013, 3, 1, tzinfo=dt.UTC)


@pytest.fixture
def rng():
    return np.random.default_rng(4)


def days(rng, moves):
    return [
        (START + at * DAY, read_numbers(pl.Series(rng.normal(moved, 1, 200))))
        for at, moved in enumerate(moves)
    ]


def test_since_when_is_the_first_day_that_differs(rng):
    reference = read_numbers(pl.Series(rng.normal(size=5000)))
    since, words = onset(reference, days(rng, [0] * 12 + [0.8] * 6), 0.1)
    assert (since, words) == (START + 12 * DAY, "since 2013-03-13")
    since, words = onset(reference, days(rng, [0.8] * 10), 0.1)
    assert (since, words) == (None, "before 2013-03-01")
    since, words = onset(reference, days(rng, [0.6] * 8 + [1.8] * 8), 0.1)
    assert since == START + 8 * DAY
    assert words == "before 2013-03-01, and further since 2013-03-09"
    assert onset(reference, days(rng, [0.5]), 0.1) == (None, "")
    assert onset(reference, [], 0.1) == (None, "")


def test_a_change_in_one_segment_is_placed_there_and_one_everywhere_is_not(rng):
    def side(n, moved):
        carrier = rng.choice(["AA", "UA", "B6"], n, p=[0.5, 0.3, 0.2])
        return pl.DataFrame(
            {"carrier": carrier, "x": rng.normal(moved(carrier), 1), "z": rng.normal(size=n)}
        )

    kinds = {"carrier": "category", "x": "number", "z": "number"}
    before = side(4000, lambda carrier: np.zeros(len(carrier)))
    after = side(4000, lambda carrier: np.where(carrier == "UA", 1.5, 0.0))
    found = concentrates("x", before, after, kinds, 0.1)
    assert (found.column, found.value) == ("carrier", "UA")
    assert found.share == pytest.approx(0.3, abs=0.03)
    assert found.effect > 1 > 0.05 > found.elsewhere
    everywhere = side(4000, lambda carrier: np.full(len(carrier), 0.8))
    assert concentrates("x", before, everywhere, kinds, 0.1) is None
    assert concentrates("x", before, before, kinds, 0.1) is None
    by_number = after.with_columns(x=before["x"] + 2.0 * (pl.col("z") > 0.7))
    found = concentrates("x", before.with_columns(z=after["z"]), by_number, kinds, 0.1)
    assert (found.column, found.value[:6]) == ("z", "above ")


def model(rng, n, x=0.0, y=0.0):
    """Two features of a model: only x makes its answers less certain as it nears 0."""
    frame = pl.DataFrame({"x": rng.normal(2 - x, 1, n), "y": rng.normal(y, 1, n)})
    probability = 1 / (1 + np.exp(-2 * frame["x"].to_numpy()))
    answers = pl.DataFrame(
        {
            "probability": probability,
            "prediction": probability > 0.5,
            "truth": rng.random(n) < probability,
        }
    )
    return frame, answers


def test_the_loss_to_expect_is_explained_by_the_feature_that_costs_it(rng):
    before, validation = model(rng, 6000)
    after, answers = model(rng, 6000, x=1.0, y=1.0)
    expectation = Expectation(validation, "binary", ["0", "1"])
    reference = {name: read_numbers(before[name]) for name in before.columns}
    whole, parts = explain_loss(expectation, answers, after, reference, ["x", "y"])
    chance = answers["probability"].to_numpy()
    true = validation["probability"].to_numpy()

    def entropy(p):
        p = np.clip(p, 1e-12, 1 - 1e-12)
        return float(-(p * np.log(p) + (1 - p) * np.log(1 - p)).mean())

    change = entropy(chance) - entropy(true)
    assert change > 0.1
    assert whole.told
    assert whole.value == pytest.approx(change, abs=0.02)
    # Ten bins can't undo a shift wholly; y moved as far and costs nothing.
    assert parts["x"].value == pytest.approx(change, rel=0.2)
    assert abs(parts["y"].value) < 0.02
    assert not parts["y"].told
    rising = answers.drop("probability")
    assert explain_loss(expectation, rising, after, reference, ["x"]) == (None, {})


def test_a_check_tells_where_since_when_and_at_what_cost_and_keeps_it(ws, service, rng):
    calm = service.rows(4000)
    moved = service.rows(4000, shift=-1.2)
    first = service.traffic(calm, days=30)
    second = service.traffic(moved, start=dt.datetime(2013, 4, 1, tzinfo=dt.UTC), days=30)
    training = resolve(ws, service.rows(6000).drop("truth"))
    found = monitoring.drift(
        ws, training, pl.concat([first, second]).lazy(), endpoint="delay", task="binary",
        validation=service.validation(), window=Window(dt.datetime(2013, 4, 1, tzinfo=dt.UTC)),
    )  # fmt: skip
    assert found.drifted == ["x"]
    (cause,) = found.causes
    assert cause.feature == "x"
    assert cause.since == dt.datetime(2013, 4, 1, tzinfo=dt.UTC)
    assert cause.when == "since 2013-04-01"
    assert cause.segment is None
    # Answers further from a half are surer: the loss to expect falls.
    assert found.loss.told
    assert found.loss.value < 0
    assert found.explained(cause) == pytest.approx(1, abs=0.35)
    assert found.joint.verdict == "drifted"
    assert monitoring.check(ws, found.ref) == found
    text = mimebundle(found)["text/plain"]
    assert len(text.splitlines()) <= 15
    assert "since 2013-04-01" in text
    assert "at most 1 check in 100 if nothing changed" in text
    html = mimebundle(found)["text/html"]
    assert "everywhere" in html


@pytest.mark.parametrize("kept", [False, True])
def test_a_check_names_the_segment_and_the_most_alarming_cause_first(ws, rng, monkeypatch, kept):
    def side(n, moved):
        van = rng.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2])
        rain = rng.normal(np.where(van == "b", 2.5 * moved, 0.0), 1)
        return pl.DataFrame({"van": van, "rain": rain, "wind": rng.normal(3 * moved, 1, n)})

    rows = logged(side(3000, 1.0), evenly(START, 20, 3000), "a")
    write(ws, "delay", "a", rows)
    monkeypatch.setattr(sys.modules["jupyter_mlops.monitoring.drift"], "FROM_PROFILES", 1000)
    found = monitoring.drift(
        ws, resolve(ws, side(4000, 0.0)), rows.lazy(), endpoint="delay",
        log=KeptLog(ws, "delay") if kept else None, jointly=False,
    )  # fmt: skip
    assert ("kept profiles" in found.source) == kept
    wind, rain = found.causes
    assert (wind.feature, wind.segment) == ("wind", None)
    assert rain.feature == "rain"
    assert (rain.segment.column, rain.segment.value) == ("van", "b")
    assert rain.segment.share == pytest.approx(0.3, abs=0.05)
    assert "where van is b" in mimebundle(found)["text/plain"]
    assert monitoring.check(ws, found.ref).causes == found.causes
