"""Gates: what a version must show, answered with numbers from its stored predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from experiments.workbench import FOREST, LOGISTIC, Bench
from jupyter_mlops import data, experiments, models
from jupyter_mlops.experiments import sending
from jupyter_mlops.experiments.evidence import RunEvidence
from jupyter_mlops.experiments.influence import influence
from jupyter_mlops.models.gates import (
    GateCheck,
    check,
    clear_gates,
    gates_of,
    last_check,
    set_gates,
)
from jupyter_mlops.models.gates.grammar import parse
from jupyter_mlops.profiling import contracts
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import Invalid, NotFound

METRICS = ["auc", "log_loss", "accuracy"]
POOR = LOGISTIC.replace("LogisticRegression()", "LogisticRegression(C=1e-3)")


def version_of(bench: Bench, body: str = LOGISTIC, **options: Any) -> models.ModelVersion:
    run = bench.scored(body, **options)
    sending.send(bench.ws, run.id)
    return models.register(bench.ws, experiments.find_run(bench.ws, run), "delay")


def judged(bench: Bench, model: str = "delay") -> GateCheck:
    return check(bench.ws, model, RunEvidence(bench.ws))


@pytest.fixture
def grouped(tracked: Bench) -> Bench:
    """Held-out rows with a day and a kind, which the models don't take."""
    frame = tracked.names["held_out"]
    frame["day"] = pd.to_datetime("2024-01-01") + pd.to_timedelta(np.arange(len(frame)) % 20, "D")
    frame["kind"] = np.where(np.arange(len(frame)) % 3 == 0, "a", "b")
    return tracked


@pytest.mark.parametrize(
    ("text", "at", "hint"),
    [
        ("", 1, "it ends there"),
        ("acu > 0.8", 1, "did you mean 'auc'?"),
        ("auc >", 6, "it ends there"),
        ("auc > 0.8 verifed", 11, "did you mean 'verified'?"),
        ("auc > chmpion.auc", 7, "did you mean 'champion'?"),
        ("auc > champion.acu", 16, "did you mean 'auc'?"),
        ("auc > champion.log_loss", 1, "both sides must be the same metric"),
        ("auc", 4, "a metric needs a bound"),
        ("latency.p99 < 20", 1, "write `latency.p99 < 20ms`"),
        ("latency.q9 < 1s", 9, "is no percentile"),
        ("auc < 20ms", 1, "only a latency is a time"),
        ("auc > 0.8 (95%, pared by day)", 17, "did you mean 'paired'?"),
        ("auc > 0.8 (95%", 15, "it ends there"),
        ("auc > 0.8 (5%)", 12, "between 50% and 100%"),
        ("auc > __import__('os')", 17, "there stands"),
        ("slices.avg(auc) > 1", 8, "there are max, min"),
        ("approved by othr", 13, "did you mean 'other'?"),
    ],
)
def test_what_is_no_gate_says_where_and_whats_closest(text: str, at: int, hint: str) -> None:
    with pytest.raises(Invalid) as raised:
        parse(text, METRICS)
    assert f"(position {at})" in raised.value.what
    assert hint in str(raised.value)


def test_gates_follow_each_other_and_get_names() -> None:
    text = "auc > 0.8 contract"
    text += " better: auc > champion.auc * 1.01 - 0.5 (90%, paired by day and 'a b')\nauc < .99"
    gates = {gate.name: gate.means for gate in parse(text, METRICS)}
    assert list(gates) == ["auc", "contract", "better", "auc (2)"]
    better: Any = gates["better"]
    assert (better.bound.factor, better.bound.offset) == (1.01, -0.5)
    assert (better.level, better.by) == (0.9, ("day", "a b"))
    with pytest.raises(Invalid, match="two gates are called 'x'"):
        parse("x: auc > 1 x: auc > 2", METRICS)


def test_influences_give_the_metrics_and_delongs_interval() -> None:
    dice = np.random.default_rng(3)
    truth = dice.integers(0, 2, 400)
    score = np.round(dice.normal(truth, 1.5), 1)  # with ties
    rows = pd.DataFrame({"truth": truth, "p_0": 0.0, "p_1": score})
    values = influence(rows, "auc", [0, 1])
    assert values.mean() == pytest.approx(roc_auc_score(truth, score))
    # DeLong's variance written out: placements of each pair.
    wins = (score[truth == 1][:, None] > score[truth == 0]).astype(float)
    wins += 0.5 * (score[truth == 1][:, None] == score[truth == 0])
    delong = wins.mean(1).var(ddof=1) / wins.shape[0] + wins.mean(0).var(ddof=1) / wins.shape[1]
    assert values.var(ddof=1) / len(values) == pytest.approx(delong, rel=0.01)


