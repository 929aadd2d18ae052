"""Many processes on one workspace: no error reaches a caller, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text

from faults.crowd import crowd
from faults.writers import lost, make_notes, open_workspace, write_mixed
from jupyter_mlops.workspace import Workspace

PROCESSES = 8
# On PostgreSQL it is the server that lets them take turns: fewer writes tell as much.
WRITES = {"sqlite": 500, "postgresql": 150}


def test_eight_processes_write_hundreds_of_times_each(database: str, tmp_path: Path) -> None:
    ws = Workspace.open(tmp_path)
    make_notes(ws)
    lines = crowd(PROCESSES, write_mixed, tmp_path, 11, WRITES[database])
    assert len(lines) == PROCESSES * WRITES[database]
    assert lost(ws, lines) == []
    kinds = [line.split()[0] for line in lines]
    audit = ws.audit()
    assert audit.intact, audit.reason
    assert audit.events == kinds.count("event") + kinds.count("row") + 3 * kinds.count("three")
    assert {"event", "row", "three", "back", "read"} == set(kinds)


def test_eight_processes_open_a_new_workspace_at_the_same_moment(
    database: str, tmp_path: Path
) -> None:
    lines = crowd(PROCESSES, open_workspace, tmp_path)
    assert lines == ["opened"] * PROCESSES
    ws = Workspace.open(tmp_path)
    assert ws.audit().events == PROCESSES
    with ws.read() as session:
        assert session.scalar(text("SELECT count(*) FROM alembic_version")) == 1
