"""Clusters are processes of their own: shared, found again, and gone without a trace."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import types

import cloudpickle
import nbformat
import psutil
import pytest

from jupyter_mlops import models
from jupyter_mlops.experiments import clusters, driver, environments
from jupyter_mlops.experiments.clusters import Cluster
from jupyter_mlops.experiments.records import ClusterRecord
from jupyter_mlops.experiments.trials import may_live
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import Conflict, Invalid, NotFound, Unavailable, Workspace

# Workers can't import the tests.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(autouse=True, scope="module")
def _compiled(tmp_path_factory):
    """Python compiles Dask once for all clusters, where it is told not to keep what it compiles."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.mktemp("compiled")))
        yield


@pytest.fixture
def cluster(ws):
    """One worker, started here; nothing of it is left afterwards."""
    found = clusters.obtain(ws, workers=1)
    yield found
    for one in clusters.clusters(ws):
        if one.status in {"running", "starting"}:
            clusters.stop(ws, one.name)


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    """A workspace and its cluster, which tests look at and leave as it is."""
    ws = Workspace.open(tmp_path_factory.mktemp("standing"))
    found = clusters.obtain(ws, workers=1)
    yield ws, found
    clusters.stop(ws, found.name)


def _host(ws, name):
    return psutil.Process(int(clusters.held(ws, name).process.split(":")[1]))


