"""Predictions that were left to the agent go on without the notebook, whatever is killed."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import polars as pl
import psutil
import pytest
from living import end_all, kill, until

from experiments.workbench import LOGISTIC, Bench, bench, mlflow_database, tracked, ws
from jupyter_mlops import agent
from jupyter_mlops.agent import detached, kinds
from jupyter_mlops.serving import batch
from jupyter_mlops.verbs.table import find
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import Conflict, Invalid, NotFound, Workspace

__all__ = ["bench", "mlflow_database", "tracked", "ws"]


@pytest.fixture
def place(tracked: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A workspace with a model, and rows enough to be in the middle of."""
    monkeypatch.setenv("JUPYTER_MLOPS_AGENT_IDLE", "20")
    tracked.scored(LOGISTIC)
    find("register")(tracked.ws, run="cancer", name="delay", alias="champion")
    held_out = tracked.names["held_out"]
    many = pd.concat([held_out] * 60, ignore_index=True)
    many.to_parquet(tmp_path / "rows.parquet")
    yield tracked.ws
    end_all(tracked.ws.root)


def parts(to: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in to.glob("part-*.parquet")}


def receipted(to: Path) -> dict[str, int]:
    """Parts that count as done: one killed between its file and its receipt is done again."""
    if (to / "manifest.json").exists():
        return parts(to)
    there = {path.stem for path in to.glob("_parts/part-*.json")}
    return {name: inode for name, inode in parts(to).items() if Path(name).stem in there}


def begin(ws: Workspace, folder: Path, **more: object) -> batch.BatchJob:
    found: batch.BatchJob = find("predict")(
        ws, model="delay@champion", data=str(folder / "rows.parquet"), to=str(folder / "to"),
        part_rows=100, detach=True, **more,
    )  # fmt: skip
    return found


def pid_of(job: batch.BatchJob) -> int:
    assert job.process is not None
    return int(job.process.split(":")[-2])


def test_it_ends_whatever_is_killed_and_no_part_is_done_twice(
    place: Workspace, tmp_path: Path
) -> None:
    ws, to = place, tmp_path / "to"
    # The process that asked for it is gone before it has begun.
    script = (
        "import sys; from jupyter_mlops import mlops\n"
        "print(mlops.predict('delay@champion', 'rows.parquet', to='to', part_rows=100,"
        " detach=True, name='scores').id)"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True,
        env={**dict(psutil.Process().environ()), "JUPYTER_MLOPS_WORKSPACE": str(ws.root),
             "JUPYTER_MLOPS_AGENT_IDLE": "20"},
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    key = said.stdout.split()[-1]

    def look() -> batch.BatchJob:
        return batch.get(ws, key)

    until(lambda: len(parts(to)) > 3)
    until(lambda: look().done > 0)
    shown = mimebundle(look())["text/plain"]
    assert "running" in shown
    assert "of 17,040 rows" in shown
    assert "running" in mimebundle(find("predictions")(ws))["text/plain"]
    with pytest.raises(Conflict, match="runs"):
        begin(ws, tmp_path, name="scores")
    first = pid_of(look())

    kill(agent.state(ws).pid)
    before = len(parts(to))
    # A quick machine may be through with it by now.
    until(lambda: len(parts(to)) > before or look().state == "finished")
    with contextlib.suppress(ProcessLookupError):
        kill(first)
    done = receipted(to)
    assert len(done) >= before - 1
    # Its twin goes on for the agent that was killed, and begins what was killed again.
    until(lambda: look().state == "finished", 200)
    ended = look()
    assert (ended.done, ended.total, ended.rejected) == (17_040, 17_040, 0)
    assert done.items() <= parts(to).items()
    assert ended.dataset == "data:scores@1"
    assert ended.job is not None
    assert batch.get(ws, ended.job).id == key
    answers = pl.read_parquet(to / "part-*.parquet").sort("row")
    assert answers["row"].to_list() == list(range(17_040))
    # The same line once more: it is the same prediction, and all is there.
    assert begin(ws, tmp_path, name="scores").id == key
    until(lambda: look().state == "finished")
    assert parts(to).items() >= done.items()
    assert ws.audit().intact


def test_it_is_stopped_from_elsewhere_and_goes_on_when_told(
    place: Workspace, tmp_path: Path
) -> None:
    ws, to = place, tmp_path / "to"
    key = begin(ws, tmp_path).id
    until(lambda: len(parts(to)) > 1)
    find("predict stop")(ws, name=key[:8])
    until(lambda: batch.get(ws, key).state == "stopped")
    stopped = parts(to)
    assert 1 < len(stopped) < 171
    assert not (to / "manifest.json").exists()
    # The agent leaves it alone until somebody wants it again.
    keeper = detached.Detached(ws, [kinds.Batches()])
    keeper.step()
    assert not keeper.busy
    find("predict resume")(ws, name="delay")
    until(lambda: batch.get(ws, key).state == "finished")
    assert stopped.items() <= parts(to).items()
    assert json.loads((to / "manifest.json").read_text())["answered"] == 17_040


def test_what_cannot_be_is_said_before_it_is_left_alone(place: Workspace, tmp_path: Path) -> None:
    ws = place
    frame = pl.read_parquet(tmp_path / "rows.parquet")
    predict = find("predict")
    with pytest.raises(Invalid, match="a DataFrame is gone with its kernel"):
        predict(ws, model="delay", data=frame, to=str(tmp_path / "to"), detach=True)
    with pytest.raises(Invalid, match="need a place"):
        predict(ws, model="delay", data=str(tmp_path / "rows.parquet"), detach=True)
    frame.drop("mean radius").write_parquet(tmp_path / "short.parquet")
    with pytest.raises(Invalid, match="has no column 'mean radius'"):
        predict(
            ws, model="delay", data=str(tmp_path / "short.parquet"), to=str(tmp_path / "to"),
            detach=True,
        )  # fmt: skip
    with pytest.raises(NotFound, match="no environment is called 'nowhere'"):
        begin(ws, tmp_path, env="nowhere")
    with pytest.raises(NotFound, match="there is none yet"):
        find("predict stop")(ws, name="delay")
    # What fails only as it runs isn't tried for ever: nothing about it will pass.
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "mine.txt").write_text("something else")
    key = begin(ws, tmp_path).id
    until(lambda: batch.get(ws, key).state == "failed")
    assert "isn't empty" in batch.get(ws, key).error
    assert "isn't empty" in mimebundle(batch.get(ws, key))["text/plain"]
    assert batch.get(ws, key).restarts == 0
