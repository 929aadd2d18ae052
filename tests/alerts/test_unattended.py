"""The agent alone: it checks, raises an alert once, has it told, and sees when it is over."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import signal
from collections.abc import Iterator

import numpy as np
import pandas as pd
import psutil
import pytest
from living import until

from jupyter_mlops import agent, mlops
from jupyter_mlops.monitoring import list_checks
from jupyter_mlops.monitoring.alerts import list_alerts
from jupyter_mlops.monitoring.monitors import monitor as monitor_of
from jupyter_mlops.monitoring.records import DriftCheckRecord, MonitorRecord
from jupyter_mlops.monitoring.watching import follow_events, make_check
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import Conflict, Invalid, MLOpsError, NotFound, Workspace
from jupyter_mlops.workspace.records import utcnow

BODY = """
from sklearn.linear_model import LogisticRegression
model = LogisticRegression().fit(data[["rain", "distance"]], data["late"])
"""


def deliveries(count: int, rain: float = 0.0, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"rain": rng.normal(rain, 1, count), "distance": rng.normal(size=count)})
    table["late"] = (rng.uniform(size=count) < 1 / (1 + np.exp(-table["rain"]))).astype(int)
    return table


@pytest.fixture
def served(ws: Workspace) -> Iterator[Workspace]:
    """A workspace in which ``delay`` is served; who is asked alone decides what is drift."""
    mlops.data.add("past", deliveries(3000))
    run = mlops.train("delay", BODY, data="past", target="late")
    mlops.register(run.ref, "delay", alias="champion")
    mlops.serve("delay@champion")
    yield ws
    mlops.stop("delay")


def ask(count: int, rain: float, seed: int) -> None:
    mlops.call("delay", deliveries(count, rain, seed)[["rain", "distance"]])


def outcome(ws: Workspace) -> str:
    return monitor_of(ws, "delay").outcome


def alert_states(ws: Workspace) -> list[str]:
    return [one.state for one in list_alerts(ws, every=True)]


def checks_since(ws: Workspace, before: int) -> int:
    return list_checks(ws, "delay").total - before


def hurry(ws: Workspace) -> None:
    """What is due in a few seconds is due now; the agent sees it at its next look."""
    with ws.write() as tx:
        tx.session.get_one(MonitorRecord, "delay").due_at = utcnow()


def lives(pid):
    """Whether a process runs; one that ended waits to be reaped by us."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_drift_is_found_told_acknowledged_and_over_without_anybody_asking(
    served, receiver, monkeypatch
):
    monkeypatch.setenv("HOOK", "a shared secret")
    mlops.channel.add("oncall", to=f"webhook:{receiver.url}", secret="secret:HOOK")
    agent_before = agent.state(served).pid
    if agent_before:  # it reads secrets from its own environment
        os.kill(agent_before, signal.SIGTERM)
        until(lambda: not agent.state(served).running and not lives(agent_before))
    ask(600, 0.0, 2)
    mlops.monitor("delay", every="10s")
    until(lambda: "0 of 2 features drifted" in outcome(served))
    assert alert_states(served) == []

    ask(600, 1.5, 3)
    hurry(served)
    until(lambda: alert_states(served) == ["open"])
    (found,) = list_alerts(served)
    assert (found.kind, found.subject, found.parts, found.count) == (
        "drift", "inputs", ["rain"], 1
    )  # fmt: skip
    assert found.numbers["check"].startswith("drift:")
    until(lambda: receiver.requests)
    headers, body = receiver.requests[0]
    assert json.loads(body)["data"]["id"] == found.id
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    signed = hmac.new(b"a shared secret", content, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(signed).decode()

    # More of the same is no news.
    ask(600, 1.5, 4)
    hurry(served)
    until(lambda: list_alerts(served).items[0].count == 2)
    mlops.alert.ack(found.ref, note="storms")

    # Nothing new is no check, and neither good nor bad.
    before = list_checks(served, "delay").total
    hurry(served)
    until(lambda: outcome(served).startswith("No traffic"))
    assert checks_since(served, before) == 0

    for seed in (5, 6):
        before = list_checks(served, "delay").total
        assert alert_states(served) == ["acknowledged"]
        ask(600, 0.0, seed)
        hurry(served)
        until(lambda: checks_since(served, before) == 1)  # noqa: B023
    until(lambda: alert_states(served) == ["resolved"])
    until(lambda: len(receiver.requests) == 3)
    told = [json.loads(body)["type"] for _, body in receiver.requests]
    assert told == ["alert.opened", "alert.acknowledged", "alert.resolved"]
    kinds = [one.kind for one in served.events(limit=1000) if one.kind.startswith("alert.")]
    assert sorted(set(kinds)) == [
        "alert.acknowledged", "alert.opened", "alert.resolved", "alert.told"
    ]  # fmt: skip
    assert served.audit().intact


def quiet(ws: Workspace) -> None:
    """A monitor that the agent leaves alone for now."""
    mlops.monitor.stop("delay")
    with ws.write() as tx:
        tx.session.get_one(MonitorRecord, "delay").paused = False
        tx.session.get_one(MonitorRecord, "delay").due_at = utcnow().replace(year=2100)


def test_verdicts_survive_kills_and_little_traffic_is_no_alarm(served, monkeypatch):
    from jupyter_mlops.monitoring import watching

    ask(12, 3.0, 2)
    mlops.monitor("delay", every="1d", alarms_a_quarter=1)
    until(lambda: "not enough data" in outcome(served))
    assert alert_states(served) == []
    quiet(served)

    # The process is killed after it has kept its check, before it has judged it.
    ask(600, 1.5, 3)
    with monkeypatch.context() as patch:
        patch.setattr(watching, "settle", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            make_check(served, "delay")
    before = list_checks(served, "delay").total
    assert alert_states(served) == []
    assert "1 of 2 features drifted" in make_check(served, "delay").outcome
    assert alert_states(served) == ["open"]
    assert list_checks(served, "delay").total == before
    # And it is judged once.
    assert make_check(served, "delay").outcome.startswith("No traffic")
    assert list_alerts(served).items[0].count == 1

    # A check by a person has other limits, and raises no alarms.
    mlops.drift("delay")
    make_check(served, "delay")
    assert list_alerts(served).items[0].count == 1
    with served.read() as session:
        limits = session.get_one(DriftCheckRecord, monitor_of(served, "delay").check[6:]).result
    assert limits["limits"]["alpha"] == pytest.approx(0.4 / 91.3125)
    page = mimebundle(mlops.monitors("delay"))["text/plain"]
    assert "1 false alarm a quarter at the most: 92 checks of all inputs at 0.0044" in page


def test_a_check_that_cannot_be_made_is_an_alert_itself(served):
    mlops.monitor("delay", every="1d")
    until(lambda: outcome(served))
    quiet(served)
    with served.write() as tx:
        row = tx.session.get_one(MonitorRecord, "delay")
        row.terms = {**row.terms, "against": "data:nosuch"}
    ask(300, 0.0, 2)
    for _ in range(2):
        with pytest.raises(NotFound):
            make_check(served, "delay")
        assert alert_states(served) == []
    assert "nosuch" in make_check(served, "delay").outcome
    (found,) = list_alerts(served)
    assert (found.kind, found.state) == ("check", "open")
    assert "The check can't be made" in found.reason
    mlops.monitor("delay", against="past")
    until(lambda: alert_states(served) == ["resolved"])


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)  # the others have SQLite
def test_an_endpoint_that_fails_is_an_alert_until_it_answers_again(database, served):
    mlops.monitor("delay", every="1d")
    until(lambda: outcome(served))
    with served.write("agent") as tx:
        tx.emit("endpoint.rolled_back", "endpoint:delay", payload={
            "version": "2", "role": "canary", "reason": "30 of its 100 requests failed"
        })  # fmt: skip
    until(lambda: alert_states(served) == ["open"])
    (found,) = list_alerts(served)
    assert (found.kind, found.reason) == (
        "rolled back", "version 2 was withdrawn: 30 of its 100 requests failed"
    )  # fmt: skip
    assert follow_events(served) == 0  # an event counts once
    mlops.stop("delay")
    until(lambda: alert_states(served) == ["resolved"])


def test_what_an_endpoint_counts_becomes_an_alert(ws):
    """Requests that the model fails on, slow ones, and rows that break the contract."""
    mlops.data.add("past", deliveries(3000))
    mlops.contract("past", target="late", save="past")
    run = mlops.train("delay", BODY, data="past", target="late", contract="past")
    mlops.register(run.ref, "delay", alias="champion")
    mlops.serve("delay@champion")
    mlops.monitor("delay", every="1d", latency="1ms")
    holes = deliveries(5)[["rain", "distance"]].assign(rain=float("nan"))

    def spoil(subject: str) -> bool:
        with pytest.raises(MLOpsError, match="the model failed on these rows"):
            mlops.call("delay", holes)
        ask(20, 60.0, 2)
        return subject in [one.subject for one in list_alerts(ws)]

    until(lambda: spoil("requests"))
    until(lambda: spoil("rain: bounds"))
    until(lambda: spoil("1 ms"))
    # Whatever goes on, each is one alert.
    found = {one.subject: one for one in list_alerts(ws, every=True)}
    assert len(found) == list_alerts(ws, every=True).total
    assert (found["requests"].kind, found["requests"].count) == ("errors", 1)
    assert "requests failed within" in found["requests"].reason
    assert found["rain: bounds"].kind == "contract"
    assert found["1 ms"].kind == "latency"
    mlops.stop("delay")


def test_a_full_gpu_and_processes_that_end_become_alerts(ws, tmp_path, monkeypatch):
    fakes = tmp_path / "gpus.json"
    fakes.write_text("[]")
    monkeypatch.setenv("JUPYTER_MLOPS_FAKE_GPUS", str(fakes))
    mlops.data.add("past", deliveries(3000))
    mlops.register(mlops.train("delay", BODY, data="past", target="late").ref, "delay")
    mlops.serve("delay")
    mlops.monitor("delay", restarts=2)

    def processes() -> list[int]:
        return list(mlops.endpoints(name="delay").live["versions"][0]["processes"])

    def full(share: float) -> None:
        told = {"uuid": "GPU-1", "name": "H100", "total": 80_000, "used": int(share * 80_000)}
        fakes.write_text(json.dumps([told | {"processes": {str(processes()[0]): 60_000}}]))

    def killed() -> bool:
        before = processes()
        os.kill(before[0], signal.SIGKILL)
        until(lambda: processes() and processes() != before)
        ask(1, 0.0, 1)
        return "processes" in [one.subject for one in list_alerts(ws)]

    until(killed)
    full(0.99)
    until(lambda: "GPU-1" in [one.subject for one in list_alerts(ws)])
    kinds = {one.subject: one.kind for one in list_alerts(ws)}
    assert kinds == {"processes": "restarts", "GPU-1": "gpu memory"}
    mlops.stop("delay")


def test_terms_that_make_no_sense_are_refused(served):
    for terms in (
        {"every": "1s"},
        {"every": "soon"},
        {"window": "-3d"},
        {"alarms_a_quarter": 0},
        {"alarms_a_quarter": float("nan")},
        {"errors": 1.0},
        {"good_checks": 0},
        {"latency": "99ms"},
        {"outliers": 0.0},
        {"restarts": 0},
        {"gpu_memory": 1.5},
        {"gpu_busy": float("nan")},
    ):
        with pytest.raises(Invalid):
            mlops.monitor("delay", **terms)
    with pytest.raises(NotFound):
        mlops.monitor("nosuch")
    with pytest.raises(NotFound):
        mlops.monitor("delay", against="nosuch")
    assert len(mlops.monitors()) == 0
    found = mlops.monitor("delay", every="6h", latency="250ms")
    assert (found.terms.every, found.terms.latency) == ("6h", "250ms")
    assert mlops.monitor("delay", errors=0.05).terms.every == "6h"
    assert mlops.monitor.stop("delay").paused
    with pytest.raises(Conflict, match="isn't monitored"):
        make_check(served, "delay")
    assert not mlops.monitor.resume("delay").paused
    assert "Next check" in mimebundle(mlops.monitors())["text/plain"]
    assert len(mlops.monitor.remove("delay")) == 0
    with pytest.raises(NotFound, match="has no monitor"):
        mlops.monitors("delay")