def _until(true, seconds=60.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def _gone(processes, seconds=30.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not any(one.is_running() and one.status() != "zombie" for one in processes):
            return True
        time.sleep(0.02)
    return False


def _stuck():
    """A trial that keeps Python's lock for itself, as long computations in C do."""
    import ctypes

    ctypes.PyDLL(None).sleep(60)


def _child():
    """A trial that leaves a process in a session of its own."""
    code = "import time; time.sleep(60)"
    return subprocess.Popen([sys.executable, "-c", code], start_new_session=True).pid


def test_it_computes_outside_of_this_process_and_is_found_again(standing):
    ws, cluster = standing
    with cluster.client() as client:
        assert client.submit(os.getpid).result() != os.getpid()
        assert client.submit(lambda: os.environ["MKL_NUM_THREADS"]).result()
    again = clusters.obtain(ws, workers=1)
    assert again.address == cluster.address
    assert [one.status for one in clusters.clusters(ws)] == ["running"]
    text = mimebundle(clusters.clusters(ws))["text/plain"]
    assert cluster.name in text
    assert "running" in mimebundle(clusters.held(ws, cluster.name))["text/plain"]
    with pytest.raises(Invalid):
        clusters.scale(ws, cluster.name, 0)
    clusters.scale(ws, cluster.name, 2)
    with cluster.client() as client:
        client.wait_for_workers(2, timeout=60)


def test_it_is_stopped_by_name_and_nothing_of_it_is_left(ws, cluster):
    host = _host(ws, cluster.name)
    below = host.children(recursive=True)
    assert clusters.stop(ws, cluster.name).status == "stopped"
    assert _gone([host, *below])
    assert not cluster.alive()
    assert "cluster.stopped" in [event.kind for event in ws.events()]


def test_when_its_process_is_killed_the_workers_go_too_and_the_store_learns_why(ws, cluster):
    host = _host(ws, cluster.name)
    with cluster.client() as client:
        child = psutil.Process(client.submit(lambda: _child()).result())
        below = host.children(recursive=True)
        stuck = client.submit(lambda: _stuck())
        _until(lambda: any(client.processing().values()))
        time.sleep(0.2)
        host.send_signal(signal.SIGKILL)
        # Not by Dask's own watch, which waits for Python's lock.
        assert _gone([host, *(one for one in below if one != child)])
        del stuck
    clusters.settle(ws)
    assert _gone([child])
    assert not cluster.alive()
    told = clusters.clusters(ws)[0]
    assert told.status == "failed"
    assert "process ended" in told.reason
    with pytest.raises(Conflict):
        clusters.scale(ws, cluster.name, 2)


def test_a_worker_that_dies_is_replaced_and_what_its_trial_began_ends(ws, cluster):
    with cluster.client() as client:
        child = psutil.Process(client.submit(lambda: _child()).result())
        worker = client.submit(os.getpid, pure=False).result()
        os.kill(worker, signal.SIGKILL)
        assert _gone([child])
        # What ran there is the driver's to begin again; whatever comes later finds a worker.
        _until(lambda: worker not in client.run(os.getpid).values() and client.ncores())
        assert client.submit(os.getpid, pure=False).result(20) != worker


OTHER = """
import sys
from jupyter_mlops import models
from jupyter_mlops.experiments import clusters, driver, environments
from jupyter_mlops.workspace import Unavailable, Workspace

try:
    print(clusters.obtain(Workspace.open(sys.argv[1]), workers=1).address)
except Unavailable as refused:
    print(refused.what)
"""


@pytest.fixture
def others(ws):
    """Other kernels of the workspace that ask for a cluster."""
    begun = []

    def begin():
        command = [sys.executable, "-c", OTHER, str(ws.root)]
        begun.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return begun[-1]

    yield begin
    for one in begun:
        one.kill()
        one.communicate()
    for one in clusters.clusters(ws):
        clusters.stop(ws, one.name)


def test_processes_that_ask_at_once_share_one(ws, others):
    begun = others(), others()
    mine = clusters.obtain(ws, workers=1)
    told = [one.communicate(timeout=60)[0].strip() for one in begun]
    assert told == [mine.address] * 2
    started = [event for event in ws.events() if event.kind == "cluster.started"]
    assert len(started) == 1


def test_stopping_one_that_starts_harms_nobody_who_waits_for_it(ws, others):
    waits = others()
    _until(lambda: clusters.clusters(ws), 60)
    found = clusters.clusters(ws)[0]
    assert found.status == "starting"
    assert clusters.stop(ws, found.name).status == "stopped"
    assert "can't be started" in waits.communicate(timeout=60)[0]
    assert waits.returncode == 0
    assert not may_live(found.process)


def test_no_process_is_ended_for_a_record_of_another_machine(ws, cluster):
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with ws.write() as tx:
        row = tx.session.get_one(ClusterRecord, cluster.name)
        process, row.process = row.process, f"elsewhere:{bystander.pid}:1"
    with pytest.raises(Conflict, match="elsewhere"):
        clusters.stop(ws, cluster.name, timeout=0.1)
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()
    with ws.write() as tx:
        tx.session.get_one(ClusterRecord, cluster.name).process = process


def test_it_ends_when_nobody_uses_it_though_results_are_kept(ws):
    ws.settings.clusters = {"brief": {"kind": "local", "workers": 1, "idle_timeout": 2.0}}
    found = clusters.obtain(ws, "brief")
    with found.client() as client:
        client.submit(time.sleep, 3.0).result()
        kept = client.submit(int)
        kept.result()
        assert found.alive()
        assert _gone([_host(ws, found.name)], 60)
    told = clusters.clusters(ws)[0]
    assert told.status == "stopped"
    assert "nobody used it" in told.reason


@pytest.mark.parametrize(
    ("asked", "error", "sentence"),
    [
        ("tcp://127.0.0.1:9", Unavailable, "no Dask scheduler answers"),
        ("slurm", NotFound, "no cluster is called 'slurm'"),
        ("odd", Invalid, "can't have the kind 'cloud'"),
    ],
)
def test_what_cannot_be_had_is_one_sentence_at_once(ws, asked, error, sentence):
    ws.settings.clusters = {"odd": {"kind": "cloud"}}
    began = time.monotonic()
    with pytest.raises(error) as refused:
        clusters.obtain(ws, asked)
    assert sentence in refused.value.what
    assert time.monotonic() - began < 20


def test_a_cluster_that_needs_a_library_says_which(ws):
    ws.settings.clusters = {"site": {"kind": "jobqueue", "system": "SLURM", "workers": 1}}
    with pytest.raises(Unavailable) as refused:
        clusters.obtain(ws, "site")
    assert "dask-jobqueue" in refused.value.why
    assert 'pip install "jupyter_mlops[jobqueue]"' in refused.value.why


def test_gpus_that_are_not_there_are_refused(ws):
    with pytest.raises(Unavailable, match="this machine has none"):
        clusters.obtain(ws, gpus=True)


def test_a_scheduler_of_another_version_is_refused(standing, monkeypatch):
    from jupyter_mlops.experiments.clusters import cluster as module

    _, cluster = standing
    with cluster.client() as client:
        told = client.get_versions(check=False)
        told["scheduler"]["packages"]["distributed"] = "2020.1.0"
        monkeypatch.setattr(client, "get_versions", lambda check: told)
        with pytest.raises(Conflict) as refused:
            module.check_versions(client, cluster.address)
    assert "distributed 2020.1.0" in refused.value.why


def test_trials_and_their_notebooks_run_in_an_environment_of_their_own(ws, tmp_path):
    own = environments.create(ws, "own", source="this")
    # Whatever kernel the notebook names; there needn't be such a one.
    inside = f"import sys\ninside = float({str(ws.home / 'environments')!r} in sys.prefix)"
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(inside)])
    book.metadata["kernelspec"] = {"name": "gone", "display_name": "gone", "language": "python"}
    nbformat.write(book, tmp_path / "inside.ipynb")
    asked = driver.Asked(metric=["loss"], trials=1, workers=1, seed=1, environment="own")
    body = (
        "import sys\nx = suggest.float('x', 0, 1)\n"
        "loss = float(folder in sys.prefix) + notebook(path)['inside']\n"
    )
    names = {
        "__name__": "__main__",
        "folder": str(ws.home / "environments"),
        "path": str(tmp_path / "inside.ipynb"),
    }
    found = driver.drive(ws, driver.launch(ws, "apart", body, asked, names), models.freeze)
    try:
        assert [one.metrics["loss"] for one in found.trials] == [2.0], found.trials[0].error
        # Whoever asks for it by its name, and not for its environment, doesn't get it in silence.
        with pytest.raises(Invalid, match=r"goes with its own environment.*env:own"):
            clusters.obtain(ws, clusters.clusters(ws)[0].name)
        assert found.environment == environments.digest_of(environments.interpreter(ws, "own"))
        assert found.environment == own.digest
        assert [one.environment for one in clusters.clusters(ws)] == ["own"]
        # It is run again there, too.
        again = driver.verify(ws, found.best.ref)
        assert (again.same, again.notes) == (True, ())
    finally:
        for one in clusters.clusters(ws):
            clusters.stop(ws, one.name)


