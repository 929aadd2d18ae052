"""One model trained by a whole cluster, scored and kept as one process predicts with it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_breast_cancer

from jupyter_mlops import models
from jupyter_mlops.experiments import Run, clusters, driver, training
from jupyter_mlops.experiments.environments import fitting
from jupyter_mlops.experiments.environments.uv import Uv
from jupyter_mlops.workspace import Invalid, Workspace

ROWS = "import dask.dataframe as dd\nrows = dd.from_pandas(train, npartitions=2)\n"
OWN = "own = float(log_loss(held['target'], model.predict_proba({held}[cols]).compute()))\n"
BODIES = {
    "XGBClassifier": ROWS
    + "from sklearn.metrics import log_loss\n"
    + "from xgboost import dask as dxgb\n"
    + "model = dxgb.DaskXGBClassifier(n_estimators=9, max_depth=3)\n"
    + "model.fit(rows[cols], rows['target'])\n"
    + OWN.format(held="dd.from_pandas(held, npartitions=1)"),
    "LGBMClassifier": ROWS
    + "from sklearn.metrics import log_loss\n"
    + "from lightgbm import DaskLGBMClassifier\n"
    + "model = DaskLGBMClassifier(n_estimators=9, client=client, verbose=-1)\n"
    + "model.fit(rows[cols], rows['target'])\n"
    + OWN.format(held="dd.from_pandas(held, npartitions=1)"),
    "XGBRegressor": ROWS
    + "from xgboost import dask as dxgb\n"
    + "told = dxgb.train(client, {}, dxgb.DaskDMatrix(client, rows[cols], rows['target']))\n"
    + "model = told['booster']\n"
    + "own = -1.0\n",
}
JOBLIB = """
import os
from joblib import Parallel, delayed
from sklearn.ensemble import RandomForestClassifier
model = RandomForestClassifier(8, n_jobs=-1, random_state=0).fit(train[cols], train["target"])
own = float(os.getpid() in Parallel(n_jobs=-1)(delayed(os.getpid)() for _ in range(4)))
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster of two workers that all tests use."""
    ws = Workspace.open(tmp_path_factory.mktemp("cluster"))
    found = clusters.obtain(ws, workers=2)
    yield found.address
    clusters.stop(ws, found.name)


@pytest.fixture
def names() -> dict[str, Any]:
    frame = load_breast_cancer(as_frame=True).frame
    return {
        "__name__": "__main__",
        "train": frame.iloc[::2].reset_index(drop=True),
        "held": frame.iloc[1::2].reset_index(drop=True),
        "cols": [one for one in frame if one != "target"],
    }


def _trained(ws: Workspace, address: str, body: str, names: dict[str, Any]) -> Run:
    asked = driver.Asked(
        metric=["own"], cluster=address, valid=names["held"], target="target", seed=1
    )
    return driver.train_on_cluster(ws, "wide", body, asked, names, models.freeze)


@pytest.fixture(autouse=True)
def _kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "send_later", lambda ws: None)


@pytest.mark.filterwarnings("ignore:Parameter n_jobs will be ignored")
@pytest.mark.parametrize("kind", BODIES)
def test_what_boosters_train_by_dask_is_kept_as_the_plain_model(
    ws: Workspace, address: str, names: dict[str, Any], kind: str
) -> None:
    run = _trained(ws, address, BODIES[kind], names)
    assert list(run.notes) == []
    assert run.has_model
    assert run.model["class"].endswith(f".{kind}")
    if "log_loss" in run.metrics:
        assert run.metrics["log_loss"] == pytest.approx(run.metrics["own"], rel=1e-6)
    else:
        assert run.metrics["r2"] > 0.7


def test_what_scikit_learn_does_in_parallel_is_done_by_the_workers(
    ws: Workspace, address: str, names: dict[str, Any]
) -> None:
    run = _trained(ws, address, JOBLIB, names)
    assert run.metrics["own"] == 0.0
    assert run.metrics["auc"] > 0.95


def test_an_environment_that_does_not_fit_is_refused_before_anything_starts(
    ws: Workspace, names: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "check_fits", lambda ws, name: ["numpy is 1 there and 2 here: …."])
    asked = driver.Asked(metric=["own"], environment="old")
    with pytest.raises(Invalid, match=r"environment 'old' can't run .*: numpy is 1 there"):
        driver.train_on_cluster(ws, "wide", JOBLIB, asked, names, models.freeze)
    assert len(clusters.clusters(ws)) == 0


OTHER = """
import sys
import array_api_strict as xp
import numpy as np
from sklearn import set_config
from jupyter_mlops import models
from jupyter_mlops.experiments import train, training
from jupyter_mlops.workspace import Workspace
training.send_later = lambda ws: None
set_config(array_api_dispatch=True)
rng = np.random.default_rng(0)
X = rng.normal(size=(80, 3))
y = X @ [1.0, 2.0, 3.0]
import pandas as pd
held = pd.DataFrame(X, columns=list("abc")).assign(y=y)
body = '''
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
model = make_pipeline(StandardScaler(), Ridge(solver="svd"))
model.fit(xp.asarray(X), xp.asarray(y))
there = type(model[-1].coef_).__module__
'''
names = {"__name__": "__main__", "X": X, "y": y, "xp": xp}
run = train(Workspace.open(sys.argv[1]), "there", body, freeze=models.freeze, namespace=names,
            valid=held, target="y", seed=1)
print(names["there"].partition(".")[0], run.has_model, run.metrics["r2"] > 0.99, *run.notes)
"""


def test_an_estimator_on_another_librarys_arrays_is_kept_with_numpys(
    ws: Workspace, tmp_path: Path
) -> None:
    """As those that CuPy's arrays were fitted with, for which a GPU is needed (tests/gpu)."""
    Uv.found().run(
        *("pip", "install", "--quiet", "--no-deps", "--python", sys.executable),
        *("--target", str(tmp_path / "packages"), "array-api-strict==2.4.1"),
    )
    path = f"{tmp_path / 'packages'}:{os.environ.get('PYTHONPATH', '')}"
    told = subprocess.check_output(
        [sys.executable, "-c", OTHER, str(ws.root)],
        env=os.environ | {"PYTHONPATH": path, "SCIPY_ARRAY_API": "1"},
        text=True,
    )
    assert told.splitlines()[-1] == "array_api_strict True True"
