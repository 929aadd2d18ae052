"""What a trial costs besides itself, and what survives, beside the usual ways to run many.

Usage: ``python benchmarks/experiments.py [overhead|fits|memory|storm|kills|first] …``, all of them
when none is named. Peers that are no part of this project run in another environment, whose Python
``--peers`` names::

    uv venv /tmp/peers
    uv pip install --python /tmp/peers/bin/python optuna "optuna-integration[dask]" \\
        distributed "ray[tune]"

Overhead is (wall - work / workers) * workers / trials.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WORKERS = 2
TRIALS, WORK = 200, 0.010

BUSY = f"""
import time
x = suggest.float("x", 0, 1)
y = suggest.float("y", 1e-4, 1, log=True)
n = suggest.int("n", 1, 9)
until = time.perf_counter() + {WORK}
while time.perf_counter() < until:
    pass
loss = (x - 0.3) ** 2 + y + n
"""


@contextmanager
def place(workers: int = WORKERS) -> Iterator[tuple[Any, Any]]:
    """A workspace of its own, and a warm cluster."""
    from jupyter_mlops.experiments import clusters
    from jupyter_mlops.workspace import Workspace

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        ws = Workspace.open(Path(folder) / "project")
        cluster = clusters.obtain(ws, "auto", workers=workers)
        try:
            run(ws, cluster, BUSY, trials=8, name="warm")
            yield ws, cluster
        finally:
            clusters.stop(ws, cluster.name)


def run(ws: Any, cluster: Any, body: str, *, name: str = "bench", **asked: Any) -> Any:
    """What the magic does."""
    from jupyter_mlops import models
    from jupyter_mlops.experiments import driver

    names = {"__name__": "__main__", **asked.pop("names", {})}
    given = {"metric": ["loss"], "seed": 1, "workers": WORKERS, **asked}
    begun = driver.launch(ws, name, body, driver.Asked(**given), names)
    return driver.drive(ws, begun, models.freeze)


def spread(wall: float, work: float, trials: int) -> float:
    """Milliseconds a trial that weren't work."""
    return (wall - work / WORKERS) * WORKERS / trials * 1000


def overhead(peers: str | None) -> None:
    """200 trials of 10 ms, TPE, 2 workers."""
    from jupyter_mlops.experiments import sending
    from jupyter_mlops.experiments.driver import driving

    # MLflow's part is measured by itself.
    driving.send_later = lambda ws: None
    print(f"{TRIALS} trials of {WORK * 1000:.0f} ms on {WORKERS} workers, TPE, ms a trial:")
    with place() as (ws, cluster):
        from jupyter_mlops.workspace.tracking import tracking_client

        tracking_client(ws).search_experiments()
        sending.send_all(ws)
        for sampler in ("tpe", "random"):
            started = time.perf_counter()
            run(ws, cluster, BUSY, trials=TRIALS, sampler=sampler, keep=0)
            wall = time.perf_counter() - started
            print(f"  ours, {sampler}, durable {spread(wall, TRIALS * WORK, TRIALS):27.1f}")
        started = time.perf_counter()
        sent = sending.send_all(ws)
        behind = (time.perf_counter() - started) / sent * 1000
        print(f"  MLflow follows (one writer, wall) {behind:18.1f}")
        usual = dask_and_mlflow(ws)
        print(f"  Dask + MLflow, a call a number {usual:21.1f}")
    if peers:
        for peer in ("dask_storage", "ray_tune"):
            found = subprocess.run(
                [peers, __file__, "--peer", peer], capture_output=True, text=True, timeout=900
            )
            said = found.stdout.strip() or found.stderr.strip().splitlines()[-1][:90]
            print(f"  {peer:33} {said:>18}")