def test_the_interval_of_r2_covers_as_often_as_it_says() -> None:
    dice, inside = np.random.default_rng(5), 0
    for _ in range(300):
        truth = dice.normal(size=300)
        rows = pd.DataFrame({"truth": truth, "prediction": truth + dice.normal(size=300)})
        # Of the best constant and this prediction: 1 - 1/1 = 0.
        values = influence(rows, "r2", [])
        reach = norm.ppf(0.975) * values.std(ddof=1) / len(values) ** 0.5
        inside += bool(abs(values.mean()) < reach)
    assert 0.91 <= inside / 300 <= 0.985


def test_gates_are_kept_and_replaced(tracked: Bench) -> None:
    version_of(tracked)
    with pytest.raises(Invalid, match="not of the version delay@1"):
        set_gates(tracked.ws, "delay@1", "auc > 0.8")
    with pytest.raises(Invalid, match="'acu' is no metric"):
        set_gates(tracked.ws, "delay", "acu > 0.8")
    set_gates(tracked.ws, "delay", "auc > 0.8 contract")
    kept = set_gates(tracked.ws, "delay", "sure: auc > 0.9 (95%)")
    assert [(one.name, one.expression) for one in kept.items] == [("sure", "auc > 0.9 (95%)")]
    assert clear_gates(tracked.ws, "delay").items == ()
    events = tracked.ws.events(kind="gate.set")
    assert [len(one.payload["gates"]) for one in events] == [2, 1, 0]
    with pytest.raises(NotFound):
        set_gates(tracked.ws, "dely", "auc > 0.8")


def test_a_bound_is_held_against_the_value_or_its_whole_interval(tracked: Bench) -> None:
    version = version_of(tracked)
    auc = version.metrics["auc"]
    estimate = RunEvidence(tracked.ws).metric(version.run_id, "auc")
    assert estimate.value == pytest.approx(auc)
    between = (estimate.low + auc) / 2
    set_gates(
        tracked.ws,
        "delay",
        f"a: auc > {between:.8f} b: auc > {between:.8f} (95%) c: auc < {auc / 2:.4f}",
    )
    found = judged(tracked)
    assert [line.verdict for line in found.lines] == ["pass", "fail", "fail"]
    assert not found.passed
    one = found.lines[1]
    assert (one.value, one.low) == (pytest.approx(auc), pytest.approx(estimate.low))
    assert one.rows == len(tracked.names["held_out"])
    assert "the whole interval must be >" in one.reason
    (event,) = tracked.ws.events(kind="gate.checked")
    assert event.subject == "model:delay@1"
    assert event.payload["lines"][1]["low"] == pytest.approx(estimate.low)
    again = last_check(tracked.ws, version)
    assert again is not None
    assert again.lines == found.lines


def test_a_challenger_is_paired_with_the_champion_on_the_same_rows(grouped: Bench) -> None:
    options = {"valid": grouped.names["held_out"]}
    first = version_of(grouped, POOR, **options)
    gate = "log_loss < champion.log_loss - 0.002 (95%, paired by day)"
    set_gates(grouped.ws, "delay", gate)
    (line,) = judged(grouped).lines
    assert (line.verdict, line.rows) == ("pass", None)
    assert "has no champion yet" in line.reason
    models.move_alias(grouped.ws, first, "champion")
    second = version_of(grouped, **options)
    found = judged(grouped)
    (line,) = found.lines
    assert (line.verdict, line.of, line.against) == ("pass", "difference", "delay@1")
    assert line.groups == 20
    assert line.value == pytest.approx(second.metrics["log_loss"])
    assert line.bound == pytest.approx(first.metrics["log_loss"] - 0.002)
    expected = experiments.compare(
        grouped.ws, f"run:{second.run_id}", f"run:{first.run_id}", by=["day"]
    )
    assert (line.low, line.high) == (pytest.approx(-expected.high), pytest.approx(-expected.low))
    # The other way round it fails.
    models.move_alias(grouped.ws, second, "champion")
    (line,) = judged(grouped, "delay@1").lines
    assert line.verdict == "fail"
    assert "the whole interval must be < -0.002" in line.reason
    (line,) = judged(grouped, "delay@2").lines
    assert "is the champion itself" in line.reason


def test_other_rows_and_numbers_of_the_cell_are_unknown_not_passed(tracked: Bench) -> None:
    first = version_of(tracked)
    models.move_alias(tracked.ws, first, "champion")
    version_of(tracked, FOREST + "profit = 3.5\n", valid=tracked.names["held_out"].iloc[:200])
    set_gates(tracked.ws, "delay", "auc >= champion.auc")
    (line,) = judged(tracked).lines
    assert line.verdict == "unknown"
    assert "validated on different rows" in line.reason


