"""A brief write is made in the event loop; a slow disk holds up nobody else."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jupyter_mlops.serving import scribe
from jupyter_mlops.serving.answers import Answer
from jupyter_mlops.serving.fields import Field, field_type
from jupyter_mlops.serving.intake import Intake
from jupyter_mlops.serving.journal import SUFFIX, read_segment
from jupyter_mlops.serving.logpolicy import LogPolicy
from jupyter_mlops.serving.metrics import LogTally
from jupyter_mlops.serving.recording import Outcome, Recorder
from jupyter_mlops.serving.scribe import Scribe, Waiting
from jupyter_mlops.serving.trafficlog import TrafficLog

DOUBLE = field_type("double")
assert DOUBLE is not None
FIELDS = (Field("a", DOUBLE), Field("b", DOUBLE))


@pytest.fixture
def wrote(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The threads that synced to the disk; each takes `PAUSE` longer."""
    names: list[str] = []
    real = os.fdatasync

    def sync(number: int) -> None:
        names.append(threading.current_thread().name)
        time.sleep(PAUSE[0])
        real(number)

    monkeypatch.setattr(os, "fdatasync", sync)
    yield names
    PAUSE[0] = 0.0


PAUSE = [0.0]


def made(folder: Path) -> Scribe:
    log = TrafficLog(folder, FIELDS, labels=None, many=False, about={"version": "1"})
    log._current()
    return Scribe(Recorder(log, LogTally()))


def logged(folder: Path) -> list[dict[str, Any]]:
    paths = sorted((folder / "hot").glob(f"*{SUFFIX}"))
    tables = [read_segment(path).table for path in paths]
    return [row for table in tables if table is not None for row in table.to_pylist()]


async def ask(by: Scribe, count: int = 1) -> Outcome:
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    rows = Intake(FIELDS).columns({"a": [1.0] * count, "b": [2.0] * count}, count)
    answer = Answer(np.zeros(count), None)
    by.write([Waiting("r", rows, future.set_result)], [answer])
    found = await future
    assert isinstance(found, Outcome)
    return found


def test_a_slow_disk_is_waited_for_in_a_thread_until_it_is_quick_again(
    tmp_path: Path, wrote: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Wide of what a busy machine adds to a sync that is quick.
    monkeypatch.setattr(scribe, "_BRIEF", 0.5)
    by = made(tmp_path)
    wrote.clear()

    async def all_of_it() -> None:
        await ask(by)
        PAUSE[0] = 0.6
        await ask(by)
        slow = [asyncio.create_task(ask(by)) for _ in range(5)]
        began = time.monotonic()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert time.monotonic() - began < 0.5  # the loop goes on
        assert not by.idle
        await asyncio.gather(*slow)
        PAUSE[0] = 0.0
        await ask(by)
        await ask(by)
        assert by.idle

    asyncio.run(all_of_it())
    by.close()
    here = threading.current_thread().name
    # One sync for the first of the five, one for the others.
    assert wrote == [here, here, "log", "log", "log", here]
    assert len(logged(tmp_path)) == 9


def test_many_rows_are_written_in_the_thread(tmp_path: Path, wrote: list[str]) -> None:
    by = made(tmp_path)
    wrote.clear()
    outcome = asyncio.run(ask(by, 3000))
    by.close()
    assert wrote == ["log"]
    assert [row["prediction_id"] for row in logged(tmp_path)] == list(outcome.ids)


def test_another_policy_holds_for_whatever_is_written_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scribe, "_BRIEF", 60.0)
    by = made(tmp_path)
    asked, real = threading.Event(), by.recorder.log.follow

    def follow(*what: Any) -> None:
        assert asked.wait(60)
        real(*what)

    monkeypatch.setattr(by.recorder.log, "follow", follow)

    async def all_of_it() -> None:
        await ask(by)
        hide = asyncio.create_task(by.follow(LogPolicy(dropped=("b",)), None))
        await asyncio.sleep(0)
        behind = [asyncio.create_task(ask(by)) for _ in range(3)]
        await asyncio.sleep(0)
        asked.set()
        await asyncio.gather(hide, *behind)
        await ask(by)

    asyncio.run(all_of_it())
    by.close()
    assert ["in.b" in row for row in logged(tmp_path)] == [True, False, False, False, False]
