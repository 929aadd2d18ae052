"""Many people at once, and processes killed while they label."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from sqlalchemy import select

from jupyter_mlops.labeling import status
from jupyter_mlops.labeling.records import AnnotationRecord

SCRIPT = Path(__file__).with_name("labeller.py")


def start(ws, task, person, size=4, pause=0.0):
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(ws.root), task.id, person, str(size), str(pause)],
        stdout=subprocess.PIPE,
        text=True,
    )


def acknowledged(output):
    """Whole lines only: a process that is killed may leave half of one."""
    return [line.strip() for line in output.splitlines(keepends=True) if line.endswith("\n")][1:]


def stored(ws):
    with ws.read() as session:
        return {row.ev: row.item for row in session.scalars(select(AnnotationRecord))}


def test_eight_people_label_everything_and_nothing_twice(ws, texts):
    task = texts(240)
    people = [start(ws, task, f"person{n}") for n in range(8)]
    said = [person.communicate(timeout=120)[0] for person in people]
    assert [person.returncode for person in people] == [0] * 8
    evs = [ev for output in said for ev in acknowledged(output)]
    times = Counter(stored(ws)[ev] for ev in evs)
    assert times == Counter(dict.fromkeys(range(240), 1))
    assert set(evs) == set(stored(ws))
    assert status(ws, task.id).counts.labeled == 240
    assert ws.audit().intact


def test_a_killed_process_loses_no_acknowledged_label(ws, texts):
    chance = random.Random(11)
    task = texts(2000)
    kept: list[str] = []
    for _ in range(6):
        process = start(ws, task, "jo", 8)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.uniform(0.05, 0.6))
        process.send_signal(signal.SIGKILL)
        kept += acknowledged("ready\n" + process.communicate()[0])
    found = stored(ws)
    assert len(kept) > 20
    assert set(kept) <= set(found)
    # At most the one decision that was on its way when the process died isn't known to it.
    assert len(found) <= len(kept) + 6
    assert status(ws, task.id).counts.labeled == len(found)
    assert ws.audit().intact
