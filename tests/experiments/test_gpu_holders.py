"""`%mlops gpu` says who holds which GPU and who waits, and says so where there is none."""

from __future__ import annotations

import json
import threading

import pytest

from jupyter_mlops.experiments.gpus.holders import gpus
from jupyter_mlops.experiments.gpus.leases import acquire, ask, set_quota
from jupyter_mlops.verbs.gpus import release
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import Denied, Invalid, NotFound, Unavailable


def test_a_machine_without_a_gpu_says_so(ws, monkeypatch, tmp_path):
    (tmp_path / "none.json").write_text("[]")
    monkeypatch.setenv("JUPYTER_MLOPS_FAKE_GPUS", str(tmp_path / "none.json"))
    assert "no NVIDIA GPU" in mimebundle(gpus(ws))["text/plain"]


def test_each_gpu_names_its_holder(ws, monkeypatch, tmp_path):
    told = [
        {"uuid": f"GPU-{i}", "name": "H100", "total": 80_000_000_000, "used": 2_000_000_000 * i}
        for i in range(2)
    ]
    (tmp_path / "two.json").write_text(json.dumps(told))
    monkeypatch.setenv("JUPYTER_MLOPS_FAKE_GPUS", str(tmp_path / "two.json"))
    set_quota(ws, "vision", 0.5)
    with ask(ws, gpus=1, holder="ana", team="vision", purpose="trial 3"):
        found = gpus(ws)
        (claim,) = found.claims
        assert (claim.status, claim.holder, claim.gpus) == ("held", "ana", 1)
        bundle = mimebundle(found)
        text = bundle["text/plain"]
        assert "ana" in text
        assert "nobody" in text
        assert "50 %" in text or "50%" in text
        assert "2.0 of 80 GB" in bundle["text/html"]
    assert gpus(ws).claims == ()


@pytest.fixture
def two(ws, monkeypatch, tmp_path):
    told = [{"uuid": f"GPU-{i}", "name": "H100", "total": 80_000_000_000} for i in range(2)]
    (tmp_path / "two.json").write_text(json.dumps(told))
    monkeypatch.setenv("JUPYTER_MLOPS_FAKE_GPUS", str(tmp_path / "two.json"))
    return ws


def test_a_lease_is_given_back_by_the_digits_that_are_shown(two):
    lease = acquire(two, gpus=2, holder=two.user, purpose="test", timeout=0)
    (claim,) = gpus(two).claims
    assert claim.short == lease.id[-8:]
    assert claim.short in mimebundle(gpus(two))["text/html"]
    assert release(two, claim.short).claims == ()
    assert two.events(kind="gpu.released")[0].payload["reason"] == f"by {two.user}"
    lease.release()
    with pytest.raises(NotFound, match="nobody holds a GPU"):
        release(two, claim.short)


def test_somebody_elses_lease_takes_force_and_serves_who_waits(two):
    lease = acquire(two, gpus=2, holder="bo", purpose="a kernel", timeout=0)
    got = threading.Event()

    def want():
        with ask(two, gpus=1, holder="ana", purpose="test", timeout=60):
            got.set()

    thread = threading.Thread(target=want)
    thread.start()
    with pytest.raises(Denied, match="bo's: it is for a kernel"):
        release(two, lease.id)
    with pytest.raises(NotFound, match=lease.id[-8:]):
        release(two, "12")
    assert not got.is_set()
    release(two, f"gpu:{lease.id[-6:]}", force=True)
    assert got.wait(60)
    thread.join()


def test_a_wait_is_ended_and_its_waiter_told(two):
    told = []

    def want():
        with pytest.raises(Unavailable) as refused:
            acquire(two, gpus=2, holder=two.user, purpose="test", timeout=60)
        told.append(refused.value.code)

    with ask(two, gpus=1, holder="bo", purpose="test", timeout=0):
        thread = threading.Thread(target=want)
        thread.start()
        while len(gpus(two).claims) < 2:
            pass
        waiting = next(one for one in gpus(two).claims if one.status == "waiting")
        release(two, waiting.short)
        thread.join(60)
    assert told == ["E-GPU-005"]


def test_digits_that_mean_two_leases_are_refused(two, monkeypatch):
    from jupyter_mlops.experiments.gpus import leases

    ids = iter(["0" * 24 + "1111beef", "1" * 24 + "1111beef"])
    monkeypatch.setattr(leases, "new_id", lambda: next(ids))
    for _ in range(2):
        acquire(two, gpus=1, holder=two.user, purpose="test", timeout=0)
    with pytest.raises(Invalid, match="more than one"):
        release(two, "beef")
