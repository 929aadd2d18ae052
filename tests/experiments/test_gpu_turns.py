"""Whose turn it is: reservations, quotas, past use that fades, parts of a cut GPU."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.experiments.gpus.leases import ask, set_quota
from jupyter_mlops.experiments.gpus.turns import HALF_LIFE, faded
from jupyter_mlops.experiments.records import GpuLeaseRecord, GpuUseRecord
from jupyter_mlops.workspace import Unavailable, Workspace
from jupyter_mlops.workspace.records import utcnow


@pytest.fixture
def tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def tell(*rows: dict[str, Any]) -> None:
        told = [{"name": "F", "total": 80, **row} for row in rows]
        (tmp_path / "gpus.json").write_text(json.dumps(told))

    monkeypatch.setenv("JUPYTER_MLOPS_FAKE_GPUS", str(tmp_path / "gpus.json"))
    tell({"uuid": "GPU-a"}, {"uuid": "GPU-b"})
    return tell


@pytest.fixture
def place(database: str, tell: object, tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "work", create=True)


class Queue:
    """People who ask one after the other, and the order in which they are served."""

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        self.served: list[str] = []
        self._threads: list[threading.Thread] = []

    def ask(self, name: str, *, hold: float = 0.0, **wish: Any) -> None:
        """Ask in a thread of its own; return once it holds or waits."""

        def want() -> None:
            who = {"holder": name, "team": name, "purpose": "test", "timeout": 60, **wish}
            with ask(self.ws, **who):
                self.served.append(name)
                time.sleep(hold)

        before = self._open()
        self._threads.append(threading.Thread(target=want))
        self._threads[-1].start()
        end = time.monotonic() + 60
        while self._open() == before:
            assert time.monotonic() < end
            time.sleep(0.01)

    def _open(self) -> int:
        with self.ws.read() as session:
            return session.query(GpuLeaseRecord).count()

    def done(self) -> list[str]:
        for one in self._threads:
            one.join(90)
            assert not one.is_alive()
        return self.served


def test_a_big_request_isnt_starved_by_small_ones(place: Workspace) -> None:
    queue = Queue(place)
    with ask(place, gpus=1, holder="x", purpose="test", timeout=0):
        queue.ask("big", gpus=2)
        # A GPU is free, and it is kept for who came first.
        for n in range(4):
            queue.ask(f"small{n}", memory=10)
        time.sleep(0.3)
        assert queue.served == []
    assert queue.done()[0] == "big"


def test_whoever_comes_later_with_less_past_use_doesnt_pass_a_reservation(
    place: Workspace,
) -> None:
    _used(place, big=100.0, small=200.0)
    queue = Queue(place)
    with ask(place, gpus=1, holder="x", purpose="test", timeout=0):
        queue.ask("big", gpus=2)
        queue.ask("small", memory=10)
        queue.ask("fresh", memory=10)
        time.sleep(0.3)
        assert queue.served == []
    assert queue.done()[0] == "big"


def _used(ws: Workspace, **seconds: float) -> None:
    with ws.write() as tx:
        for team, used in seconds.items():
            host = socket.gethostname()
            tx.session.add(GpuUseRecord(team=team, host=host, seconds=used, at=utcnow()))


def test_priority_goes_before_a_reservation(place: Workspace) -> None:
    queue = Queue(place)
    with ask(place, gpus=1, holder="x", purpose="test", timeout=0):
        queue.ask("big", gpus=2)
        queue.ask("urgent", gpus=1, priority=5)
    assert queue.done() == ["urgent", "big"]


def test_who_used_less_lately_goes_first(place: Workspace) -> None:
    _used(place, heavy=5000.0, light=100.0)
    queue = Queue(place)
    with ask(place, gpus=2, holder="x", purpose="test", timeout=0):
        # Use decides, not who came first.
        queue.ask("first", gpus=2, hold=0.2)
        queue.ask("heavy", gpus=2, hold=0.2)
        queue.ask("light", gpus=2)
    assert queue.done() == ["first", "light", "heavy"]


def test_past_use_fades_by_half_each_hour(place: Workspace) -> None:
    assert faded(100, 0) == 100
    assert faded(100, 2 * HALF_LIFE) == 25
    begun = time.monotonic()
    with ask(place, gpus=2, holder="ana", purpose="test", timeout=0):
        time.sleep(0.2)
    most = 2 * (time.monotonic() - begun)
    with place.read() as session:
        first = session.query(GpuUseRecord).one().seconds
    assert 0.4 <= first <= most
    with place.write() as tx:
        row = tx.session.query(GpuUseRecord).one()
        row.seconds, row.at = 1000.0, row.at - timedelta(seconds=HALF_LIFE)
    with ask(place, memory=10, holder="ana", purpose="test", timeout=0):
        pass
    with place.read() as session:
        assert session.query(GpuUseRecord).one().seconds == pytest.approx(500, rel=0.01)


def test_a_cut_gpu_gives_an_instance_to_each(place: Workspace, tell: Callable[..., None]) -> None:
    tell(
        {"uuid": "MIG-1", "total": 20, "parent": "GPU-a"},
        {"uuid": "MIG-2", "total": 40, "parent": "GPU-a"},
        {"uuid": "GPU-b"},
    )
    who = {"purpose": "test", "timeout": 0}
    with (
        ask(place, gpus=1, holder="ana", **who) as one,
        ask(place, gpus=1, holder="bo", **who) as two,
    ):
        assert one.devices != two.devices
        assert len(one.devices) == len(two.devices) == 1
        with ask(place, gpus=1, holder="cy", **who):
            with pytest.raises(Unavailable), ask(place, gpus=1, holder="di", **who):
                pass
    # A part fits where it fits, the smallest first.
    with ask(place, memory=30, holder="ana", **who) as part:
        assert part.devices == ("MIG-2",)
        with ask(place, memory=15, holder="bo", **who) as small:
            assert small.devices == ("MIG-1",)


def test_under_contention_teams_get_their_quotas(
    place: Workspace, tell: Callable[..., None]
) -> None:
    tell(*({"uuid": f"GPU-{n}"} for n in range(4)))
    quotas = {"red": 0.5, "blue": 0.25, "green": 0.25}
    for team, share in quotas.items():
        set_quota(place, team, share)
    used = dict.fromkeys(quotas, 0.0)
    until = time.monotonic() + 5

    def work(team: str) -> None:
        while time.monotonic() < until:
            with ask(place, gpus=1, holder=team, purpose="test"):
                begun = time.monotonic()
                time.sleep(0.2)
                used[team] += max(0.0, min(time.monotonic(), until) - begun)

    with ThreadPoolExecutor(15) as pool:
        for one in [pool.submit(work, team) for team in [*quotas] * 5]:
            one.result()
    whole = sum(used.values())
    for team, share in quotas.items():
        assert used[team] / whole == pytest.approx(share, abs=0.08), used
