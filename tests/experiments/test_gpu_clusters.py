"""Clusters hold the GPUs of their workers: seen by all, never twice, and given back."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import threading
import time

import cloudpickle
import psutil
import pytest
from sqlalchemy import select

from jupyter_mlops import models
from jupyter_mlops.experiments import clusters, driver
from jupyter_mlops.experiments.gpus.holders import gpus
from jupyter_mlops.experiments.gpus.leases import ask, expire
from jupyter_mlops.experiments.records import GpuLeaseRecord
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import Conflict, Invalid, Unavailable

# Workers can't import the tests.
cloudpickle.register_pickle_by_value(sys.modules[__name__])
GB = 10**9


@pytest.fixture(autouse=True, scope="module")
def _compiled(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.mktemp("compiled")))
        yield


@pytest.fixture
def two(ws, monkeypatch, tmp_path):
    """Two GPUs, and no cluster left afterwards."""
    told = [{"uuid": f"GPU-{n}", "name": "H100", "total": 80 * GB} for n in "ab"]
    (tmp_path / "gpus.json").write_text(json.dumps(told))
    monkeypatch.setenv("JUPYTER_MLOPS_FAKE_GPUS", str(tmp_path / "gpus.json"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    yield ws
    for one in clusters.clusters(ws):
        if one.status in {"running", "starting"}:
            clusters.stop(ws, one.name)


def _visible():
    return os.environ["CUDA_VISIBLE_DEVICES"]


def _limit():
    return os.environ.get("JUPYTER_MLOPS_GPU_MEMORY")


def _turns(ws):
    """Whose turn it was, of each lease that a cluster holds."""
    with ws.read() as session:
        query = select(GpuLeaseRecord.team, GpuLeaseRecord.priority, GpuLeaseRecord.memory).where(
            GpuLeaseRecord.status == "held", GpuLeaseRecord.purpose.startswith("cluster ")
        )
        return [tuple(row) for row in session.execute(query)]


def _pids(client):
    """The workers' processes; a worker that dies at that moment has none."""
    return client.run(os.getpid, on_error="ignore").values()


def _host(ws, name):
    return int(clusters.held(ws, name).process.split(":")[1])


def test_each_worker_has_its_own_gpu_and_the_leases_end_with_the_cluster(two):
    found = clusters.obtain(two, gpus=1)
    assert (found.kind, found.workers) == ("gpu", 2)
    with found.client() as client:
        assert sorted(client.run(_visible).values()) == ["GPU-a", "GPU-b"]
        worker = client.submit(os.getpid).result()
        mine = client.submit(lambda: _visible()).result()
        # What replaces a worker has the same GPU.
        psutil.Process(worker).kill()
        end = time.monotonic() + 60
        while len(pids := _pids(client)) < 2 or worker in pids:
            assert time.monotonic() < end
            time.sleep(0.1)
        assert sorted(client.run(_visible).values()) == ["GPU-a", "GPU-b"]
        assert mine in {"GPU-a", "GPU-b"}
    claims = gpus(two).claims
    assert {one.purpose for one in claims} == {f"cluster {found.name}"}
    # The cell in which one model is trained computes where nobody else does.
    with clusters.at_gpus_of(two, found):
        assert sorted(_visible().split(",")) == ["GPU-a", "GPU-b"]
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    with pytest.raises(Unavailable), ask(two, gpus=1, holder="bo", purpose="t", timeout=0):
        pass
    with pytest.raises(Conflict, match="this machine has GPUs for 2"):
        clusters.scale(two, found.name, 3)
    clusters.stop(two, found.name)
    with ask(two, gpus=2, holder="bo", purpose="test", timeout=0):
        pass


#: As far as Dask-CUDA's own is what it is without a GPU: what its workers load and are told.
DASK_CUDA = """
import json
from distributed import LocalCluster

class LocalCUDACluster(LocalCluster):
    def __init__(self, CUDA_VISIBLE_DEVICES, n_workers, rmm_pool_size=None,
                 rmm_allocator_external_lib_list=None, **kwargs):
        super().__init__(n_workers=0, **kwargs)
        self.devices = CUDA_VISIBLE_DEVICES.split(",")
        self.told = json.dumps([rmm_pool_size, rmm_allocator_external_lib_list])
        options = self.new_spec["options"]
        options["preload"] = options.get("preload", []) + ["dask_cuda"]
        self.scale(n_workers)
        self.sync(self._correct_state)

    def new_worker_spec(self):
        number = len(self.worker_spec)
        seen = ",".join(self.devices[number:] + self.devices[:number])
        env = {"CUDA_VISIBLE_DEVICES": seen, "TOLD": self.told}
        options = {**self.new_spec["options"], "env": env}
        return {self.devices[number]: {**self.new_spec, "options": options}}
"""


