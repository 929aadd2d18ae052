"""Models and memory on a real GPU: what is fitted there is kept, who takes too much is ended."""

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
from jupyter_mlops.experiments.gpus import count, devices
from jupyter_mlops.experiments.gpus.holders import gpus
from jupyter_mlops.experiments.gpus.leases import ask
from jupyter_mlops.experiments.gpus.watching import watch
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
    return Workspace.open(tmp_path / "work", create=True, gpu_grace=0.0)


ESTIMATORS = """
import json, sys
import numpy as np
import {library} as xp
from sklearn import set_config
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
from sklearn.mixture import GaussianMixture
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from jupyter_mlops.experiments.plainmodels import plain

ESTIMATORS = [
    (make_pipeline(StandardScaler(), Ridge(solver="svd")), "amount"),
    (RidgeCV(), "amount"),
    (LogisticRegression(), "kind"),
    (LinearDiscriminantAnalysis(), "kind"),
    (GaussianNB(), "kind"),
    (GaussianMixture(2, init_params="random", random_state=0), None),
]
rows = {{name: np.asarray(one) for name, one in json.load(sys.stdin).items()}}
set_config(array_api_dispatch=True)
for estimator, target in ESTIMATORS:
    truth = () if target is None else (xp.asarray(rows[target]),)
    estimator.fit(xp.asarray(rows["X"]), *truth)
    found = getattr(estimator, "predict_proba", estimator.predict)(xp.asarray(rows["X"]))
    assert type(found).__module__.partition(".")[0] == "{library}"
    # What is kept of it predicts the same without a GPU.
    kept = plain(estimator)
    with_numpy = getattr(kept, "predict_proba", kept.predict)(rows["X"])
    print(json.dumps(np.asarray(with_numpy, dtype=float).tolist()))
"""


