"""What a person gets from `%%mlops train`, and what it says when their cell goes wrong."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import textwrap
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, roc_auc_score

from experiments.workbench import FOREST, LOGISTIC, Bench
from jupyter_mlops import data, experiments
from jupyter_mlops.workspace import Invalid, NotFound, Workspace

on_both_databases = pytest.mark.usefixtures("database")


@on_both_databases
def test_a_run_records_the_model_its_scores_and_what_it_depends_on(bench: Bench) -> None:
    run = bench.scored(LOGISTIC + "\nmetrics = {'rows': len(X)}\n")
    model, held_out = bench.names["model"], bench.names["held_out"]
    truth, proba = held_out["target"], model.predict_proba(held_out.drop(columns="target"))
    assert run.status == "finished"
    assert run.metrics == pytest.approx(
        {
            "rows": len(bench.names["rows"]),
            "log_loss": log_loss(truth, proba),
            "auc": roc_auc_score(truth, proba[:, 1]),
            "accuracy": accuracy_score(truth, proba.argmax(axis=1)),
            "brier": brier_score_loss(truth, proba[:, 1]),
        }
    )
    assert run.features == list(held_out.columns[:-1])
    assert run.task == "binary"
    assert run.signature is not None
    assert run.signature["inputs"][0] == {
        "name": "mean radius",
        "type": "double",
        "required": True,
    }
    assert set(run.variables) == {"rows"}
    assert run.params["logisticregression__C"] == 1.0
    kinds = [event.kind for event in bench.ws.events()]
    assert kinds == ["run.started", "run.finished"]
    assert bench.ws.audit().intact


def test_truth_and_prediction_of_each_held_out_row_are_kept(bench: Bench) -> None:
    bench.names["held_out"]["day"] = np.arange(len(bench.names["held_out"])) % 7
    run = bench.scored()
    kept = pd.read_parquet(io.BytesIO(bench.ws.artifacts.read_bytes(run.validation["file"])))
    assert list(kept["truth"]) == list(bench.names["held_out"]["target"])
    assert list(kept["by.day"][:8]) == [0, 1, 2, 3, 4, 5, 6, 0]
    # Measurements don't group rows and aren't copied.
    assert set(kept.columns) == {"truth", "prediction", "p_0", "p_1", "by.day"}


def test_several_classes(bench: Bench, iris: dict[str, pd.DataFrame]) -> None:
    bench.names.update(iris)
    run = bench.scored(FOREST, "iris")
    model, held_out = bench.names["model"], iris["held_out"]
    proba = model.predict_proba(held_out.drop(columns="target"))
    assert run.task == "multiclass"
    assert run.model["classes"] == [0, 1, 2]
    assert run.metrics["log_loss"] == pytest.approx(log_loss(held_out["target"], proba))
    assert run.metrics["auc"] == pytest.approx(
        roc_auc_score(held_out["target"], proba, multi_class="ovr", average="weighted")
    )


def test_numbers(bench: Bench, diabetes: dict[str, pd.DataFrame]) -> None:
    bench.names.update(diabetes)
    body = (
        "from sklearn.linear_model import Ridge\n"
        "model = Ridge().fit(rows.drop(columns='target'), rows['target'])"
    )
    run = bench.scored(body, "diabetes", metrics=["rmse", "r2"])
    held_out = diabetes["held_out"]
    guess = bench.names["model"].predict(held_out.drop(columns="target"))
    assert run.task == "regression"
    assert set(run.metrics) == {"rmse", "r2"}
    assert run.metrics["rmse"] == pytest.approx(((guess - held_out["target"]) ** 2).mean() ** 0.5)


def test_categories_texts_and_gaps_are_in_the_signature(bench: Bench) -> None:
    rows = pd.DataFrame(
        {
            "carrier": pd.Series(["AA", "UA", None, "AA"] * 20, dtype="category"),
            "origin": ["JFK", "LGA", "EWR", "JFK"] * 20,
            "seats": np.arange(80, dtype="int32"),
            "late": [True, False, False, True] * 20,
        }
    )
    bench.names["rows"] = rows
    run = bench.train(
        "from sklearn.compose import make_column_transformer\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "from sklearn.pipeline import make_pipeline\n"
        "from sklearn.preprocessing import OneHotEncoder\n"
        "hot = make_column_transformer((OneHotEncoder(handle_unknown='ignore'),"
        " ['carrier', 'origin']), remainder='passthrough')\n"
        "model = make_pipeline(hot, LogisticRegression())\n"
        "model.fit(rows[['carrier', 'origin', 'seats']], rows['late'])\n",
        target="late",
    )
    assert run.signature is not None
    assert run.signature["inputs"] == [
        {"name": "carrier", "type": "string", "required": False},
        {"name": "origin", "type": "string", "required": True},
        {"name": "seats", "type": "integer", "required": True},
    ]
    assert run.model["categories"] == {"carrier": ["AA", "UA"]}
    assert run.model["example"]["data"][0] == ["AA", "JFK", 0]
    assert run.has_model


@on_both_databases
def test_the_bodys_own_error_arrives_with_the_users_line(bench: Bench) -> None:
    body = "def half(x):\n    return x / 0\n\nhalf(1)\n"
    with pytest.raises(ZeroDivisionError) as raised:
        bench.train(body, "oops")
    shown = "".join(traceback.format_exception(raised.value))
    assert 'File "<cell train oops>", line 2, in half\n    return x / 0' in shown
    run = experiments.runs(bench.ws, "oops")[0]
    assert run.status == "failed"
    assert run.error == "ZeroDivisionError: division by zero (line 2 of the cell)"
    assert f"run:{run.short} of oops is recorded as failed" in shown


def test_an_interrupted_cell_is_recorded_as_interrupted(bench: Bench) -> None:
    with pytest.raises(KeyboardInterrupt):
        bench.train("raise KeyboardInterrupt", "stopped")
    assert experiments.runs(bench.ws, "stopped")[0].status == "interrupted"


def test_a_cell_that_isnt_python_records_nothing(bench: Bench) -> None:
    with pytest.raises(SyntaxError) as raised:
        bench.train("model = = 1", "typo")
    assert raised.value.text is not None
    assert raised.value.text.strip() == "model = = 1"
    assert len(experiments.runs(bench.ws)) == 0


@pytest.mark.parametrize(
    ("body", "options", "sentence"),
    [
        ("clf = Fitted()", {}, "binds no model called `model`: it binds clf; say --model clf"),
        ("x = 1", {}, "binds no model called `model`: end with `model = …`, fitted"),
        ("model = 3", {}, "`model` can't predict: it is an int"),
        ("model = Fitted", {}, "`model` can't predict: it is a type"),
        ("", {}, "the cell has no body"),
        ("x = 1", {"model": "a b"}, "'a b' can't name a variable"),
        ("x = 1", {"seed": -1}, "--seed can't be -1"),
        ("x = 1", {"valid": pd.DataFrame({"y": [1]})}, "--valid needs to know which column"),
        (
            "x = 1",
            {"valid": pd.DataFrame({"late": [1]}), "target": "lat"},
            "no target column 'lat': their columns are late; did you mean 'late'?",
        ),
    ],
)
def test_what_cant_work_is_one_sentence(
    bench: Bench, body: str, options: dict[str, Any], sentence: str
) -> None:
    class Fitted:
        def predict(self) -> None: ...

    bench.names |= {"Fitted": Fitted, "model": Fitted()}  # a model of an earlier cell
    with pytest.raises(Invalid) as raised:
        bench.train(body, **options)
    assert sentence in str(raised.value)
    assert [run.status for run in experiments.runs(bench.ws)] in ([], ["failed"])


def test_held_out_rows_must_have_the_models_columns(bench: Bench) -> None:
    held_out = bench.names["held_out"].drop(columns="mean area")
    with pytest.raises(Invalid, match="lack 'mean area'"):
        bench.scored(valid=held_out)
    assert experiments.runs(bench.ws)[0].status == "failed"


def test_a_target_that_is_missing_is_found_before_the_body_runs(bench: Bench) -> None:
    with pytest.raises(Invalid, match="no target column"):
        bench.scored("ran = True", target="tarjet")
    assert "ran" not in bench.names


def test_held_out_rows_may_come_from_the_body_or_a_dataset(bench: Bench) -> None:
    data.add(bench.ws, "held", bench.names["held_out"])
    body = LOGISTIC + "\nkept = held_out.copy()\n"
    from_body = bench.scored(body, valid="kept")
    from_data = bench.scored(LOGISTIC, valid="held")
    assert from_body.metrics == pytest.approx(from_data.metrics)
    assert from_data.validation["ref"] == "data:held@1"
    with pytest.raises(NotFound):
        bench.scored(LOGISTIC, valid="hold")


@on_both_databases
def test_a_dataset_is_seen_as_data_and_leaves_the_users_own_alone(bench: Bench) -> None:
    data.add(bench.ws, "cancer", bench.names["rows"])
    bench.names["data"] = "mine"
    run = bench.scored(LOGISTIC.replace("rows", "data"), data="cancer")
    assert run.data_ref == "data:cancer@1"
    assert bench.names["data"] == "mine"
    events = {event.kind: event for event in bench.ws.events()}
    assert "data:cancer@1" in events["run.finished"].inputs


def test_the_same_seed_on_the_same_values_is_the_same_cell_and_the_same_model(
    bench: Bench,
) -> None:
    first, second = bench.scored(FOREST), bench.scored(FOREST)
    other = bench.scored(FOREST, seed=2)
    assert (first.cell, first.metrics) == (second.cell, second.metrics)
    assert other.cell != first.cell
    assert other.metrics != first.metrics
    bench.names["rows"] = bench.names["rows"].assign(target=0).assign(target=lambda f: f.index % 2)
    assert bench.scored(FOREST).cell != first.cell


@on_both_databases
def test_a_seed_is_drawn_and_recorded_and_replays_the_run(bench: Bench) -> None:
    drawn = bench.scored(FOREST, seed=None)
    again = bench.scored(FOREST, seed=drawn.seed)
    assert drawn.metrics == again.metrics


def test_a_model_that_cant_be_saved_safely_is_scored_and_says_why(bench: Bench) -> None:
    body = (
        "from sklearn.preprocessing import FunctionTransformer\n"
        "def doubled(x):\n    return x * 2\n"
        "doubled.__module__ = '__main__'\n"
    ) + LOGISTIC.replace("StandardScaler()", "FunctionTransformer(doubled)")
    run = bench.scored(body)
    assert run.status == "finished"
    assert "auc" in run.metrics
    assert not run.has_model
    assert "The model isn't kept" in run.notes[0]
    assert "doubled" in run.notes[0]


def test_a_metric_that_is_no_number_is_left_out_and_said(bench: Bench) -> None:
    run = bench.scored(LOGISTIC + "\nmetrics = {'a': float('nan'), 'b': 'high', 'c': 2}\n")
    assert run.metrics["c"] == 2
    assert "a" not in run.metrics
    assert [note.partition(",")[0] for note in run.notes] == [
        "The metric 'a' is nan",
        "The metric 'b' is high",
    ]


@on_both_databases
def test_runs_are_found_by_name_and_by_the_beginning_of_their_id(bench: Bench) -> None:
    first, second = bench.scored(), bench.scored()
    with pytest.raises(ZeroDivisionError):
        bench.train("1 / 0")
    assert experiments.find_run(bench.ws, "cancer").id == second.id
    assert experiments.find_run(bench.ws, f"run:{first.short}").id == first.id
    assert [run.id for run in experiments.runs(bench.ws)][1:] == [second.id, first.id]
    with pytest.raises(NotFound, match="did you mean 'cancer'"):
        experiments.find_run(bench.ws, "cancr")
    with pytest.raises(NotFound, match="no run is called"):
        experiments.find_run(bench.ws, "run:ffffffffffff")


def test_a_killed_kernel_leaves_an_interrupted_run(tmp_path: Path) -> None:
    place = tmp_path / "killed"
    ws = Workspace.open(place)
    script = f"""
        import os
        from jupyter_mlops import experiments, models
        from jupyter_mlops.workspace import Workspace
        body = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
        experiments.train(Workspace.open({str(place)!r}), "lost", body, freeze=models.freeze)
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert experiments.runs(ws, "lost")[0].status == "interrupted"
    # The next run records what was only seen until then.
    with pytest.raises(ZeroDivisionError):
        experiments.train(ws, "next", "1 / 0", freeze=lambda model: model)
    assert next(e.payload.get("status") for e in ws.events(kind="run.failed")) == "interrupted"
    assert ws.audit().intact