@pytest.mark.parametrize(
    ("cluster", "why"),
    [("tcp://127.0.0.1:9", "they were started with"), ("site", "the packages of their image")],
)
def test_workers_that_are_elsewhere_have_no_environment_of_ours(ws, cluster, why):
    ws.settings.clusters = {"site": {"kind": "gateway", "address": "http://127.0.0.1:9"}}
    with pytest.raises(Invalid, match=f"--env own doesn't go with --cluster {cluster}: .*{why}"):
        clusters.obtain(ws, cluster, environment="own")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each worker is started anew")
def test_workers_are_forked_from_one_process_that_imported_what_trials_need(standing):
    ws, cluster = standing
    host = _host(ws, cluster.name)
    with cluster.client() as client:
        clusters.scale(ws, cluster.name, 2)
        _until(lambda: len(client.ncores()) == 2)
        found = client.run(lambda: (os.getppid(), _loaded()))
    parents = {parent for parent, _ in found.values()}
    assert len(parents) == 1
    assert psutil.Process(parents.pop()).ppid() == host.pid
    # Before the first trial, and without what drives it.
    assert {loaded for _, loaded in found.values()} == {(True, False, False)}


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        ("import jupyter_mlops.experiments.driver.trial", {"pandas", "polars", "sqlalchemy"}),
        ("from jupyter_mlops.models import freeze", {"skops", "sklearn", "pandas"}),
    ],
)
def test_what_travels_with_a_trial_loads_little(code, heavy):
    told = f"import sys\n{code}\nprint(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _loaded():
    names = ("jupyter_mlops.experiments.driver.trial", "sqlalchemy", "optuna")
    return tuple(name in sys.modules for name in names)


def test_a_gateway_or_an_operator_that_fails_is_one_sentence(ws, monkeypatch):
    ws.settings.clusters = {
        "site": {"kind": "gateway", "address": "http://127.0.0.1:9"},
        "pods": {"kind": "kubernetes"},
    }
    for name, library in (("site", "dask-gateway"), ("pods", "dask-kubernetes")):
        with pytest.raises(Unavailable, match=rf"needs {library}; it isn't installed") as refused:
            clusters.obtain(ws, name)
        assert "\n" not in str(refused.value)
    # As its client behaves once the cluster behind it has failed.
    gateway = types.ModuleType("dask_gateway")
    gateway.Gateway = _Gateway
    monkeypatch.setitem(sys.modules, "dask_gateway", gateway)
    place = ("http://127.0.0.1:9", "82b7")
    found = Cluster("site", "gateway", "", "", "", 1, True, lambda: True, None, place)
    with pytest.raises(Unavailable, match="no way to its cluster 82b7: it is failed"):
        found.client()


class _Gateway(contextlib.nullcontext):
    def __init__(self, address, asynchronous):
        super().__init__(self)

    async def get_cluster(self, name):
        return types.SimpleNamespace(
            scheduler_address=None, security=None, status=types.SimpleNamespace(name="FAILED")
        )
