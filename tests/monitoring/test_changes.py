"""Changes of the loss: rarely where there are none, soon where there are."""

from __future__ import annotations

import datetime as dt
import sys

import numpy as np
import pytest
from scipy import stats

from jupyter_mlops.monitoring import find_changes
from jupyter_mlops.monitoring.changes import DETECTORS
from jupyter_mlops.workspace import Unavailable

FAST = ("adwin", "page-hinkley")


def errors(rng, n, rate):
    return (rng.random(n) < rate).astype(float)


def with_days(rng, days, rows, spread):
    """Losses whose days differ as a whole, and the day of each."""
    day = np.repeat(np.arange(days), rows)
    return rng.exponential(0.5, days * rows) * np.exp(rng.normal(0, spread, days))[day], day


@pytest.mark.parametrize("detector", FAST)
def test_null_streams_raise_no_more_alarms_than_stated(detector):
    """Errors, heavy tails, and days that differ: 120 streams, one in a hundred may alarm."""
    alarms = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        alarms += bool(find_changes(errors(rng, 3000, 0.1), detector=detector))
        alarms += bool(find_changes(rng.lognormal(0, 1.5, 3000), detector=detector))
        losses, days = with_days(rng, 30, 100, 0.4)
        alarms += bool(find_changes(losses, days=days, detector=detector))
    assert alarms <= stats.binom.ppf(0.99, 120, 0.01)


def test_one_strange_day_at_the_end_is_no_change():
    rng = np.random.default_rng(4)
    losses, days = with_days(rng, 30, 100, 0.1)
    losses[days == 29] *= 4
    assert find_changes(losses, days=days) == []
    losses[days >= 26] *= 4
    (found,) = find_changes(losses, days=days)
    assert abs(found.began_row - 2600) <= 100


def test_days_that_differ_would_alarm_if_rows_counted_alone():
    """The same streams without their days: what the blocks are for."""
    alone = together = 0
    for seed in range(20):
        losses, days = with_days(np.random.default_rng(seed), 30, 100, 0.8)
        alone += bool(find_changes(losses))
        together += bool(find_changes(losses, days=days))
    assert together <= 1
    assert alone >= 10


@pytest.mark.parametrize("detector", FAST)
def test_a_doubled_error_rate_is_dated_and_seen_soon(detector):
    began, delays = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        stream = np.r_[errors(rng, 3000, 0.1), errors(rng, 3000, 0.2)]
        found = find_changes(stream, detector=detector)
        assert len(found) == 1
        assert found[0].low < 0.1 < found[0].high
        began.append(abs(found[0].began_row - 3000))
        delays.append(found[0].seen_row - 3000)
    assert np.median(began) < 100
    assert np.median(delays) < 500


def test_kswin_sees_a_change_of_shape_and_mean():
    rng = np.random.default_rng(1)
    stream = np.r_[rng.exponential(0.3, 1000), rng.exponential(1.5, 1000)]
    (found,) = find_changes(stream, detector="kswin")
    assert abs(found.began_row - 1000) < 30
    assert 0 <= found.delay < 400


def test_there_and_back_are_two_changes_with_their_times():
    rng = np.random.default_rng(2)
    stream = np.r_[errors(rng, 2000, 0.1), errors(rng, 2000, 0.4), errors(rng, 2000, 0.1)]
    start = dt.datetime(2013, 1, 1, tzinfo=dt.UTC)
    times = [start + dt.timedelta(minutes=n) for n in range(6000)]
    up, down = find_changes(stream, times)
    assert up.after > up.before == pytest.approx(0.1, abs=0.03)
    assert down.after < down.before == pytest.approx(0.4, abs=0.03)
    assert up.began == times[up.began_row]
    assert up.began < up.seen < down.began


@pytest.mark.parametrize("detector", DETECTORS)
def test_streams_that_hold_nothing_to_find(detector):
    assert find_changes(np.zeros(0), detector=detector) == []
    assert find_changes(np.ones(50), detector=detector) == []
    assert find_changes(np.ones(600), detector=detector) == []


def test_validation_losses_set_the_scale():
    """What is far above validation from the first row on has no change in it."""
    rng = np.random.default_rng(3)
    assert find_changes(errors(rng, 2000, 0.5), reference=errors(rng, 500, 0.1)) == []


def test_without_the_library_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "river", None)
    with pytest.raises(Unavailable, match="jupyter-mlops\\[drift\\]"):
        find_changes(np.zeros(500))


@pytest.mark.parametrize(
    ("name", "detector", "within"),
    [
        ("Apple", "adwin", 15),
        ("Apple", "page-hinkley", 20),
        ("AirlinePassengers", "adwin", 2),
        ("RunLog", "page-hinkley", 2),
    ],
)
def test_rivers_annotated_series(name, detector, within):
    """Real series whose change points five people marked: what is found lies at a mark."""
    from river.drift import datasets

    series = getattr(datasets, name)()
    answers = [one for _, one in series]
    values = [next(iter(one.values())) if isinstance(one, dict) else one for one in answers]
    marked = {at for points in series.annotations.values() for at in points}
    found = find_changes(np.array(values, dtype=float), detector=detector)
    assert found
    for one in found:
        assert min(abs(one.began_row - at) for at in marked) <= within
        assert one.delay <= 50