def test_slices_are_judged_by_the_worst(grouped: Bench) -> None:
    version = version_of(grouped, valid=grouped.names["held_out"])
    rows = grouped.names["held_out"]
    truth = rows["target"].to_numpy()
    features = rows.drop(columns=["target", "day", "kind"])
    score = grouped.names["model"].predict_proba(features)[:, 1]
    kinds = {
        kind: roc_auc_score(truth[rows["kind"] == kind], score[rows["kind"] == kind])
        for kind in ("a", "b")
    }
    worst = min(kinds, key=lambda kind: kinds[kind])
    set_gates(grouped.ws, "delay", f"slices.min(auc) > {kinds[worst] + 1e-6:.8f}")
    (line,) = judged(grouped).lines
    assert line.verdict == "fail"
    assert line.value == pytest.approx(kinds[worst])
    assert f"kind = {worst}" in line.reason
    set_gates(grouped.ws, "delay", f"slices.min(auc, by=kind) > {kinds[worst] - 1e-6:.8f}")
    assert judged(grouped).passed
    set_gates(grouped.ws, "delay", "slices.min(auc, by=knd) > 0.5")
    (line,) = judged(grouped).lines
    assert line.verdict == "unknown"
    assert "did you mean 'kind'?" in line.reason
    assert version.label == "delay@1"


def test_latency_is_measured_in_a_process_of_its_own(tracked: Bench) -> None:
    version_of(tracked)
    set_gates(tracked.ws, "delay", "latency.p99 < 10s latency.p50 < 1us (95%)")
    fast, impossible = judged(tracked).lines
    assert (fast.verdict, impossible.verdict) == ("pass", "fail")
    assert fast.value is not None
    assert 1e-6 < fast.value < 10
    assert fast.rows == 500
    assert "in a process of their own" in fast.reason


def test_contract_verification_and_approval(tracked: Bench) -> None:
    version = version_of(tracked)
    set_gates(tracked.ws, "delay", "contract verified approved other: approved by other")
    found = {line.name: line for line in judged(tracked).lines}
    assert {name: line.verdict for name, line in found.items()} == {
        "contract": "fail",
        "verified": "unknown",
        "approved": "fail",
        "other": "fail",
    }
    assert "no contract was recorded" in found["contract"].reason.lower()
    assert f"%mlops verify run:{version.run_id[:8]}" in found["verified"].reason
    models.approve(tracked.ws, "delay@1", "looks right")
    found = {line.name: line for line in judged(tracked).lines}
    assert found["approved"].verdict == "pass"
    assert "looks right" in found["approved"].reason
    assert "who trained it" in found["other"].reason
    trainer, tracked.ws.user = tracked.ws.user, "grace"
    models.approve(tracked.ws, "delay@1")
    tracked.ws.user = trainer
    assert {line.name for line in judged(tracked).failing} == {"contract", "verified"}
    (first, second) = tracked.ws.events(kind="model.approved")
    assert (first.payload["digest"], second.actor) == (version.digest, "grace")


def test_a_run_that_came_out_the_same_again_is_verified(tracked: Bench) -> None:
    version = version_of(tracked)
    set_gates(tracked.ws, "delay", "verified")
    for changed, verdict in (([], "pass"), (["auc"], "fail")):
        told = {"same": not changed, "changed": changed, "notes": []}
        with tracked.ws.write() as tx:
            tx.emit("run.verified", f"run:{version.run_id}", payload=told)
        (line,) = judged(tracked).lines
        assert line.verdict == verdict
    assert "gave other numbers again" in line.reason
    assert line.reason.endswith(": auc.")


def test_a_contract_must_agree_with_the_signature(tracked: Bench) -> None:
    columns = ["mean radius", "mean texture", "target"]
    dataset = data.add(tracked.ws, "rows", tracked.names["rows"][columns])
    learnt = contracts.learn(tracked.ws, dataset, target="target")
    contracts.save(tracked.ws, learnt, "cancer")
    body = LOGISTIC.replace("rows", "data")
    held_out = tracked.names["held_out"][columns]
    version_of(tracked, body, data="rows", contract="cancer", valid=held_out)
    set_gates(tracked.ws, "delay", "contract")
    (line,) = judged(tracked).lines
    assert (line.verdict, line.reason) == ("pass", "All 2 inputs agree with contract:cancer@1.")
    contracts.save(tracked.ws, learnt.column("mean texture", type="text"), "texts")
    told = {"data": "rows", "contract": "texts", "contract_mode": "observe", "seed": 2}
    version_of(tracked, body, valid=held_out, **told)
    (line,) = judged(tracked).lines
    assert line.verdict == "fail"
    assert "'mean texture' is text in contract:texts@1" in line.reason


def test_answers_are_short_and_say_everything(grouped: Bench) -> None:
    version_of(grouped, valid=grouped.names["held_out"])
    text = "log_loss < 0.5 (95%, paired by day) auc > 0.8 slices.min(auc) > 0.99999 approved"
    set_gates(grouped.ws, "delay", text)
    shown = mimebundle(judged(grouped))
    plain = shown["text/plain"]
    assert len(plain.splitlines()) <= 15
    assert "2 of 4 didn't pass: delay@1 isn't promoted" in plain
    mimebundle(gates_of(grouped.ws, "delay"))
