"""Whoever holds a GPU or waits for one keeps that known, by one thread, through failures."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from jupyter_mlops.experiments.gpus import granting, pulse
from jupyter_mlops.experiments.gpus.leases import acquire, ask, expire
from jupyter_mlops.experiments.records import GpuLeaseRecord
from jupyter_mlops.workspace import Unavailable, Workspace
from jupyter_mlops.workspace.records import utcnow

WHO = {"holder": "ana", "purpose": "test", "timeout": 0}


@pytest.fixture
def place(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    path = tmp_path / "gpus.json"
    path.write_text(json.dumps([{"uuid": f"GPU-{n}", "name": "F", "total": 80} for n in "ab"]))
    monkeypatch.setenv("JUPYTER_MLOPS_FAKE_GPUS", str(path))
    monkeypatch.setattr(granting, "BEAT_SECONDS", 0.2)
    return Workspace.open(tmp_path / "work", create=True)


def _until(true: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def _beats() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == pulse.NAME]


def _age(ws: Workspace, lease: str, seconds: float) -> None:
    with ws.write() as tx:
        row = tx.session.get_one(GpuLeaseRecord, lease)
        row.beat_at = utcnow() - timedelta(seconds=seconds)


def _silent(ws: Workspace, lease: str) -> float:
    with ws.read() as session:
        beat = session.get_one(GpuLeaseRecord, lease).beat_at
    return (utcnow() - beat).total_seconds()


def test_a_holder_stays_fresh_and_so_another_machine_leaves_it_alone(
    place: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ask(place, gpus=1, **WHO) as lease:
        _age(place, lease.id, 200)
        _until(lambda: _silent(place, lease.id) < 60)
        monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
        assert expire(place) == 0
        pulse.drop(lease.id)
        _age(place, lease.id, 200)
        assert expire(place) == 1
        assert place.events(kind="gpu.reclaimed")


def test_one_thread_beats_for_all_leases_and_ends_with_the_last(place: Workspace) -> None:
    _until(lambda: not _beats())
    with ask(place, gpus=1, **WHO):
        with ask(place, memory=10, **WHO):
            assert len(_beats()) == 1
        assert len(_beats()) == 1
    _until(lambda: not _beats())
    with ask(place, gpus=1, **WHO):
        assert len(_beats()) == 1


def test_a_store_that_fails_for_a_while_doesnt_end_it(
    place: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with ask(place, gpus=1, **WHO) as lease:
        failed = threading.Event()

        def fail() -> None:
            failed.set()
            raise Unavailable("the store is away", code="E-TEST-001")

        with monkeypatch.context() as patch:
            patch.setattr(place, "read", fail)
            assert failed.wait(60)
            _until(lambda: "the store is away" in caplog.text)
        _age(place, lease.id, 200)
        _until(lambda: _silent(place, lease.id) < 60)


def test_what_ended_otherwise_is_beaten_for_no_longer(place: Workspace) -> None:
    lease = acquire(place, gpus=1, **WHO)
    with place.write() as tx:
        granting.end(tx, tx.session.get_one(GpuLeaseRecord, lease.id), "released", "by hand")
    _until(lambda: not _beats())
    lease.release()


def test_a_wait_can_be_ended(place: Workspace) -> None:
    stop = threading.Event()
    refused: list[Unavailable] = []

    def wait() -> None:
        try:
            acquire(place, gpus=1, holder="bo", purpose="test", stop=stop)
        except Unavailable as error:
            refused.append(error)

    with ask(place, gpus=2, **WHO):
        thread = threading.Thread(target=wait)
        thread.start()
        with place.read() as session:
            _until(lambda: session.query(GpuLeaseRecord).count() == 2 or session.rollback())
        stop.set()
        thread.join(60)
        assert refused[0].code == "E-GPU-005"
    assert [one.kind for one in place.events()].count("gpu.withdrawn") == 1