def dask_and_mlflow(ws: Any) -> float:
    """Futures submitted at once, each of which logs to MLflow's SQLite call by call."""
    from distributed import Client, LocalCluster

    uri = f"sqlite:///{ws.root / 'peer.db'}"
    import mlflow

    client = mlflow.MlflowClient(uri)
    experiment = client.create_experiment("peer")
    with (
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as dask,
    ):
        dask.gather([dask.submit(_logged, uri, experiment, i, pure=False) for i in range(8)])
        started = time.perf_counter()
        futures = [dask.submit(_logged, uri, experiment, i, pure=False) for i in range(TRIALS)]
        dask.gather(futures)
        wall = time.perf_counter() - started
    return spread(wall, TRIALS * WORK, TRIALS)


def _logged(uri: str, experiment: str, i: int) -> float:
    import mlflow

    rng = random.Random(i)
    x, y, n = rng.random(), rng.random(), rng.randint(1, 9)
    until = time.perf_counter() + WORK
    while time.perf_counter() < until:
        pass
    client = mlflow.MlflowClient(uri)
    run = client.create_run(experiment)
    for name, value in {"x": x, "y": y, "n": n}.items():
        client.log_param(run.info.run_id, name, value)
    client.log_metric(run.info.run_id, "loss", (x - 0.3) ** 2 + y + n)
    client.set_terminated(run.info.run_id)
    return x


def dask_storage() -> None:
    """Optuna's own storage on Dask."""
    import optuna
    from distributed import Client, LocalCluster
    from optuna_integration.dask import DaskStorage

    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial: Any) -> float:
        x = trial.suggest_float("x", 0, 1)
        y = trial.suggest_float("y", 1e-4, 1, log=True)
        n = trial.suggest_int("n", 1, 9)
        until = time.perf_counter() + WORK
        while time.perf_counter() < until:
            pass
        return float((x - 0.3) ** 2 + y + n)

    with (
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        study = optuna.create_study(storage=DaskStorage())

        def some(many: int) -> list[Any]:
            return [client.submit(study.optimize, objective, n_trials=1, pure=False)
                    for _ in range(many)]  # fmt: skip

        client.gather(some(8))
        started = time.perf_counter()
        client.gather(some(TRIALS))
        print(f"{spread(time.perf_counter() - started, TRIALS * WORK, TRIALS):.1f}")


def ray_tune() -> None:
    """Ray Tune with its defaults; 40 trials, since it doesn't suit two cores."""
    from ray import tune

    def objective(config: dict[str, float]) -> dict[str, float]:
        until = time.perf_counter() + WORK
        while time.perf_counter() < until:
            pass
        return {"loss": (config["x"] - 0.3) ** 2 + config["y"] + config["n"]}

    space = {"x": tune.uniform(0, 1), "y": tune.loguniform(1e-4, 1), "n": tune.randint(1, 10)}
    tuner = tune.Tuner(objective, param_space=space, tune_config=tune.TuneConfig(num_samples=40))
    started = time.perf_counter()
    with open(os.devnull, "w") as quiet:  # noqa: PTH123
        saved, sys.stdout = sys.stdout, quiet
        tuner.fit()
        sys.stdout = saved
    print(f"{spread(time.perf_counter() - started, 40 * WORK, 40):.1f}")


FIT = """
from sklearn.ensemble import HistGradientBoostingClassifier
rate = suggest.float("rate", 0.01, 0.3, log=True)
leaves = suggest.int("leaves", 4, 64)
model = HistGradientBoostingClassifier(learning_rate=rate, max_leaf_nodes=leaves, max_iter=40)
model.fit(X, y)
loss = 1 - model.score(X[:2000], y[:2000])
"""


def fits(_: str | None) -> None:
    """60 real fits against the same fits one after the other in each of two processes.

    The first time no worker has kept a model before, which loads what writes its file; the warm
    figure is of the same workers again.
    """
    import numpy as np

    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 20))
    y = (X[:, 0] + X[:, 1] ** 2 + rng.normal(size=len(X)) > 1).astype(int)
    with place() as (ws, cluster):
        run(ws, cluster, FIT, trials=4, names={"X": X, "y": y}, keep=0, name="warm")
        for kind in ("first", "warm"):
            before = burnt(ws)
            started = time.perf_counter()
            found = run(ws, cluster, FIT, trials=60, names={"X": X, "y": y}, keep=1, name=kind)
            wall = time.perf_counter() - started
            work = sum(one.seconds or 0 for one in found.trials)
            own = sum(one.usage["cpu_seconds"] for one in found.trials)
            print(
                f"60 fits of {work / 60:.2f} s, the best model kept, {kind}: {wall:.1f} s, "
                f"{work / WORKERS / wall:.1%} of ideal; CPU {burnt(ws) - before:.1f} s, "
                f"{own:.1f} s of it the trials'"
            )


