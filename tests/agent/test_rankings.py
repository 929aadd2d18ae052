"""The agent puts a queue in order again once a batch of labels has come."""

from __future__ import annotations

import time
from pathlib import Path

import polars as pl

from jupyter_mlops.agent.labels import Rankings
from jupyter_mlops.labeling import Decision, commit, create, due, last_ranking, pick
from jupyter_mlops.workspace import Workspace

WORDS = ["fog at the airport", "the crew was late"]


class Rows:
    ref, digest = None, "d"

    def scan(self) -> pl.LazyFrame:
        return pl.DataFrame({"r": [f"{WORDS[n % 2]} {n}" for n in range(40)]}).lazy()


def test_a_batch_of_labels_leads_to_a_new_order(tmp_path: Path) -> None:
    ws = Workspace.open(tmp_path, user="maria")
    task = create(ws, "remarks", Rows(), "text", ["weather", "crew"])
    rankings = Rankings(ws)
    rankings.step()
    assert not rankings.busy
    pick(ws, task.id, batch=10)
    decisions = [Decision(f"e{n}", n, "label", ["weather", "crew"][n % 2]) for n in range(10)]
    commit(ws, task.id, "jo", decisions)
    until = time.monotonic() + 90
    while due(ws) and time.monotonic() < until:
        rankings.step()
        time.sleep(0.2)
    found = last_ranking(ws, task.id)
    assert found is not None, (ws.home / "logs" / "rankings.log").read_text()
    assert (found.epoch, found.strategy, found.labeled) == (1, "margin-kmeans", 10)
    # Somebody labels: the agent stays to see the next batch.
    while not rankings.busy and time.monotonic() < until:
        rankings.step()
    assert rankings.busy
