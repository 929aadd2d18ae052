"""Policies whose time has come: so many at once, and none that was stopped."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from jupyter_mlops import retraining
from jupyter_mlops.retraining.decisions import close, due
from jupyter_mlops.retraining.records import PolicyRecord
from jupyter_mlops.retraining.terms import Terms
from jupyter_mlops.workspace import Workspace
from jupyter_mlops.workspace.records import utcnow


def test_so_many_are_begun_at_once_and_stopped_ones_never(tmp_path: Path) -> None:
    ws = Workspace.open(tmp_path)
    now = utcnow()
    with ws.write() as tx:
        for number, name in enumerate(("first", "second", "third", "stopped")):
            tx.session.add(
                PolicyRecord(
                    name=name,
                    model="delay",
                    terms=Terms(endpoint="delay", notebook="train.ipynb").to_dict(),
                    due_at=now - timedelta(hours=4 - number),
                    actor="ada",
                    paused=name == "stopped",
                )
            )
    begun = due(ws, at_once=2)
    assert [one.policy for one in begun] == ["first", "second"]
    assert due(ws, at_once=2) == []
    close(ws, begun[0].ref, "unneeded", "Nothing moved.")
    assert [one.policy for one in due(ws, at_once=2)] == ["third"]
    # What was begun looks again a day later, not at once.
    close(ws, begun[1].ref, "unneeded", "Nothing moved.")
    assert due(ws, at_once=2) == []
    later = retraining.policy(ws, "second").due_at - now
    assert timedelta(hours=23) < later < timedelta(hours=25)
