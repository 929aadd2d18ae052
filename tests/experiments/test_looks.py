"""Runs and comparisons as text, as static HTML and as the JSON of panels."""

from __future__ import annotations

import json

import pytest

from experiments.workbench import FOREST, LOGISTIC, Bench
from jupyter_mlops.verbs.table import find
from jupyter_mlops.views import mimebundle


def bundle(result: object) -> tuple[str, str, dict[str, object]]:
    found = mimebundle(result)  # type: ignore[arg-type]
    (kind,) = [key for key in found if key.startswith("application/")]
    return found["text/plain"], found["text/html"], found[kind]


def test_every_look_is_short_static_and_small(bench: Bench) -> None:
    long = "# a comment\n" * 5_000
    one = bench.scored(long + LOGISTIC, "logit")
    bench.scored(FOREST, "forest")
    with pytest.raises(ZeroDivisionError):
        bench.train("1 / 0", "oops")
    results = [
        one,
        find("runs")(bench.ws),
        find("runs")(bench.ws, name="oops"),
        find("runs")(bench.ws, name=f"run:{one.short}"),
        find("compare")(bench.ws, a="logit", b="forest"),
    ]
    for result in results:
        text, html, panel = bundle(result)
        assert len(text.splitlines()) <= 15
        assert "<script" not in html
        assert len(json.dumps(panel)) < 200_000


def test_the_table_of_runs_says_what_went_how(bench: Bench) -> None:
    one = bench.scored(LOGISTIC, "logit")
    with pytest.raises(ZeroDivisionError):
        bench.train("1 / 0", "oops")
    text, _, panel = bundle(find("runs")(bench.ws))
    lines = text.splitlines()
    assert lines[0] == "Runs · 2 runs"
    assert "oops" in lines[2]
    assert "failed" in lines[2]
    assert f"run:{one.short}" in lines[3]
    assert f"{one.metrics['log_loss']:.4g}" in lines[3]
    assert panel["kind"] == "runs"


def test_a_failed_run_shows_why_and_where(bench: Bench) -> None:
    with pytest.raises(ZeroDivisionError):
        bench.train("x = 1\n1 / 0", "oops")
    found = find("runs")(bench.ws, name="oops")[0]
    text, _, _ = bundle(found)
    assert "ZeroDivisionError: division by zero (line 2 of the cell)." in text


def test_without_runs_the_first_step_is_named(bench: Bench) -> None:
    text, _, _ = bundle(find("runs")(bench.ws))
    assert "write %%mlops train NAME above a cell" in text


def test_markup_in_a_name_or_value_stays_text(bench: Bench) -> None:
    body = LOGISTIC + "\nmetrics = {'<script>alert(1)</script>': 1.0}\n"
    _, html, _ = bundle(bench.scored(body))
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)" in html
