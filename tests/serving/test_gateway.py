"""The process that callers reach never opens a model, believes none, and tells when none runs."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import logged
import numpy as np
import pytest
import served

from jupyter_mlops.serving.intake import Rows
from jupyter_mlops.serving.replies import read_reply

#: Python runs this in each process that it starts: whoever unpickles or imports is written down.
WATCH = """
import os, sys

FOLDER = os.environ.get("WATCHED")
if FOLDER:
    def hook(event, args, kept={}):
        if event == "pickle.find_class":
            told = f"pickle {args[0]}.{args[1]}"
        elif event == "import" and args[0].split(".")[0] in MODELS:
            told = f"import {args[0].split('.')[0]}"
        else:
            return
        if told not in kept:
            kept[told] = True
            line = f"{told}\\n".encode()
            file = os.open(f"{FOLDER}/{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.write(file, line)
            os.close(file)

    MODELS = {"sklearn", "skops", "joblib", "mlflow", "xgboost"}
    sys.addaudithook(hook)
"""


def test_the_gateway_unpickles_nothing_and_imports_no_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = logged.save("cloudpickle", tmp_path / "m")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(WATCH)
    (tmp_path / "seen").mkdir()
    path = [str(tmp_path / "site"), *filter(None, os.environ.get("PYTHONPATH", "").split(":"))]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    monkeypatch.setenv("WATCHED", str(tmp_path / "seen"))
    # A zygote that runs already is watched by nobody.
    monkeypatch.setenv("JUPYTER_MLOPS_FORK", "off")
    with served.running(served.config(model, tmp_path, pickles=True), tmp_path) as endpoint:
        answer = endpoint.post("/invocations", json={"dataframe_records": [logged.ROW]})
        assert answer.json()["predictions"] == [0]
        assert endpoint.get("/openapi.json").status_code == 200
        (version,) = served.read_state(tmp_path)["versions"]
        (worker,) = version["processes"]
        gateway = endpoint.process.pid
    seen = {int(one.name): one.read_text().splitlines() for one in (tmp_path / "seen").iterdir()}
    assert gateway not in seen, seen[gateway]
    # The hook does see what it looks for, where it is.
    assert any(one.startswith("pickle sklearn.") for one in seen[worker])
    assert "import mlflow" in seen[worker]


def test_ready_and_live_tell_the_truth_when_no_model_runs(model: Path, tmp_path: Path) -> None:
    import shutil

    copy = shutil.copytree(model, tmp_path / "m")
    with served.running(served.config(copy, tmp_path), tmp_path) as endpoint:
        for path in ("/ping", "/health", "/v2/health/ready", "/v2/models/delay/ready"):
            assert endpoint.get(path).status_code == 200
        # What would take its place can't be loaded any more.
        copy.rename(tmp_path / "gone")
        (version,) = served.read_state(tmp_path)["versions"]
        os.kill(version["processes"][0], signal.SIGKILL)
        deadline = time.monotonic() + 20
        while endpoint.get("/ping").status_code == 200:
            assert time.monotonic() < deadline
        for path in ("/ping", "/health", "/v2/health/ready", "/v2/models/delay/ready"):
            told = endpoint.get(path)
            assert (told.status_code, told.json()["code"]) == (503, "E-SERVE-123"), path
        assert endpoint.get("/v2/health/live").status_code == 200
        assert 'mlops_version_ready{version="3"} 0.0' in endpoint.get("/metrics").text


ROWS = Rows(2, {"a": np.zeros(2)})
LIES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "no array": {"prediction": [1.0, 2.0]},
    "other rows": {"prediction": np.zeros(3)},
    "a probability of no array": {"prediction": np.zeros(2), "probability": [1, 2]},
    "parts of nothing": {"parts": [1]},
    "a part for each of others": {"parts": []},
    "strangeness of no array": {"prediction": np.zeros(2), "unusual": {"p": 1, "reasons": {}}},
    "strangeness without reasons": {
        "prediction": np.zeros(2),
        "unusual": {"p": np.zeros(2), "reasons": 1},
    },
    "a whole that is none": {"prediction": np.zeros(2), "whole": 1},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_models_process_that_answers_anything_else_is_not_believed(lie: str) -> None:
    # These are what whoever asked takes for a process to be ended.
    with pytest.raises((ValueError, KeyError, TypeError)):
        read_reply([ROWS], LIES[lie])
