"""Leases on a real GPU: caps that hold, a worker a GPU, turns, and results equal to the CPU's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jupyter_mlops.experiments import clusters
from jupyter_mlops.experiments.gpus import count
from jupyter_mlops.experiments.gpus.caps import cap_memory
from jupyter_mlops.experiments.gpus.holders import gpus
from jupyter_mlops.experiments.gpus.leases import ask
from jupyter_mlops.workspace import Workspace

cupy = pytest.importorskip("cupy", reason="needs CuPy and a GPU", exc_type=ImportError)
WHO: dict[str, Any] = {"holder": "ana", "purpose": "test", "timeout": 60}


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        pytest.skip(f"no GPU here: {error}")
    if not count():
        pytest.skip("NVML tells of no GPU here")
    return Workspace.open(tmp_path / "work", create=True)


@pytest.fixture
def pool() -> Iterator[Any]:
    pool = cupy.get_default_memory_pool()
    yield pool
    pool.free_all_blocks()
    pool.set_limit(size=0)


def test_cupy_refuses_what_is_beyond_the_cap(place: Workspace, pool: Any) -> None:
    assert cap_memory("1GB", ["cupy"]) == {"cupy": 10**9}
    kept = cupy.empty(10**8, dtype="u1")
    with pytest.raises(cupy.cuda.memory.OutOfMemoryError):
        cupy.empty(2 * 10**9, dtype="u1")
    assert kept.nbytes == 10**8


CHILD = """
import cupy
cupy.empty(10**8, dtype="u1")
try:
    cupy.empty(2 * 10**9, dtype="u1")
except cupy.cuda.memory.OutOfMemoryError:
    print("refused")
"""


def test_a_child_with_a_lease_has_its_cap_from_the_start(place: Workspace) -> None:
    with ask(place, memory="1GB", **WHO) as lease:
        environ = os.environ | lease.environment()
        told = subprocess.check_output([sys.executable, "-c", CHILD], env=environ, text=True)
    assert told == "refused\n"


def test_a_cluster_has_a_worker_a_gpu(place: Workspace) -> None:
    pytest.importorskip("dask_cuda", reason="needs dask-cuda")
    # What this process has on the GPU, without a lease, would be in the way.
    code = f"""
import os
from jupyter_mlops.experiments import clusters
from jupyter_mlops.workspace import Workspace
ws = Workspace.open({str(place.root)!r})
found = clusters.obtain(ws, gpus=1)
with found.client() as client:
    seen = client.run(lambda: os.environ["CUDA_VISIBLE_DEVICES"].split(",")[0])
    sums = client.run(lambda: float(__import__("cupy").arange(10).sum()))
print(found.kind, len(set(seen.values())), set(sums.values()))
"""
    try:
        told = subprocess.check_output([sys.executable, "-c", code], text=True)
        here = len(gpus(place).claims)
    finally:
        for one in clusters.clusters(place):
            clusters.stop(place, one.name)
    assert told == f"cuda {here} {{45.0}}\n"
    assert here >= 1
    assert gpus(place).claims == ()


ESTIMATORS = """
import json, sys
import cupy, numpy as np
from sklearn import set_config
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
set_config(array_api_dispatch=True)
X, y = (np.asarray(one) for one in json.load(sys.stdin))
ridge = Ridge(alpha=0.5, solver="svd").fit(cupy.asarray(X), cupy.asarray(y))
assert isinstance(ridge.coef_, cupy.ndarray)
pca = PCA(n_components=3, svd_solver="full").fit(cupy.asarray(X))
print(json.dumps([cupy.asnumpy(ridge.coef_).tolist(),
                  cupy.asnumpy(pca.explained_variance_).tolist()]))
"""


def test_estimators_on_the_gpu_give_what_they_give_on_the_cpu(place: Workspace) -> None:
    from sklearn.decomposition import PCA
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(0)
    X = rng.normal(size=(2_000, 12))
    y = X @ rng.normal(size=12) + rng.normal(size=2_000)
    # SciPy reads the variable when it is imported.
    environ = os.environ | {"SCIPY_ARRAY_API": "1"}
    told = subprocess.check_output(
        [sys.executable, "-c", ESTIMATORS],
        env=environ, input=json.dumps([X.tolist(), y.tolist()]), text=True,
    )  # fmt: skip
    coefficients, variance = json.loads(told)
    ridge = Ridge(alpha=0.5, solver="svd").fit(X, y)
    np.testing.assert_allclose(coefficients, ridge.coef_, rtol=1e-8)
    pca = PCA(n_components=3, svd_solver="full").fit(X)
    np.testing.assert_allclose(variance, pca.explained_variance_, rtol=1e-8)


CONTENDER = """
import sys, time
from jupyter_mlops.experiments.gpus import count
from jupyter_mlops.experiments.gpus.leases import ask
from jupyter_mlops.workspace import Workspace
ws = Workspace.open(sys.argv[1])
memory = sys.argv[2]
with ask(ws, memory=memory, holder=sys.argv[3], purpose="test", timeout=100):
    begun = time.time()
    import cupy
    cupy.ones(10**8, dtype="u1").sum().get()
    time.sleep(0.5)
    cupy.get_default_memory_pool().free_all_blocks()
    print(begun, time.time())
"""


def test_two_who_want_most_of_a_gpu_take_turns(place: Workspace) -> None:
    from jupyter_mlops.experiments.gpus import devices

    # As many contenders as GPUs and one more: two at least must share one.
    size = str(int(min(one.total for one in devices()) * 0.6))
    crowd = [
        subprocess.Popen(
            [sys.executable, "-c", CONTENDER, str(place.root), size, f"p{n}"],
            stdout=subprocess.PIPE, text=True,
        )
        for n in range(count() + 1)
    ]  # fmt: skip
    spans = sorted(
        tuple(float(one) for one in child.communicate(timeout=200)[0].split()) for child in crowd
    )
    together = max(sum(begin <= at < end for begin, end in spans) for at, _ in spans)
    assert len(spans) == count() + 1
    assert together <= count()
