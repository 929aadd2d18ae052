"""Many people at once, and labelling processes that are killed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from sqlalchemy import func, select

from faults.crowd import crowd
from jupyter_mlops.labeling import Task, create, status
from jupyter_mlops.labeling.records import AnnotationRecord, ItemRecord
from jupyter_mlops.workspace import Workspace

from .conftest import Rows
from .labellers import label_everything, label_until_killed


@pytest.fixture
def ws(database: str, tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path, user="maria")


@pytest.fixture
def task(ws: Workspace) -> Task:
    frame = pl.DataFrame({"remark": [f"remark {n}" for n in range(120)]})
    return create(ws, "remarks", Rows(frame), "text", ["a", "b"])


def stored(ws):
    with ws.read() as session:
        return {row.ev: row.item for row in session.scalars(select(AnnotationRecord))}


def test_eight_people_label_everything_and_nothing_twice(ws, task):
    said = dict(line.split() for line in crowd(8, label_everything, ws.root, task.id))
    times = Counter(int(item) for item in said.values())
    assert times == Counter(dict.fromkeys(range(120), 1))
    assert stored(ws) == {ev: int(item) for ev, item in said.items()}
    state = status(ws, task.id)
    assert (state.counts.labeled, state.held) == (120, 0)
    assert ws.audit().intact


def test_a_killed_process_loses_no_acknowledged_label(ws, task, database, kill):
    times = 24 if database == "sqlite" else 8
    kills = kill(label_until_killed, ws.root, task.id, times=times, window=0.1)
    found = stored(ws)
    assert len(kills.acknowledged) > kills.killed / 2
    assert set(kills.acknowledged) <= set(found)
    # Only the decision that was on its way when a process died may be there unannounced.
    assert len(found) <= len(kills.acknowledged) + kills.killed
    with ws.read() as session:
        labelled = session.scalar(
            select(func.count()).select_from(ItemRecord).where(ItemRecord.state == "labeled")
        )
    assert status(ws, task.id).counts.labeled == labelled
    assert ws.audit().intact
