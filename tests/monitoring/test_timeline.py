"""Performance period by period: truth that is late, partial, out of order, by segment."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from jupyter_mlops.monitoring import Window, measure, over_time
from jupyter_mlops.monitoring.segments import by_segment
from jupyter_mlops.views.registry import mimebundle, view
from jupyter_mlops.workspace import Invalid, NotFound

KNOWN = {"endpoint": "delay", "task": "binary", "model": "delay@1", "version": "1"}


@pytest.fixture
def month(service):
    rows = service.rows(3000)
    traffic = service.traffic(rows)
    return rows, traffic, service.feedback(traffic, rows)


def test_periods_have_the_metrics_of_their_rows(service, month):
    _, traffic, feedback = month
    found = over_time(traffic.lazy(), feedback.lazy(), **KNOWN, validation=service.validation())
    assert sum(one.rows for one in found.periods) == found.rows == found.answered == 3000
    assert {one.start.weekday() for one in found.periods} == {0}
    second = found.periods[1]
    rows = traffic.join(feedback, on="prediction_id").filter(
        (pl.col("event_time") >= second.start) & (pl.col("event_time") < second.end)
    )
    alone = measure(rows, "binary")
    assert [(one.name, one.value) for one in second.scores] == [
        (one.name, pytest.approx(one.value)) for one in alone.scores
    ]
    assert all(one.low <= one.value <= one.high for one in second.scores)
    assert "days as blocks" in found.interval
    assert found.whole.verdict == "held"
    assert found.changes == []


def test_truth_that_is_late_partial_corrected_and_out_of_order(month):
    _, traffic, feedback = month
    half = feedback.filter(pl.col("prediction_id").hash(1) % 2 == 0)
    wrong = half.head(50).with_columns(~pl.col("truth"), at=pl.col("at") - dt.timedelta(days=400))
    some = over_time(traffic.lazy(), pl.concat([half, wrong]).lazy(), **KNOWN)
    assert (some.rows, some.answered, some.corrected) == (3000, half.height, 50)
    for one in some.periods:
        assert 0 < one.answered < one.rows
    shuffled = pl.concat([wrong, half]).sample(fraction=1, shuffle=True, seed=2)
    again = over_time(traffic.lazy(), shuffled.lazy(), **KNOWN)
    assert again.periods == some.periods
    early = over_time(traffic.lazy(), half.filter(pl.col("at").dt.day() < 8).lazy(), **KNOWN)
    assert [bool(one.scores) for one in early.periods] == [True, True, False, False, False]
    none = over_time(traffic.lazy(), None, **KNOWN)
    assert none.whole is None
    assert none.sentence.startswith("no truth has come yet for 3,000 rows")


def test_intervals_of_days_that_differ_as_a_whole_are_wider():
    """Weeks have too few days to tell; the whole window has enough."""
    inside = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        day = np.repeat(np.arange(28), 60)
        late = rng.random(28 * 60) < np.repeat(rng.beta(2, 6, 28), 60)
        start = dt.datetime(2013, 3, 4, tzinfo=dt.UTC)
        traffic = pl.DataFrame(
            {
                "prediction_id": [str(n) for n in range(late.size)],
                "event_time": [start + dt.timedelta(days=int(one)) for one in day],
                "prediction": [False] * late.size,
            }
        )
        feedback = traffic.select("prediction_id", at="event_time", truth=pl.Series(late))
        found = over_time(traffic.lazy(), feedback.lazy(), endpoint="e", task="binary")
        loss = [one.scores[0] for one in found.periods]
        assert len(loss) == 4
        inside += sum(one.low <= 0.25 <= one.high for one in loss)
    assert inside / 160 >= 0.9


def test_estimates_stand_beside_what_came_later_and_say_what_they_are_blind_to(service, month):
    _, traffic, feedback = month
    found = over_time(traffic.lazy(), feedback.lazy(), **KNOWN, validation=service.validation())
    assert all(one.expected for one in found.periods)
    inside, of = found.tracked["log_loss"]
    assert of >= 4
    assert inside >= of - 1
    text = mimebundle(found)["text/plain"]
    assert len(text.splitlines()) <= 15
    html = mimebundle(found)["text/html"]
    assert "blind to a changed concept" in html
    assert "<script" not in html
    assert "data:image/png;base64," in html
    assert len(html) < 150_000
    shown = view(found).model_dump(mode="json")
    assert shown["kind"] == "performance"
    chart = next(one for one in shown["blocks"] if one["type"] == "chart")
    assert "measured" in chart["spec"]["data"]["values"]


def test_a_changed_concept_is_seen_by_truth_and_not_by_the_estimate(service):
    before, after = service.rows(3000), service.rows(3000, slope=-1.0)
    first = service.traffic(before)
    second = service.traffic(after, start=dt.datetime(2013, 4, 1, tzinfo=dt.UTC))
    feedback = pl.concat([service.feedback(first, before), service.feedback(second, after)])
    found = over_time(
        pl.concat([first, second]).lazy(),
        feedback.lazy(),
        **KNOWN,
        validation=service.validation(),
    )
    assert len(found.changes) == 1
    change = found.changes[0]
    assert abs(change.began - dt.datetime(2013, 4, 1, tzinfo=dt.UTC)) < dt.timedelta(days=2)
    assert change.began <= change.seen
    assert change.after > change.before
    assert "went from" in found.sentence
    last = found.periods[-2]
    expected, measured = last.expected[0], last.scores[0]
    assert measured.low > expected.high
    assert not last.covered["log_loss"]
    assert found.periods[0].covered["log_loss"]


def test_the_worst_segment_comes_first_and_small_ones_are_left_out(service):
    rows = service.rows(4000)
    wrong = rows.with_columns(
        truth=pl.when(pl.col("carrier") == "B6").then(~pl.col("truth")).otherwise("truth")
    )
    traffic = service.traffic(wrong).with_columns(
        pl.when(pl.int_range(4000) < 20)
        .then(pl.lit("XX"))
        .otherwise("in.carrier")
        .alias("in.carrier")
    )
    found = over_time(
        traffic.lazy(), service.feedback(traffic, wrong).lazy(), **KNOWN, by="carrier"
    )
    segments = found.segments
    assert segments.items[0].name == "B6"
    assert segments.items[0].verdict == "worse"
    assert segments.items[0].low > 0
    assert (segments.small, segments.small_rows) == (1, 20)
    assert "worst where carrier is B6" in found.sentence
    numbers = over_time(traffic.lazy(), service.feedback(traffic, wrong).lazy(), **KNOWN, by="x")
    assert len(numbers.segments.items) == 5


def test_segments_that_are_alike_are_rarely_called_worse():
    alarms = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        losses = rng.exponential(0.5, 3000)
        names = pl.Series("k", rng.integers(0, 10, 3000).astype(str))
        found = by_segment(names, losses, np.sort(rng.integers(0, 30, 3000)))
        alarms += any(one.verdict != "alike" for one in found.items)
    assert alarms <= 4


def test_a_regression_has_errors_and_no_estimate(service):
    rng = np.random.default_rng(1)
    traffic = (
        service.traffic(service.rows(900))
        .with_columns(prediction=pl.Series(rng.normal(size=900)))
        .drop("probability")
    )
    feedback = traffic.select("prediction_id", at="event_time").with_columns(
        truth=traffic["prediction"] + pl.Series(rng.normal(size=900))
    )
    found = over_time(traffic.lazy(), feedback.lazy(), endpoint="e", task="regression")
    assert found.periods[0].scores[0].name == "rmse"
    assert found.loss == "absolute error"
    assert found.calibration is None
    assert any("a number has no probability" in one for one in found.notices)


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"every": "soon"}, Invalid, "no length of time"),
        ({"every": "1min"}, Invalid, "a longer --every"),
        ({"by": "carier"}, NotFound, "did you mean 'carrier'"),
        ({"version": "9"}, NotFound, "has no answers"),
        ({"window": Window.parse("2015", None)}, NotFound, "has no answers"),
    ],
)
def test_what_cant_be_shown_is_one_sentence(month, given, kind, message):
    _, traffic, feedback = month
    with pytest.raises(kind) as raised:
        over_time(traffic.lazy(), feedback.lazy(), **{**KNOWN, **given})
    assert message in str(raised.value)
    assert len(str(raised.value)) < 300


def test_truth_that_is_no_class_counts_as_wrong_and_is_told(month):
    _, traffic, feedback = month
    texts = feedback.with_columns(pl.col("truth").cast(pl.String))
    known = {**KNOWN, "classes": [False, True]}
    asked = traffic.with_columns(pl.lit(None).alias("in.tags").cast(pl.List(pl.String)))
    right = over_time(asked.lazy(), texts.lazy(), **known)
    first = pl.int_range(pl.len()) < 30
    other = texts.with_columns(truth=pl.when(first).then(pl.lit("lost")).otherwise("truth"))
    found = over_time(asked.lazy(), other.lazy(), **known)
    assert found.answered == right.answered
    assert "30 truths are no class of the model (such as 'lost') and count as wrong" in (
        found.notices
    )
    assert found.whole["accuracy"] < right.whole["accuracy"]
    # A probability of nought: about 28 for each of the thirty.
    assert found.whole["log_loss"] > right.whole["log_loss"] + 0.2
    with pytest.raises(Invalid, match="rows can't be grouped by 'tags': it holds lists"):
        over_time(asked.lazy(), texts.lazy(), by="tags", **known)


def test_windows_of_one_row_and_one_class(service):
    rows = service.rows(1)
    traffic = service.traffic(rows)
    found = over_time(traffic.lazy(), service.feedback(traffic, rows).lazy(), **KNOWN)
    assert (found.rows, len(found.periods), found.changes) == (1, 1, [])
    assert mimebundle(found)["text/plain"]
