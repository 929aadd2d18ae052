"""`predict` and `export` as a notebook line, a shell and a browser call them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments.workbench import LOGISTIC, Bench, bench, mlflow_database, tracked, ws
from jupyter_mlops import models
from jupyter_mlops.verbs.progress import shown_by
from jupyter_mlops.verbs.table import find
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import Invalid, NotFound

__all__ = ["bench", "mlflow_database", "tracked", "ws"]


@pytest.fixture
def registered(tracked: Bench) -> Bench:
    tracked.scored(LOGISTIC)
    find("register")(tracked.ws, run="cancer", name="delay", alias="champion")
    return tracked


def test_a_registered_model_predicts_and_is_exported(registered: Bench, tmp_path: Path) -> None:
    held_out = registered.names["held_out"]
    steps: list[str] = []
    with shown_by(lambda shown: steps.append(shown.line)):
        found = find("predict")(
            registered.ws,
            model="delay@champion",
            data=held_out,
            to=str(tmp_path / "scores"),
            keep="target",
            probabilities=True,
            part_rows=100,
            name="scores",
        )
    rows = held_out.drop(columns="target")
    model = models.load(registered.ws, "delay@champion")
    assert np.array_equal(found.frame["prediction"], model.predict(rows))
    np.testing.assert_allclose(found.frame["probability"], model.predict_proba(rows)[:, 1])
    assert found.frame["target"].tolist() == held_out["target"].tolist()
    assert "100 of 284 rows" in steps[0]
    shown = mimebundle(found)
    assert len(shown["text/plain"].splitlines()) <= 15
    assert shown["application/vnd.jupyter-mlops.batch.v1+json"]["ref"] == "data:scores@1"
    assert len(json.dumps(shown)) < 200_000
    bundle = find("export")(
        registered.ws, model="delay@champion", to=str(tmp_path / "bundle"), **{"as": "kserve"}
    )
    # The packages are those that the run recorded.
    assert bundle.notes == () or "without hashes" in bundle.notes[0]
    locked = (tmp_path / "bundle" / "requirements.txt").read_text()
    import sklearn

    assert f"scikit-learn=={sklearn.__version__}" in locked
    assert "mimebundle" not in locked
    assert "application/vnd.jupyter-mlops.export.v1+json" in mimebundle(bundle)


def test_what_cannot_be_is_one_sentence(registered: Bench, tmp_path: Path) -> None:
    rows = registered.names["held_out"]
    with pytest.raises(NotFound, match="no model is called 'dely'"):
        find("predict")(registered.ws, model="dely", data=rows)
    with pytest.raises(Invalid, match="answers can't be written to a DataFrame"):
        find("predict")(registered.ws, model="delay", data=rows, to=rows)
    with pytest.raises(Invalid, match="--as can't be 'torch'"):
        find("export")(registered.ws, model="delay", to=str(tmp_path / "x"), **{"as": "torch"})


def test_a_shell_can_interrupt_it_and_go_on(registered: Bench, tmp_path: Path) -> None:
    rows = registered.names["held_out"]
    many = rows.loc[rows.index.repeat(400)].reset_index(drop=True)
    many.to_parquet(tmp_path / "rows.parquet")
    to = tmp_path / "scores"
    words = [sys.executable, "-m", "jupyter_mlops.cli", "predict", "delay", "rows.parquet"]
    words = [*words, "--to", str(to), "--part-rows", "500"]
    told = {**os.environ, "JUPYTER_MLOPS_WORKSPACE": str(registered.ws.root)}
    process = subprocess.Popen(
        words, cwd=tmp_path, env=told, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not list(to.glob("part-*.parquet")):
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 130, complaint
    assert "the same line goes on from there" in complaint
    assert "Traceback" not in complaint
    before = len(list(to.glob("part-*.parquet")))
    assert before < len(many) / 500
    done = subprocess.run(words, cwd=tmp_path, env=told, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"{len(many):,} answers" in done.stdout
    assert f"{before} of 228 parts were there already" in done.stdout
