"""Earlier traffic as the reference: a month, as much time before, the same season."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from jupyter_mlops import monitoring
from jupyter_mlops.monitoring import Window
from jupyter_mlops.monitoring.references import earlier_traffic
from jupyter_mlops.monitoring.sides import within
from jupyter_mlops.workspace import Invalid, NotFound

WEEK = dt.timedelta(weeks=1)


def day(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def traffic_since(start, end="2014-04-01", a_day=10):
    """A count of traffic that begins at a day and has so many rows on each."""

    def count(window):
        lo, hi = max(window.since, day(start)), min(window.until, day(end))
        return max(0, int((hi - lo) / dt.timedelta(days=1) * a_day))

    return count


MARCH = Window(day("2014-03-03"), day("2014-03-31"))
MONDAY = Window(day("2014-03-31"), day("2014-04-01"))


def test_a_month_a_span_and_so_much_time_before_are_what_they_say():
    count = traffic_since("2013-01-01")
    for text, since, until in (
        ("traffic:2013-03", "2013-03-01", "2013-04-01"),
        ("traffic:2013", "2013-01-01", "2014-01-01"),
        ("traffic:2013-03-04", "2013-03-04", "2013-03-05"),
        ("traffic:2013-03-01..2013-03-15", "2013-03-01", "2013-03-15"),
        ("traffic:30d", "2014-02-01", "2014-03-03"),
    ):
        found = earlier_traffic(text, MARCH, count)
        assert found.windows == [Window(day(since), day(until))]
        # What it is called by reads as itself.
        assert earlier_traffic(found.label, MARCH, count).windows == found.windows


def test_the_season_is_the_year_before_else_the_weeks_before_else_right_before():
    whole = earlier_traffic("traffic", MARCH, traffic_since("2013-01-01"))
    assert whole.windows == [MARCH.moved(-52 * WEEK)]
    assert whole.windows[0].since.weekday() == MARCH.since.weekday()
    assert whole.why == "the same weeks of the year before"
    short = earlier_traffic("traffic", MONDAY, traffic_since("2014-03-01"))
    assert short.windows == [MONDAY.moved(-at * WEEK) for at in (1, 2, 3, 4)]
    assert {one.since.weekday() for one in short.windows} == {0}
    assert earlier_traffic(short.label, MONDAY, traffic_since("2014-03-01")).windows == (
        short.windows
    )
    young = earlier_traffic("traffic", MONDAY, traffic_since("2014-03-29"))
    assert young.windows == [Window(MONDAY.since - dt.timedelta(days=1), MONDAY.since)]
    assert young.why == "as much time right before, for want of a season"
    asked = earlier_traffic("traffic", MONDAY, traffic_since("2013-01-01"), "week")
    assert len(asked.windows) == 4


def test_traffic_that_isnt_there_is_one_sentence():
    count = traffic_since("2014-03-31")
    with pytest.raises(NotFound, match="no traffic of the same weeks of the year before"):
        earlier_traffic("traffic", MARCH, count, "year")
    with pytest.raises(NotFound, match="no traffic from 2013-03-01 to 2013-04-01 to compare"):
        earlier_traffic("traffic:2013-03", MARCH, count)
    with pytest.raises(NotFound, match="no traffic from"):
        earlier_traffic("traffic", MONDAY, count)
    with pytest.raises(Invalid, match="both say what to compare with"):
        earlier_traffic("traffic:2013-03", MARCH, count, "year")
    with pytest.raises(Invalid, match="'soon' is no time"):
        earlier_traffic("traffic:soon", MARCH, count)


def test_a_warm_month_is_no_drift_against_the_same_month_a_year_before(ws, service):
    months = [(day("2013-03-04"), 1.0), (day("2014-01-06"), 0.0), (day("2014-03-03"), 1.0)]
    parts = [service.traffic(service.rows(1500, moved), at, days=28) for at, moved in months]
    traffic = pl.concat(parts).lazy()

    def count(window):
        return within(traffic, window).select(pl.len()).collect().item()

    window = Window(day("2014-03-03"), day("2014-03-31"))
    against = {
        "training": service.training(ws),
        "year": earlier_traffic("traffic", window, count, "year"),
        "winter": earlier_traffic("traffic:2014-01", window, count),
    }
    found = {
        name: monitoring.drift(ws, one, traffic, endpoint="delay", window=window)
        for name, one in against.items()
    }
    assert {name: one.verdict for name, one in found.items()} == {
        "training": "inputs moved",
        "year": "stable",
        "winter": "inputs moved",
    }
    assert found["year"].reference == "traffic:2013-03-04..2013-04-01"
    assert found["year"].reference_rows == 1500
    assert "compared with the same weeks of the year before" in found["year"].notices
