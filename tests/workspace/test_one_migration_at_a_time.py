"""MLflow's database and ours can be made at the same moment by threads of one process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jupyter_mlops.workspace import Workspace
from jupyter_mlops.workspace.tracking import tracking_client


def test_workspaces_are_made_while_mlflow_makes_its_database(tmp_path: Path) -> None:
    first = Workspace.open(tmp_path / "first")
    with ThreadPoolExecutor(2) as threads:
        tracked = threads.submit(tracking_client, first)
        at = 0
        while not tracked.done() or at < 5:
            made = Workspace.open(tmp_path / f"later-{at}")
            with made.write() as tx:
                tx.emit("dataset.added", "data:flights@1")
            assert made.audit().intact
            at += 1
        client = tracked.result()
    assert [one.name for one in client.search_experiments()] == ["Default"]
