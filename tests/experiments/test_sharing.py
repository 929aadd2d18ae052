"""Rows that are both trained and scored on are told, with the run and in MLflow."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import polars as pl
import pytest

from experiments.workbench import Bench
from jupyter_mlops import data
from jupyter_mlops.experiments import sending, sharing
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace.tracking import tracking_client

BODY = """\
from sklearn.linear_model import LogisticRegression

model = LogisticRegression().fit(data[["mean radius", "mean texture"]], data["target"])
"""
COLUMNS = ["mean radius", "mean texture", "target"]


def mixed(bench: Bench, shared: int) -> pd.DataFrame:
    """Held-out rows, some of which are trained on too."""
    both = bench.names["rows"][COLUMNS].head(shared), bench.names["held_out"][COLUMNS]
    return pd.concat(both, ignore_index=True)


def test_shared_rows_are_told_with_the_run_and_in_mlflow(tracked: Bench) -> None:
    data.add(tracked.ws, "rows", tracked.names["rows"][COLUMNS])
    run = tracked.train(BODY, data="rows", valid=mixed(tracked, 7), target="target")
    sentence = "7 of 291 validation rows are in the training data too."
    assert run.notes == [sentence]
    assert f"! {sentence}" in mimebundle(run)["text/plain"]
    sending.send(tracked.ws, run.id)
    client = tracking_client(tracked.ws)
    (found,) = client.search_runs([client.get_experiment_by_name("cancer").experiment_id])
    assert found.data.tags["jupyter_mlops.shared_rows"] == "7 of 291"


def test_rows_that_were_held_out_are_not_spoken_of(bench: Bench) -> None:
    run = bench.train(
        BODY, data=bench.names["rows"][COLUMNS], valid=mixed(bench, 0), target="target"
    )
    assert run.notes == []
    assert "shared" not in run.validation


def test_rows_that_the_body_binds_are_looked_at_too(bench: Bench) -> None:
    body = f"{BODY}held = data.head(3)\n"
    rows = bench.names["rows"][COLUMNS]
    run = bench.train(body, data=rows, valid="held", target="target", metrics=["accuracy"])
    assert run.notes == ["3 of 3 validation rows are in the training data too."]


def test_parts_of_one_split_are_not_compared_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    data.add(bench.ws, "rows", bench.names["rows"][COLUMNS])
    data.split(bench.ws, "rows")
    compared = []
    monkeypatch.setattr(data, "overlap", lambda *a, **k: compared.append(a))
    options = {"data": "rows-train", "valid": "rows-test", "target": "target"}
    assert bench.train(BODY, **options).notes == []
    assert compared == []


def test_rows_are_the_same_by_their_recorded_key(bench: Bench) -> None:
    frame = pd.DataFrame({"id": range(100), "x": np.arange(100.0)})
    data.add(bench.ws, "a", frame.head(60), key="id")
    data.add(bench.ws, "b", frame.tail(50).assign(x=0.0), key="id")
    found = sharing.shared_rows(bench.ws, data.get(bench.ws, "a"), data.get(bench.ws, "b"))
    assert found.note == "10 of 50 validation rows are in the training data too, by id."


def test_rows_of_few_values_meet_by_nature_and_are_not_spoken_of(bench: Bench) -> None:
    rng = np.random.default_rng(0)
    a, b = (pl.DataFrame({"x": rng.integers(0, 5, n)}) for n in (800, 200))
    assert not sharing.shared_rows(bench.ws, data.resolve(bench.ws, a), b).note


def test_what_cannot_be_compared_is_said_and_costs_no_run(bench: Bench) -> None:
    odd = mixed(bench, 0).assign(odd=pd.Period("2026-01", "M"))
    run = bench.train(BODY, data=bench.names["rows"][COLUMNS], valid=odd, target="target")
    assert "isn't known: column 'odd' can't be kept" in run.notes[0]
    assert run.metrics


def test_large_tables_are_compared_by_the_same_part_of_their_rows(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    rows = pl.DataFrame({"k": rng.integers(0, 3, 60_000), "x": rng.normal(size=60_000)})
    training, held_out = rows.head(50_000), rows.tail(20_000).to_pandas()
    table = data.resolve(bench.ws, training)
    assert sharing.shared_rows(bench.ws, table, held_out).count == 10_000
    monkeypatch.setattr(sharing, "CELLS", 20_000)
    found = sharing.shared_rows(bench.ws, table, held_out)
    assert found.note.startswith("About ")
    assert found.count == pytest.approx(10_000, rel=0.2)


def test_a_hundred_thousand_rows_are_compared_in_a_tenth_of_a_second(bench: Bench) -> None:
    rng = np.random.default_rng(0)
    numbers = {f"n{i}": rng.normal(size=100_000) for i in range(12)}
    words = {f"w{i}": rng.choice(["AA", "UA", "B6", "DL"], 100_000) for i in range(8)}
    rows = pl.DataFrame(numbers | words)
    table = data.resolve(bench.ws, rows.head(80_000))
    costs = []
    for _ in range(3):
        started = time.process_time()
        found = sharing.shared_rows(bench.ws, table, rows.tail(30_000))
        costs.append(time.process_time() - started)
    assert found.note == "10,000 of 30,000 validation rows are in the training data too."
    assert min(costs) < 0.1