def burnt(ws: Any) -> float:
    """CPU seconds of this process and of the clusters that run."""
    import psutil

    from jupyter_mlops.experiments import clusters

    total = time.process_time()
    for one in clusters.clusters(ws):
        if one.status == "running":
            host = psutil.Process(int(one.process.rsplit(":", 2)[1]))
            for process in (host, *host.children(recursive=True)):
                told = process.cpu_times()
                total += told.user + told.system
    return total


def memory(_: str | None) -> None:
    """1 GB of data, 8 trials, 2 workers."""
    import numpy as np

    big = np.ones((1 << 27,))
    body = "import psutil, os\nx = suggest.float('x', 0, 1)\nloss = float(big.sum()) * x\n"
    body += "usage = psutil.Process().memory_full_info()\nmetrics = {'unique': usage.uss}\n"
    with place() as (ws, cluster):
        started = time.perf_counter()
        found = run(ws, cluster, body, trials=8, names={"big": big}, keep=0)
        wall = time.perf_counter() - started
    peak = max(one.usage["peak_bytes"] for one in found.trials) / 1e9
    own = max(one.metrics["unique"] for one in found.trials) / 1e9
    print(
        f"1.07 GB of data, 8 trials, 2 workers: peak {peak:.2f} GB a worker, of which its own "
        f"{own:.2f} GB; {wall:.1f} s"
    )


def storm(_: str | None) -> None:
    """64 trials at once on SQLite, ten times."""
    lost = errors = 0
    body = "x = suggest.float('x', 0, 1)\nloss = x\nmetrics = {'twice': 2 * x}\n"
    with place() as (ws, cluster):
        for _ in range(10):
            found = run(ws, cluster, body, trials=64, sampler="random", keep=0)
            errors += found.count("failed")
            lost += sum(one.metrics.get("twice") != 2 * one.params["x"] for one in found.trials)
            lost += 64 - len(found.trials)
        intact = ws.audit().intact
    print(
        f"64 trials at once, 10 times: {errors} errors, {lost} lost, event chain intact: {intact}"
    )


def first(_: str | None) -> None:
    """From the magic to the first trial that runs, on a cold and on a warm cluster."""
    from jupyter_mlops.experiments import clusters
    from jupyter_mlops.workspace import Workspace

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        ws = Workspace.open(Path(folder) / "project")
        body = "import time\nx = suggest.float('x', 0, 1)\nloss = time.time()\n"
        for kind in ("cold", "warm"):
            began = time.time()
            found = run(ws, None, body, trials=2, keep=0, name=kind)
            print(f"first trial runs after {found.trials[0].metrics['loss'] - began:.2f} s, {kind}")
        for one in clusters.clusters(ws):
            clusters.stop(ws, one.name)


# A process of its own, as a kernel that died is: who launched an experiment holds it.
LAUNCH = """
import json, sys
from jupyter_mlops.experiments import driver
from jupyter_mlops.workspace import Workspace
asked = driver.Asked(**json.loads(sys.argv[3]))
names = {"__name__": "__main__", "offset": 1}
print(driver.launch(Workspace.open(sys.argv[1]), "storm", sys.argv[2], asked, names))
"""
DRIVER = """
import sys
from jupyter_mlops import models
from jupyter_mlops.experiments import driver
from jupyter_mlops.workspace import Workspace
driver.drive(Workspace.open(sys.argv[1]), sys.argv[2], models.freeze)
"""


