"""A check of an endpoint: the window, the verdict with its numbers, and that it is kept."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from jupyter_mlops import monitoring
from jupyter_mlops.data import resolve
from jupyter_mlops.monitoring import Window
from jupyter_mlops.workspace import Invalid, NotFound


def check(ws, service, traffic, feedback=None, **options):
    options.setdefault("endpoint", "delay")
    options.setdefault("task", "binary")
    return monitoring.drift(
        ws,
        options.pop("reference", None) or service.training(ws),
        traffic.lazy(),
        None if feedback is None else feedback.lazy(),
        **options,
    )


def test_unchanged_traffic_with_truth_is_stable(ws, service):
    rows = service.rows(4000)
    traffic = service.traffic(rows)
    found = check(
        ws, service, traffic, service.feedback(traffic, rows),
        validation=service.validation(), version="1", model="delay@1",
    )  # fmt: skip
    assert found.verdict == "stable"
    assert found.drifted == []
    assert found.rows == 4000
    assert found.performance.verdict == "held"
    assert found.performance["log_loss"] == pytest.approx(0.60, abs=0.03)
    assert "30 days as blocks" in found.performance.interval
    assert [one.verdict for one in found.predictions] == ["stable", "stable"]


def test_inputs_that_moved_are_named_and_the_model_may_still_hold(ws, service):
    rows = service.rows(4000, shift=0.8)
    traffic = service.traffic(rows)
    found = check(
        ws, service, traffic, service.feedback(traffic, rows), validation=service.validation()
    )
    assert found.verdict == "inputs moved"
    assert found.drifted == ["x"]
    assert "1 of 2 features drifted (x)" in found.sentence
    assert "the predictions moved too" in found.sentence
    assert found.performance.verdict in ("held", "better")


def test_a_rule_that_changed_behind_stable_inputs_is_performance_worse(ws, service):
    rows = service.rows(4000, slope=-1)
    traffic = service.traffic(rows)
    found = check(
        ws, service, traffic, service.feedback(traffic, rows), validation=service.validation()
    )
    assert found.verdict == "performance worse"
    performance = found.performance
    assert performance.change_low > performance.margin > 0
    assert "against 0.6" in found.sentence


def test_both_at_once(ws, service):
    rows = service.rows(4000, shift=0.8, slope=-1)
    traffic = service.traffic(rows)
    found = check(
        ws, service, traffic, service.feedback(traffic, rows), validation=service.validation()
    )
    assert found.verdict == "inputs moved, performance worse"


def test_without_truth_the_sentence_says_so(ws, service):
    found = check(ws, service, service.traffic(service.rows(1000)))
    assert found.performance is None
    assert found.sentence.endswith("no truth has come yet.")


def test_of_a_sampled_log_it_is_told_how_much_was_asked(ws, service):
    traffic = service.traffic(service.rows(1000))
    assert check(ws, service, traffic.with_columns(share=pl.lit(1.0))).notices == []
    tenth = check(ws, service, traffic.with_columns(share=pl.lit(0.1)), notices=["said besides"])
    assert tenth.rows == 1000
    assert tenth.notices == [
        "said besides",
        "10% of the rows were logged: 1,000 stand for about 10,000",
    ]
    half = pl.when(pl.int_range(pl.len()) < 500).then(0.5).otherwise(0.1)
    both = check(ws, service, traffic.with_columns(share=half)).notices
    assert both[0] == "10% to 50% of the rows were logged: 1,000 stand for about 6,000"
    assert "the share changed within the window" in both[1]


def test_a_short_window_is_no_verdict(ws, service):
    found = check(ws, service, service.traffic(service.rows(12)))
    assert found.verdict == "not enough data"
    # Bins of carrier and of x need different numbers of rows; the sentence names the least.
    needed = min(one.rows_needed for one in found.features)
    assert found.sentence.startswith(f"not enough data: 12 of {needed} rows")
    assert check(ws, service, service.traffic(service.rows(1))).verdict == "not enough data"


def test_the_window_is_event_time_from_since_up_to_until(ws, service):
    traffic = service.traffic(service.rows(3000))
    window = Window.parse("2013-03-11", "2013-03-21")
    found = check(ws, service, traffic, window=window)
    inside = traffic.filter(
        pl.col("event_time").is_between(window.since, window.until, closed="left")
    )
    assert found.rows == inside.height
    assert (found.first, found.last) == (inside["event_time"].min(), inside["event_time"].max())
    newest = check(ws, service, traffic, length="10d")
    assert newest.last == traffic["event_time"].max()
    assert newest.first >= newest.last - dt.timedelta(days=10)


def test_the_next_check_takes_what_came_since_and_again_when_nothing_came(ws, service):
    march = service.traffic(service.rows(1000))
    april = service.traffic(service.rows(800), dt.datetime(2013, 4, 1, tzinfo=dt.UTC))
    assert check(ws, service, march).rows == 1000
    both = pl.concat([march, april])
    second = check(ws, service, both)
    assert second.rows == 800
    assert second.first == april["event_time"].min()
    assert check(ws, service, both).rows == 800
    assert check(ws, service, both, endpoint="other").rows == 1800


def test_one_row_dated_years_ahead_hides_nothing_that_comes_after_it(ws, service):
    wrong = dt.datetime(2099, 1, 1, tzinfo=dt.UTC)
    last = pl.int_range(pl.len()) == 999
    march = service.traffic(service.rows(1000)).with_columns(
        event_time=pl.when(last).then(pl.lit(wrong)).otherwise("event_time")
    )
    first = check(ws, service, march)
    assert first.last == wrong

    later = dt.datetime(2013, 4, 1, tzinfo=dt.UTC)
    april = service.traffic(service.rows(1000, shift=0.8), start=later)
    april = april.with_columns(at=pl.lit(first.at + dt.timedelta(seconds=1)))
    then = check(ws, service, pl.concat([march, april]))
    assert then.drifted == ["x"]
    assert (then.first, then.rows) == (april["event_time"].min(), 1001)

    newest = check(ws, service, pl.concat([march, april]), length="7d")
    assert newest.last == april["event_time"].max()
    assert newest.rows > 100


def test_answers_of_other_versions_are_traffic_but_not_performance(ws, service):
    old, new = service.rows(1000, slope=-1), service.rows(1000)
    first = service.traffic(old, version="1")
    second = service.traffic(new, dt.datetime(2013, 4, 1, tzinfo=dt.UTC), version="2")
    truth = pl.concat([service.feedback(first, old), service.feedback(second, new)])
    found = check(ws, service, pl.concat([first, second]), truth, version="2")
    assert found.rows == 2000
    assert found.performance.rows == 1000
    assert found.performance["auc"] > 0.65
    assert any("other versions" in notice for notice in found.notices)


def test_the_latest_truth_counts_and_unknown_ids_dont(ws, service):
    rows = service.rows(1000)
    traffic = service.traffic(rows)
    wrong = service.feedback(traffic, rows).with_columns(truth=~pl.col("truth"))
    right = service.feedback(traffic, rows).with_columns(at=pl.col("at") + pl.duration(days=1))
    stray = right.with_columns(prediction_id=pl.lit("?") + pl.col("prediction_id"))
    found = check(ws, service, traffic, pl.concat([right, wrong, stray]))
    assert found.performance.rows == 1000
    assert found.performance["auc"] > 0.65
    assert "1,000 truths were corrected later" in " ".join(found.notices)


def test_a_feature_the_traffic_lacks_is_said_and_the_rest_compared(ws, service):
    found = check(
        ws, service, service.traffic(service.rows(1000)), features=["x", "carrier", "wind"]
    )
    assert found.missing == ["wind"]
    assert found.notices == ["the reference has no column 'wind'"]
    assert len(found.features) == 2


def test_a_feature_may_be_called_like_a_column_of_the_log(ws, service):
    rows = service.rows(1000)
    traffic = service.traffic(rows).with_columns(
        **{"in.version": pl.Series(["a", "b"] * 500), "in.prediction": rows["x"]}
    )
    reference = resolve(
        ws, service.rows(1000).with_columns(version=pl.Series(["a", "b"] * 500), prediction="x")
    )
    found = check(
        ws, service, traffic, service.feedback(traffic, rows),
        reference=reference, features=["version", "prediction", "x"], version="1",
    )  # fmt: skip
    assert found.feature("version").verdict == "stable"
    assert found.performance["auc"] > 0.65


def test_nothing_to_compare_is_one_sentence(ws, service):
    traffic = service.traffic(service.rows(300))
    with pytest.raises(NotFound, match=r"no traffic in the window 2014-01-01 to now: widen"):
        check(ws, service, traffic, window=Window.parse("2014-01-01", None))
    with pytest.raises(NotFound, match="no traffic in the window all traffic"):
        check(ws, service, traffic.clear())
    # An endpoint that was never asked has no inputs in its log either.
    with pytest.raises(NotFound, match="no traffic in the window all traffic"):
        check(ws, service, traffic.clear().drop("in.x", "in.carrier"))
    with pytest.raises(Invalid, match="have no feature in common"):
        check(ws, service, traffic, reference=resolve(ws, pl.DataFrame({"other": [1]})))
    with pytest.raises(Invalid, match="has no rows"):
        empty = resolve(ws, service.rows(10).drop("truth").clear())
        check(ws, service, traffic, reference=empty)
    assert ws.events(kind="drift.checked") == []


def test_a_check_is_kept_with_its_event_and_found_again(ws, service):
    rows = service.rows(1000, shift=1)
    traffic = service.traffic(rows)
    found = check(
        ws, service, traffic, service.feedback(traffic, rows),
        validation=service.validation(), model="delay@1", version="1",
        window=Window.parse("2013-03", "2013-05"),
    )  # fmt: skip
    for ref in (found.ref, found.id, found.id[:20], "delay", "endpoint:delay"):
        assert monitoring.find_check(ws, ref) == found
    (event,) = ws.events(kind="drift.checked")
    assert event.subject == "endpoint:delay"
    assert list(event.outputs) == [found.ref]
    assert event.payload["drifted"] == ["x"]
    with pytest.raises(NotFound, match=r"no drift check is called 'ffffff'"):
        monitoring.find_check(ws, "ffffff")
    with pytest.raises(NotFound, match=r"endpoint 'nobody' has no drift check"):
        monitoring.find_check(ws, "nobody")
    with pytest.raises(NotFound, match="has no feature 'z'"):
        found.feature("z")
