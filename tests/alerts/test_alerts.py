"""An alert's life: opened once, counted, acknowledged, resolved, and no flapping."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jupyter_mlops import mlops
from jupyter_mlops.monitoring.alerts import Finding, list_alerts, observe
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import NotFound, Workspace

START = datetime(2026, 3, 1, tzinfo=UTC)


def look(ws: Workspace, day: int, bad: bool | None, *parts: str, kind: str = "drift") -> list[str]:
    """One look a day; what changed, by its new state."""
    said = f"{len(parts)} of 8 features drifted"
    found = Finding("delay", kind, "inputs", bad, said, {"psi": 0.3}, parts)
    return [one.state for one in observe(ws, [found], at=START + timedelta(days=day))]


def kinds(ws: Workspace) -> list[str]:
    return [one.kind for one in ws.events(limit=1000) if one.kind.startswith("alert.")]


def test_an_alert_opens_once_and_is_resolved_by_good_checks_in_a_row(database, tmp_path):
    ws = Workspace.open(tmp_path)
    assert look(ws, 0, True, "rain") == ["open"]
    assert look(ws, 1, True, "rain") == []
    (one,) = list_alerts(ws)
    assert (one.count, one.kind, one.subject, one.numbers) == (2, "drift", "inputs", {"psi": 0.3})
    assert one.last_at - one.first_at == timedelta(days=1)
    assert look(ws, 2, False) == []
    assert look(ws, 3, None) == []  # not enough data says nothing either way
    assert look(ws, 4, False) == ["resolved"]
    assert look(ws, 5, False) == []
    assert kinds(ws) == ["alert.opened", "alert.resolved"]
    assert list_alerts(ws).total == 0
    assert list_alerts(ws, "delay", every=True).total == 1
    assert ws.audit().intact


def test_numbers_that_are_none_are_kept_as_none(database, tmp_path):
    ws = Workspace.open(tmp_path)
    numbers = {"loss": float("nan"), "features": [{"effect": float("inf")}]}
    (one,) = observe(ws, [Finding("delay", "performance", "loss", True, "worse", numbers)])
    assert one.numbers == {"loss": None, "features": [{"effect": None}]}


def test_another_kind_or_endpoint_has_an_alert_of_its_own(ws):
    assert look(ws, 0, True) == look(ws, 0, True, kind="performance") == ["open"]
    observe(ws, [Finding("other", "drift", "inputs", True, "moved")])
    assert {(one.endpoint, one.kind) for one in list_alerts(ws)} == {
        ("delay", "drift"), ("delay", "performance"), ("other", "drift")
    }  # fmt: skip
    assert list_alerts(ws, "other").total == 1


def test_what_comes_and_goes_does_not_flap(ws):
    """Bad and good by turns for a month is one alert that was opened once."""
    for day in range(30):
        look(ws, day, day % 2 == 0, "rain")
    assert kinds(ws) == ["alert.opened"]
    (one,) = list_alerts(ws)
    assert (one.state, one.count) == ("open", 15)


def test_what_comes_back_soon_is_the_same_alert_and_takes_longer_to_be_over(ws):
    changes = []
    for hour in range(48):
        found = Finding("delay", "errors", "requests", hour % 6 < 2, "3 of 10 failed")
        at = START + timedelta(hours=hour)
        changes += [(hour, one.state) for one in observe(ws, [found], at=at)]
    assert changes == [(0, "open"), (3, "resolved"), (6, "open"), (11, "resolved"), (12, "open")]
    (one,) = list_alerts(ws)
    assert (one.reopened, one.needed, one.count) == (2, 8, 16)
    # Long after, it is another one.
    assert look(ws, 100, True) == ["open"]
    assert list_alerts(ws).total == 2


def test_an_acknowledged_alert_stays_quiet_until_more_is_concerned(ws):
    look(ws, 0, True, "rain")
    ref = list_alerts(ws).items[0].ref
    found = mlops.alert.ack(ref, note="new sensors")
    assert (found.state, found.acknowledged_by, found.note) == (
        "acknowledged", "ada", "new sensors"
    )  # fmt: skip
    assert mlops.alert.ack(ref).state == "acknowledged"
    assert look(ws, 1, True, "rain") == []
    assert look(ws, 2, True, "rain", "distance") == ["open"]
    assert kinds(ws) == ["alert.opened", "alert.acknowledged", "alert.reopened"]
    assert mlops.alert.resolve(ref[:20], note="mended").state == "resolved"
    assert mlops.alerts(ref).resolved_by == "ada"
    with pytest.raises(NotFound, match="no alert is called 'f00'"):
        mlops.alerts("alert:f00")


def test_features_that_drift_by_turns_dont_wake_who_acknowledged_them(ws):
    look(ws, 0, True, "rain")
    ref = list_alerts(ws).items[0].ref
    mlops.alert.ack(ref)
    assert look(ws, 1, True, "distance") == ["open"]
    mlops.alert.ack(ref)
    for day in range(2, 12):
        assert look(ws, day, True, ("rain", "distance")[day % 2]) == []
    assert mlops.alerts(ref).parts == ["rain", "distance"]


def test_alerts_are_seen_at_a_glance_and_in_full(ws):
    assert "No alerts wait" in mimebundle(mlops.alerts())["text/plain"]
    look(ws, 0, True, "rain")
    look(ws, 0, True, kind="performance")
    waits = {one.question: one.answer for one in mlops().answers}["What waits for a person?"]
    assert waits == "2 alerts of delay"
    page = mimebundle(mlops.alerts(list_alerts(ws).items[0].ref))
    assert "features drifted" in page["text/plain"]
    assert "application/vnd.jupyter-mlops.alert.v1+json" in page
    for one in list_alerts(ws):
        mlops.alert.ack(one.ref)
    waits = {one.question: one.answer for one in mlops().answers}["What waits for a person?"]
    assert waits == "nothing"
    listed = mimebundle(mlops.alerts())["text/plain"]
    assert "acknowledg" in listed