def victims(ws: Any, driver_pid: int) -> dict[str, list[int]]:
    """What can be killed right now."""
    import psutil

    from jupyter_mlops.experiments import clusters

    found: dict[str, list[int]] = {"driver": [driver_pid], "scheduler": [], "worker": []}
    for one in clusters.clusters(ws):
        if one.status == "running" and one.process:
            host = int(one.process.split(":")[1])
            try:
                below = psutil.Process(host).children(recursive=True)
            except psutil.Error:
                continue
            found["scheduler"].append(host)
            found["worker"] += [child.pid for child in below]
    return found


def kills(_: str | None, many: int = 100) -> None:
    """SIGKILL workers, the driver and the scheduler at random; go on until all is done."""
    from jupyter_mlops.experiments import clusters, driver
    from jupyter_mlops.experiments.studies import find_experiment
    from jupyter_mlops.workspace import Workspace

    rng = random.Random(0)
    body = "import time\nx = suggest.float('x', 0, 1)\ntime.sleep(0.3)\nloss = x + offset\n"
    asked = {"metric": ["loss"], "trials": 400, "seed": 5, "sampler": "random", "workers": WORKERS}
    killed: dict[str, int] = {"worker": 0, "driver": 0, "scheduler": 0}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        ws = Workspace.open(Path(folder) / "project")
        command = [sys.executable, "-c", LAUNCH, str(ws.root), body, json.dumps(asked)]
        begun = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        names = {"__name__": "__main__", "offset": 1}
        process, kind = None, ""
        started = time.perf_counter()
        while find_experiment(ws, begun).status != "finished":
            if time.perf_counter() - started > 3000:
                print("  not done after 3000 s")
                break
            if process is None or process.poll() is not None:
                process = subprocess.Popen([sys.executable, "-c", DRIVER, str(ws.root), begun],
                                           stderr=subprocess.DEVNULL)  # fmt: skip
            if sum(killed.values()) >= many:
                time.sleep(1)
                continue
            kind = kind or rng.choice(["worker", "worker", "worker", "driver", "scheduler"])
            living = victims(ws, process.pid)
            # Each kind is waited for: a driver that is killed while it starts has no workers.
            if not living[kind] or not living["worker"]:
                time.sleep(0.2)
                continue
            time.sleep(rng.uniform(0.0, 2.0))
            pid = rng.choice(living[kind])
            try:
                os.kill(pid, signal.SIGKILL)
                killed[kind] += 1
                kind = ""
            except ProcessLookupError:
                pass
        found = find_experiment(ws, begun)
        undisturbed = driver.launch(
            ws, "calm", body.replace("0.3", "0"), driver.Asked(**asked), names
        )
        from jupyter_mlops import models

        calm = driver.drive(ws, undisturbed, models.freeze)
        for one in clusters.clusters(ws):
            if one.status == "running":
                clusters.stop(ws, one.name)
        same = found.best is not None and found.best.metrics == calm.best.metrics
        numbers = [one.number for one in found.trials]
        print(
            f"{sum(killed.values())} kills ({killed}): {found.count('finished')} of 400 finished, "
            f"{found.count('failed')} failed, each once: {numbers == list(range(400))}; best as "
            f"undisturbed: {same}; chain intact: {ws.audit().intact}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parts = {"overhead": overhead, "fits": fits, "memory": memory, "storm": storm,
             "first": first, "kills": kills}  # fmt: skip
    parser.add_argument("parts", nargs="*", choices=[*parts, []], help="which; all when left out")
    parser.add_argument("--peers", metavar="PYTHON", help="one that has Optuna's Dask storage, Ray")
    parser.add_argument("--peer", choices=["dask_storage", "ray_tune"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peer:
        {"dask_storage": dask_storage, "ray_tune": ray_tune}[given.peer]()
        return
    for part in given.parts or parts:
        parts[part](given.peers)


if __name__ == "__main__":
    main()