def told_by(library: str, rows: dict[str, np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
    """What each estimator predicts that a process of its own fitted with that library's arrays."""
    # SciPy reads the variable when it is imported.
    told = subprocess.check_output(
        [sys.executable, "-W", "ignore", "-c", ESTIMATORS.format(library=library)],
        env=os.environ | {"SCIPY_ARRAY_API": "1"},
        input=json.dumps({name: one.tolist() for name, one in rows.items()}),
        text=True,
    )
    return [np.asarray(json.loads(line)) for line in told.splitlines()]


def test_each_estimator_gives_on_the_gpu_what_it_gives_on_the_cpu(place: Workspace) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 6))
    amount = X @ rng.normal(size=6) + rng.normal(size=500)
    rows = {"X": X, "amount": amount, "kind": (amount > 0).astype(int)}
    there, here = told_by("cupy", rows), told_by("numpy", rows)
    assert len(there) == len(here) == 6
    for one, other in zip(there, here, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


ONE_MODEL = """
import sys
import cupy, pandas as pd
from sklearn import set_config
from jupyter_mlops import models
from jupyter_mlops.experiments import clusters, driver, training
from jupyter_mlops.workspace import Workspace
training.send_later = lambda ws: None
set_config(array_api_dispatch=True)
rng = cupy.random.default_rng(0)
X = rng.normal(size=(2_000, 3))
y = X @ cupy.asarray([1.0, 2.0, 3.0])
held = pd.DataFrame(cupy.asnumpy(X), columns=list("abc")).assign(y=cupy.asnumpy(y))
body = '''
from sklearn.linear_model import Ridge
model = Ridge(solver="svd").fit(X, y)
there = float(type(model.coef_).__module__.startswith("cupy"))
'''
ws = Workspace.open(sys.argv[1])
asked = driver.Asked(metric=["there"], valid=held, target="y", seed=1, workers=1)
names = {"__name__": "__main__", "X": X, "y": y}
run = driver.train_on_cluster(ws, "there", body, asked, names, models.freeze)
print(run.metrics["there"], run.has_model, run.metrics["r2"] > 0.999, *run.notes)
"""


def test_one_model_on_a_gpu_is_scored_and_kept(place: Workspace) -> None:
    try:
        told = subprocess.check_output(
            [sys.executable, "-c", ONE_MODEL, str(place.root)],
            env=os.environ | {"SCIPY_ARRAY_API": "1"},
            text=True,
        )
    finally:
        for one in clusters.clusters(place):
            clusters.stop(place, one.name)
    assert told.splitlines()[-1] == "1.0 True True"


POOL = """
import os, sys
from jupyter_mlops.experiments import clusters
from jupyter_mlops.workspace import Workspace

def look():
    import cupy, rmm
    kept = cupy.empty(10**8, dtype="u1")
    pool = type(rmm.mr.get_current_device_resource()).__name__
    own = cupy.get_default_memory_pool().total_bytes()
    return pool, own, "JUPYTER_MLOPS_CLUSTER_WORKER" in os.environ

found = clusters.obtain(Workspace.open(sys.argv[1]), gpus=1)
with found.client() as client:
    print(*{str(one) for one in client.run(look).values()})
"""


def test_workers_of_a_gpu_cluster_draw_on_rmms_pool_and_are_tethered(place: Workspace) -> None:
    pytest.importorskip("dask_cuda", reason="needs dask-cuda")
    pytest.importorskip("rmm", reason="needs RMM")
    try:
        told = subprocess.check_output([sys.executable, "-c", POOL, str(place.root)], text=True)
    finally:
        for one in clusters.clusters(place):
            clusters.stop(place, one.name)
    # CuPy's own pool stays empty: what it allocates is RMM's.
    assert told == "('PoolMemoryResource', 0, True)\n"


CAPPED = {
    "rmm": """
import rmm
rmm.DeviceBuffer(size=10**8)
try:
    rmm.DeviceBuffer(size=2 * 10**9)
except MemoryError:
    print("refused")
""",
    "torch": """
import torch
torch.empty(10**8, dtype=torch.uint8, device="cuda")
try:
    torch.empty(2 * 10**9, dtype=torch.uint8, device="cuda")
except torch.cuda.OutOfMemoryError:
    print("refused")
""",
}


@pytest.mark.parametrize("framework", CAPPED)
def test_a_framework_that_is_imported_later_has_the_leases_cap(
    place: Workspace, framework: str
) -> None:
    pytest.importorskip(framework, reason=f"needs {framework}")
    code = "from jupyter_mlops.experiments.gpus.caps import cap_on_import\ncap_on_import()\n"
    with ask(place, memory="1GB", **WHO) as lease:
        told = subprocess.check_output(
            [sys.executable, "-c", code + CAPPED[framework]],
            env=os.environ | lease.environment(),
            text=True,
        )
    assert told == "refused\n"


GREEDY = """
import sys, time
from jupyter_mlops.experiments.gpus import pulse
from jupyter_mlops.experiments.gpus.leases import ask
from jupyter_mlops.workspace import Workspace
with ask(Workspace.open(sys.argv[1]), memory="1GB", holder="bo", purpose="test", timeout=60) as it:
    pulse.drop(it.id)  # the test looks at it, and nobody else
    import cupy
    kept = cupy.zeros(4 * 10**9, dtype="u1")
    cupy.cuda.Device().synchronize()
    print("taken", flush=True)
    time.sleep(300)
"""


@pytest.fixture
def greedy(place: Workspace) -> Iterator[subprocess.Popen[str]]:
    """A process with four times the memory of its lease, which no framework was told."""
    command = [sys.executable, "-c", GREEDY, str(place.root)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "taken\n"
    yield process
    process.kill()
    process.communicate()


def test_who_takes_more_than_its_lease_is_told_then_ended(
    place: Workspace, greedy: subprocess.Popen[str]
) -> None:
    if not any(one.processes.get(greedy.pid) for one in devices()):
        pytest.skip("the driver doesn't tell what the processes of this container hold")
    assert watch(place) == 0
    (claim,) = gpus(place).claims
    assert claim.excess is not None
    assert claim.excess.process == greedy.pid
    assert claim.excess.used > 4 * 10**9
    assert watch(place) == 1
    assert greedy.wait(60) != 0
    assert gpus(place).claims == ()
    assert [one.kind for one in place.events()].count("gpu.stopped") == 1
