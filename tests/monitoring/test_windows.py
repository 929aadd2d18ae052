"""Spans of time as a person writes them."""

from __future__ import annotations

import datetime as dt

import pytest

from jupyter_mlops.monitoring import Window
from jupyter_mlops.workspace import Invalid


def day(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("since", "until", "length", "expected"),
    [
        ("2013-03-01", "2013-04-01", None, ("2013-03-01", "2013-04-01")),
        ("2013-03", "2013-04", None, ("2013-03-01", "2013-04-01")),
        ("2013", "2014", None, ("2013-01-01", "2014-01-01")),
        ("2013-03", None, "2w", ("2013-03-01", "2013-03-15")),
        (None, "2013-04", "36h", ("2013-03-30T12:00", "2013-04-01")),
        ("2013-03-01T02:00+02:00", None, None, ("2013-03-01", None)),
        (None, None, None, (None, None)),
    ],
)
def test_windows_are_read_as_meant(since, until, length, expected):
    window = Window.parse(since, until, length)
    assert (window.since, window.until) == tuple(one and day(one) for one in expected)


@pytest.mark.parametrize(
    ("since", "until", "length", "message"),
    [
        ("yesterday", None, None, "'yesterday' is no time: write a date"),
        ("2013-13", None, None, "'2013-13' is no time"),
        (None, "2013-04", "30 parsecs", "'30 parsecs' is no length of time"),
        (None, "2013-04", "0d", "'0d' is no length of time"),
        ("2013-04", "2013-03", None, "ends .* before it starts"),
        ("2013-03", "2013-04", "3d", "same thing twice"),
    ],
)
def test_what_cant_be_read_is_one_sentence(since, until, length, message):
    with pytest.raises(Invalid, match=message):
        Window.parse(since, until, length)


def test_a_window_says_itself():
    assert str(Window.parse("2013-03", "2013-04")) == "2013-03-01 to 2013-04-01"
    assert str(Window.parse("2013-03-01T12:30", None)) == "2013-03-01 12:30 to now"
    assert str(Window()) == "all traffic"
