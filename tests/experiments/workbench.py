"""A workspace with a few cells to run in it, as a notebook would."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

from jupyter_mlops import experiments, models
from jupyter_mlops.experiments import Run, driver, training
from jupyter_mlops.experiments.studies import Experiment
from jupyter_mlops.workspace import Workspace
from jupyter_mlops.workspace.tracking import tracking_client

LOGISTIC = """\
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

X = rows.drop(columns="target")
model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, rows["target"])
"""
FOREST = """\
from sklearn.ensemble import RandomForestClassifier

X = rows.drop(columns="target")
model = RandomForestClassifier(10, max_depth=4).fit(X, rows["target"])
"""


@dataclass
class Bench:
    """A kernel's names, and the verb that runs a cell in them."""

    ws: Workspace
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})

    def train(self, body: str, name: str = "cancer", **options: Any) -> Run:
        return experiments.train(
            self.ws, name, body, freeze=models.freeze, namespace=self.names, **options
        )

    def scored(self, body: str = LOGISTIC, name: str = "cancer", **options: Any) -> Run:
        """Train on the odd rows and score on the even ones."""
        options = {"target": "target", "valid": self.names["held_out"], "seed": 1, **options}
        return self.train(body, name, **options)


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "project")


@pytest.fixture
def bench(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Runs stay in the outbox unless a test sends them."""
    monkeypatch.setattr(training, "send_later", lambda ws: None)
    frame = load_breast_cancer(as_frame=True).frame
    return Bench(ws, {"__name__": "__main__", **split(frame)})


def split(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {
        "rows": frame.iloc[::2].reset_index(drop=True),
        "held_out": frame.iloc[1::2].reset_index(drop=True),
    }


@pytest.fixture
def iris() -> dict[str, pd.DataFrame]:
    return split(load_iris(as_frame=True).frame)


@pytest.fixture
def diabetes() -> dict[str, pd.DataFrame]:
    return split(load_diabetes(as_frame=True).frame)


@pytest.fixture(scope="session")
def mlflow_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's empty database, made once: that takes it seconds."""
    first = Workspace.open(tmp_path_factory.mktemp("mlflow"))
    tracking_client(first).search_experiments()
    path = first.home / "mlflow.db"
    with closing(sqlite3.connect(path)) as connection:
        # Into the one file that is copied.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.fixture
def tracked(bench: Bench, mlflow_database: Path) -> Bench:
    """A bench whose MLflow database is there already."""
    shutil.copy(mlflow_database, bench.ws.home)
    return bench


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Two workers that all tests of a file share."""
    import dask
    from distributed import LocalCluster

    settings = {
        "distributed.scheduler.allowed-failures": 0,
        "distributed.deploy.lost-worker-timeout": "1000h",
        "distributed.comm.timeouts.connect": "5s",
    }
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
        ) as cluster,
    ):
        yield cluster.scheduler_address


@pytest.fixture
def experiment(
    ws: Workspace, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Experiment]:
    """What the magic does, on the shared workers; runs stay in the outbox."""
    from jupyter_mlops.experiments.driver import driving

    monkeypatch.setattr(driving, "send_later", lambda ws: None)
    names: dict[str, Any] = {"__name__": "__main__"}

    def run(
        body: str,
        name: str = "square",
        *,
        namespace: dict[str, Any] | None = None,
        watch: Any = None,
        **asked: Any,
    ) -> Experiment:
        asked = {"metric": ["loss"], "trials": 6, "seed": 1, "sampler": "random",
                 "cluster": scheduler, **asked}  # fmt: skip
        names.update(namespace or {})
        begun = driver.launch(ws, name, body, driver.Asked(**asked), names)
        return driver.drive(ws, begun, models.freeze, watch)

    return run
