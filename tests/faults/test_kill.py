"""Nothing acknowledged is lost, whenever the writer is killed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from faults.kill import Acknowledge, Kills
from faults.writers import lost, make_notes, open_workspace, write_for_ever
from jupyter_mlops.workspace import Workspace


def test_every_acknowledged_event_survives_kills(
    database: str, tmp_path: Path, kill: Callable[..., Kills]
) -> None:
    """SIGKILL at random points: the store opens, holds all of it, and the chain verifies."""
    ws = Workspace.open(tmp_path)
    make_notes(ws)

    def audited(turn: int, _lines: list[str]) -> None:
        if turn % 25 == 0:
            assert ws.audit().intact

    # On PostgreSQL it is the server that keeps the promise: fewer kills tell as much.
    times = 200 if database == "sqlite" else 80
    kills = kill(write_for_ever, tmp_path, 7, times=times, window=0.06, after=audited)
    assert kills.killed == kills.started
    assert len(kills.acknowledged) > kills.started
    assert lost(ws, kills.acknowledged) == []
    audit = ws.audit()
    assert audit.intact, audit.reason


def test_a_workspace_killed_while_it_is_made_can_be_opened(
    database: str, tmp_path: Path, kill: Callable[..., Kills]
) -> None:
    """The schema is there whole or not at all; the next one to open finishes it."""
    kill(open_workspace, tmp_path, times=25, window=0.08)
    ws = Workspace.open(tmp_path)
    assert ws.audit().intact


def test_the_same_seed_kills_at_the_same_moments(
    kill: Callable[..., Kills], capsys: pytest.CaptureFixture[str]
) -> None:
    kills = kill(_count, times=3, seed=5, window=0.01)
    assert kills.seed == 5
    assert "FAULT_SEED=5" in capsys.readouterr().out


def test_a_writer_that_fails_by_itself_fails_the_test(kill: Callable[..., Kills]) -> None:
    with pytest.raises(AssertionError, match="writer 0 failed with 3"):
        kill([sys.executable, "-c", "print('done', flush=True); raise SystemExit(3)"], window=5)


def test_a_program_is_killed_with_what_it_said(kill: Callable[..., Kills]) -> None:
    program = "import itertools\nfor n in itertools.count(): print(n, flush=True)"
    kills = kill([sys.executable, "-c", program], times=3, window=0.02)
    assert kills.killed == 3
    assert "0" in kills.acknowledged


def _count(acknowledge: Acknowledge, _turn: int) -> None:
    for number in range(1 << 20):
        acknowledge(number)
