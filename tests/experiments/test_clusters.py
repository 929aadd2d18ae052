"""Clusters are processes of their own: shared, found again, and gone without a trace."""

from __future__ import annotations

import os
import signal
import threading
import time

import psutil
import pytest

from jupyter_mlops.experiments import clusters
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import Conflict, Invalid, NotFound, Unavailable


@pytest.fixture
def cluster(ws):
    """One worker, started here; nothing of it is left afterwards."""
    found = clusters.obtain(ws, workers=1)
    yield found
    for one in clusters.clusters(ws):
        if one.status in {"running", "starting"}:
            clusters.stop(ws, one.name)


def _host(ws, name):
    return psutil.Process(int(clusters.held(ws, name).process.split(":")[1]))


def _gone(processes, seconds=3.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not any(one.is_running() and one.status() != "zombie" for one in processes):
            return True
        time.sleep(0.02)
    return False


def test_it_computes_outside_of_this_process_and_is_found_again(ws, cluster):
    with cluster.client() as client:
        assert client.submit(os.getpid).result() != os.getpid()
        assert client.submit(lambda: os.environ["OMP_NUM_THREADS"]).result()
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
        client.wait_for_workers(2, timeout=20)


def test_it_is_stopped_by_name_and_nothing_of_it_is_left(ws, cluster):
    host = _host(ws, cluster.name)
    below = host.children(recursive=True)
    assert clusters.stop(ws, cluster.name).status == "stopped"
    assert _gone([host, *below])
    assert not cluster.alive()
    assert "cluster.stopped" in [event.kind for event in ws.events()]


def test_when_its_process_is_killed_the_workers_go_too_and_the_store_learns_why(ws, cluster):
    host = _host(ws, cluster.name)
    below = host.children(recursive=True)
    host.send_signal(signal.SIGKILL)
    assert _gone([host, *below])
    assert not cluster.alive()
    told = clusters.clusters(ws)[0]
    assert told.status == "failed"
    assert "process ended" in told.reason
    with pytest.raises(Conflict):
        clusters.scale(ws, cluster.name, 2)


def test_two_who_ask_at_once_share_one(ws, cluster):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(clusters.obtain(ws, "auto", workers=1)))
        for _ in range(3)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert {one.address for one in found} == {cluster.address}


def test_it_ends_when_nobody_uses_it(ws):
    ws.settings.clusters = {"brief": {"kind": "local", "workers": 1, "idle_timeout": 1.0}}
    found = clusters.obtain(ws, "brief")
    assert _gone([_host(ws, found.name)], 10)
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
    assert time.monotonic() - began < 6


def test_a_cluster_that_needs_a_library_says_which(ws):
    ws.settings.clusters = {"site": {"kind": "jobqueue", "system": "SLURM", "workers": 1}}
    with pytest.raises(Unavailable) as refused:
        clusters.obtain(ws, "site")
    assert "dask-jobqueue" in refused.value.why


def test_gpus_that_are_not_there_are_refused(ws):
    with pytest.raises(Unavailable, match="this machine has none"):
        clusters.obtain(ws, gpus=True)


def test_a_scheduler_of_another_version_is_refused(ws, cluster, monkeypatch):
    from jupyter_mlops.experiments.clusters import cluster as module

    with cluster.client() as client:
        told = client.get_versions(check=False)
        told["scheduler"]["packages"]["distributed"] = "2020.1.0"
        monkeypatch.setattr(client, "get_versions", lambda check: told)
        with pytest.raises(Conflict) as refused:
            module.check_versions(client, cluster.address)
    assert "distributed 2020.1.0" in refused.value.why