def test_a_worker_of_dask_cuda_is_tethered_and_draws_on_a_pool(two, monkeypatch, tmp_path):
    (tmp_path / "dask_cuda.py").write_text(DASK_CUDA)
    for name in ("rmm", "cupy"):
        (tmp_path / f"{name}.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    found = clusters.obtain(two)
    assert (found.kind, found.workers) == ("cuda", 2)
    with found.client() as client:
        pids = client.run(os.getpid)
        assert client.run(lambda: os.environ["JUPYTER_MLOPS_CLUSTER_WORKER"]) == {
            worker: str(pid) for worker, pid in pids.items()
        }
        assert {one.split(",")[0] for one in client.run(_visible).values()} == {"GPU-a", "GPU-b"}
        told = set(client.run(lambda: os.environ["TOLD"]).values())
    assert told == {f'[{1 << 30}, ["cupy"]]'}
    with pytest.raises(Conflict, match="holds GPUs for 2 workers"):
        clusters.scale(two, found.name, 3)


def test_parts_are_leases_too_and_workers_are_told_their_limit(two):
    two.settings.gpu_team, two.settings.gpu_priority = "vision", 3
    with ask(two, gpus=1, holder="bo", purpose="test", timeout=0) as other:
        found = clusters.obtain(two, gpu_memory="30GB")
        # Four would fit on two GPUs if nobody held one of them; and there are two cores here.
        assert found.workers == min(2, clusters.planning.cores())
        with found.client() as client:
            assert other.devices[0] not in client.run(_visible).values()
            assert set(client.run(_limit).values()) == {str(30 * GB)}
        assert set(_turns(two)) == {("vision", 3, 30 * GB)}
        # The cell beside them has a part of its own.
        with clusters.at_gpus_of(two, found, "10GB"):
            (mine,) = [one for one in gpus(two).claims if one.purpose.startswith("a cell")]
            assert (_visible(), _limit()) == (mine.devices[0], str(10 * GB))
        assert _limit() is None
        assert not any(one.purpose.startswith("a cell") for one in gpus(two).claims)
        # Its dashboard would be this machine's, and so behind this server's proxy.
        held = dataclasses.replace(
            clusters.held(two, found.name), dashboard="http://127.0.0.1:8787/status"
        )
        assert "proxy/8787/status" in str(mimebundle(held))


def test_a_killed_clusters_gpus_come_back(two):
    found = clusters.obtain(two, gpus=2)
    assert found.workers == 1
    with found.client() as client:
        assert set(client.run(_visible).values()) == {"GPU-a,GPU-b"}
    psutil.Process(_host(two, found.name)).kill()
    end = time.monotonic() + 60
    while not expire(two):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert gpus(two).claims == ()
    clusters.settle(two)


def test_a_cluster_waits_for_its_turn_and_gives_up_in_time(two, monkeypatch):
    monkeypatch.setenv("JUPYTER_MLOPS_GPU_WAIT", "0.5")
    said = []
    with ask(two, gpus=2, holder="bo", purpose="test", timeout=0):
        with pytest.raises(Unavailable, match=r"no GPU became free within 0\.5 s; held by bo"):
            clusters.obtain(two, gpus=1, workers=1, announce=said.append)
    assert any("Waiting for a GPU" in one for one in said)
    monkeypatch.setenv("JUPYTER_MLOPS_GPU_WAIT", "60")
    with ask(two, gpus=2, holder="bo", purpose="test", timeout=0) as other:
        threading.Timer(1.0, other.release).start()
        assert clusters.obtain(two, gpus=1, workers=1).workers == 1


def test_a_cluster_that_nobody_uses_makes_room_for_who_waits(two):
    found = clusters.obtain(two, gpus=1)
    with ask(two, gpus=2, holder="bo", purpose="test", timeout=60):
        pass
    end = time.monotonic() + 60
    while clusters.held(two, found.name).status == "running":
        assert time.monotonic() < end
        time.sleep(0.05)
    assert "others waited" in clusters.held(two, found.name).reason


def test_a_cluster_ends_when_its_lease_was_taken_away(two):
    from jupyter_mlops.experiments.gpus.returning import give_back

    found = clusters.obtain(two, gpus=1, workers=1)
    give_back(two, gpus(two).claims[0].short)
    end = time.monotonic() + 60
    while clusters.held(two, found.name).status == "running":
        assert time.monotonic() < end
        time.sleep(0.05)
    assert "lease" in clusters.held(two, found.name).reason


def test_trials_run_on_the_gpus_that_were_asked_for(two):
    body = "x = suggest.float('x', 0, 1)\nimport os\nloss = x + len(os.environ['%s'])"
    asked = driver.Asked(metric=["loss"], trials=4, seed=1, gpu_memory="40GB", workers=2, keep=0)
    names = {"__name__": "__main__"}
    begun = driver.launch(two, "parts", body % "CUPY_GPU_MEMORY_LIMIT", asked, names)
    done = driver.drive(two, begun, models.freeze)
    assert done.status == "finished"
    assert {one.status for one in done.trials} == {"finished"}


def test_demands_that_cant_be_met_are_one_sentence(two, monkeypatch, tmp_path):
    with pytest.raises(Invalid, match="exclude each other"):
        clusters.obtain(two, gpus=1, gpu_memory="8GB")
    with pytest.raises(Invalid, match="no amount of memory"):
        clusters.obtain(two, gpu_memory="much")
    with pytest.raises(Invalid, match="doesn't go with --cluster"):
        clusters.obtain(two, "tcp://127.0.0.1:1", gpu_memory="8GB")
    with pytest.raises(Unavailable, match="2 GPUs for one process"):
        clusters.obtain(two, gpus=3)
    (tmp_path / "gpus.json").write_text("[]")
    for demand in ({"gpus": 1}, {"gpu_memory": "8GB"}):
        with pytest.raises(Unavailable, match="this machine has none"):
            clusters.obtain(two, **demand)


def test_gpus_are_given_to_the_workers_of_a_named_profile_or_refused(two):
    two.settings.clusters = {
        "mine": {"kind": "local"},
        "slurm": {"kind": "jobqueue"},
        "cuda": {"kind": "cuda"},
    }
    for name, each in (("slurm", 1), ("cuda", 2), ("tcp://127.0.0.1:1", 1)):
        with pytest.raises(Invalid, match=f"--gpus {each} doesn't go with --cluster {name}"):
            clusters.obtain(two, name, gpus=each)
    found = clusters.obtain(two, "mine", gpus=1, workers=2)
    assert (found.name, found.kind, found.workers) == ("mine", "gpu", 2)
    with found.client() as client:
        assert sorted(client.run(_visible).values()) == ["GPU-a", "GPU-b"]
    assert clusters.obtain(two, "mine", gpus=1).address == found.address
    with pytest.raises(Invalid, match="it runs already, and its workers hold 1 each"):
        clusters.obtain(two, "mine", gpus=2)


def test_it_grows_while_it_works_once_gpus_are_free(two):
    with ask(two, gpus=1, holder="bo", purpose="test", timeout=0) as other:
        found = clusters.obtain(two, gpus=1)
        assert found.workers == 1
        with found.client() as client:
            busy = client.submit(lambda: _work())
            _until(lambda: any(client.processing().values()))
            assert clusters.scale(two, found.name, 2).workers == 1
            other.release()
            _until(lambda: len(client.ncores()) == 2)
            assert sorted(client.run(_visible).values()) == ["GPU-a", "GPU-b"]
            assert clusters.held(two, found.name).workers == 2
            busy.cancel()
    assert [one.purpose for one in gpus(two).claims] == 2 * [f"cluster {found.name}"]
    clusters.stop(two, found.name)
    with ask(two, gpus=2, holder="bo", purpose="test", timeout=0):
        pass


def _work():
    time.sleep(60)


def _until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
