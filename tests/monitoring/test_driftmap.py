"""Features by period: which moved when, in bounded time, and as small as a notebook needs."""

from __future__ import annotations

import datetime as dt
import json

import polars as pl
import pytest

from jupyter_mlops.monitoring import Window
from jupyter_mlops.monitoring.driftmap import WINDOWS, drift_map
from jupyter_mlops.views.registry import mimebundle, view
from jupyter_mlops.views.text import LINES
from jupyter_mlops.workspace import NotFound

MARCH = dt.datetime(2013, 3, 4, tzinfo=dt.UTC)  # a Monday


@pytest.fixture
def moved(service):
    """Four weeks as at training, then two weeks in which x lies elsewhere."""
    calm = service.traffic(service.rows(4000), start=MARCH, days=28)
    after = service.rows(2000, shift=1.0)
    return pl.concat([calm, service.traffic(after, start=MARCH + dt.timedelta(28), days=14)])


def made(ws, service, traffic, **more):
    return drift_map(service.training(ws), traffic.lazy(), endpoint="delay", **more)


def levels(found, name):
    return [one.features[name].verdict if one.rows else None for one in found.windows]


def test_a_feature_is_drifted_from_the_week_on_in_which_it_moved(ws, service, moved):
    found = made(ws, service, moved, model="delay@1")
    assert [one.start.date() for one in found.windows] == [
        (MARCH + dt.timedelta(weeks=n)).date() for n in range(6)
    ]
    assert sum(one.rows for one in found.windows) == moved.height
    assert levels(found, "x") == ["stable"] * 4 + ["drifted"] * 2
    assert levels(found, "carrier") == ["stable"] * 6
    assert found.names == ["x", "carrier"]
    text = mimebundle(found)["text/plain"]
    assert len(text.splitlines()) <= LINES
    assert "1 of 2 features drifted, since 2013-04-01 at the earliest: x." in text
    assert "x        ····■■  PSI up to" in text


def test_periods_without_traffic_are_gaps_and_those_with_little_say_so(ws, service):
    early = service.traffic(service.rows(2000), start=MARCH, days=7)
    few = service.traffic(service.rows(20), start=MARCH + dt.timedelta(21), days=7)
    found = made(ws, service, pl.concat([early, few]))
    assert [one.rows for one in found.windows] == [2000, 0, 0, 20]
    assert levels(found, "x") == ["stable", None, None, "not enough data"]
    (heat,) = (one for one in view(found).blocks if one.type == "heat")
    assert heat.rows[0].levels == ["good", None, None, "info"]
    assert heat.columns[1].args == {}  # there is nothing to open


def test_of_many_periods_the_newest_are_shown_and_the_rest_is_told(ws, service):
    traffic = service.traffic(service.rows(30_000), start=MARCH, days=80)
    found = made(ws, service, traffic, every="1d")
    assert len(found.windows) == WINDOWS
    assert found.windows[-1].end.date() == (MARCH + dt.timedelta(80)).date()
    earlier = traffic.height - sum(one.rows for one in found.windows)
    assert f"{earlier:,} rows came before" in found.notices[0]
    window = Window(MARCH, MARCH + dt.timedelta(10))
    assert len(made(ws, service, traffic, every="1d", window=window).windows) == 10


def test_a_large_reference_is_sampled_always_alike(ws, service, moved):
    reference = service.training(ws, 50_000)
    first, second = (drift_map(reference, moved.lazy(), endpoint="delay") for _ in range(2))
    assert first.reference_rows == 20_000
    assert "20,000 of the 50,000 rows" in first.notices[0]
    assert [one.features["x"].effect for one in first.windows] == [
        one.features["x"].effect for one in second.windows
    ]
    assert levels(first, "x")[-1] == "drifted"


def test_no_traffic_is_said(ws, service, moved):
    with pytest.raises(NotFound, match="has no traffic in the window"):
        made(ws, service, moved, window=Window(MARCH + dt.timedelta(900)))


def test_names_of_any_kind_stay_text_and_a_wide_map_stays_small(ws, service):
    name = "<img src=x onerror=alert(1)> " + "long " * 30
    wide = pl.DataFrame({f"x{n}": service.rng.normal(size=2000) for n in range(60)})
    wide = wide.rename({"x0": name})
    traffic = service.traffic(service.rows(2000), start=MARCH, days=50).drop("in.x", "in.carrier")
    traffic = traffic.with_columns(wide.select(pl.all().name.prefix("in.")))
    from jupyter_mlops.data import resolve

    found = drift_map(resolve(ws, wide), traffic.lazy(), endpoint="delay", every="1d")
    bundle = mimebundle(found)
    assert "<img src=x" not in bundle["text/html"]
    assert len(json.dumps(bundle, indent=1)) < 200_000
