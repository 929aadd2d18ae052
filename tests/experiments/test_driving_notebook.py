"""A trial sees the notebook as its cells do: functions, objects, modules, files and notebooks."""

from __future__ import annotations

import json
import os
import random
import sys

import nbformat
import numpy as np
import pytest

from jupyter_mlops import experiments
from jupyter_mlops.experiments import clusters, driver
from jupyter_mlops.experiments.driver.ferrying import Carried
from jupyter_mlops.experiments.driver.shipments import pack
from jupyter_mlops.workspace import Conflict, Invalid

SHAPES = """
def area(side): return side * side
class Square:
    def __init__(self, side): self.side = side
    def size(self): return area(self.side)
def objective(suggest, report, trial):
    report(0, 3.0)
    return {"loss": suggest.float("x", 0, 1), "number": trial.number}
"""
NOTEBOOK = """
import shapes
from functools import partial
def outer(n): return inner(n)
def inner(n): return shapes.area(n)
def late(n):
    import beside
    return beside.twice(n)
class Trainer:
    def fit(self):
        report(0, 1.0)
        return suggest.int("k", 4, 4)
trainer = Trainer()
fitted = partial(lambda more: more + suggest.int("n", 5, 5), 1)
held = {"square": [shapes.Square(3)]}
"""


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    """The names of a notebook whose own modules lie beside it."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "shapes.py").write_text(SHAPES)
    (folder / "beside.py").write_text("import shapes\ndef twice(n): return 2 * shapes.area(n)\n")
    (folder / "offset.txt").write_text("100")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.chdir(folder)
    names: dict = {"__name__": "__main__"}
    exec(NOTEBOOK, names)
    yield names
    for name in ("shapes", "beside"):
        sys.modules.pop(name, None)


def test_what_functions_and_objects_of_the_notebook_use_goes_along(ws, experiment, notebook):
    found = experiment(
        "loss = outer(2) + late(1) + trainer.fit() + fitted() + held['square'][0].size()\n"
        "loss += int(open('offset.txt').read())",
        namespace=notebook,
        trials=2,
    )
    assert [one.metrics.get("loss") for one in found.trials] == [125.0, 125.0], found.trials[
        0
    ].error
    assert found.trials[0].params == {"k": 4, "n": 5}
    assert found.trials[0].curve == [[0, 1]]
    # What they are is sealed with the cell.
    modules = experiments.find_run(ws, found.best.ref).modules
    assert modules.keys() == {"beside", "shapes"}
    assert "trainer.fit" not in modules


def test_a_function_of_a_module_may_be_the_trial_and_asks_for_what_it_needs(experiment, notebook):
    import shapes

    found = experiment("", call=shapes.objective, namespace=notebook, trials=3)
    assert [one.metrics["number"] for one in found.trials] == [0, 1, 2]
    assert all(one.curve == [[0, 3]] for one in found.trials)


def test_a_replay_leaves_this_process_as_it_was(ws, experiment, notebook):
    found = experiment(
        "import random\nloss = outer(2) + random.random()", namespace=notebook, trials=2
    )
    random.seed(5)
    np.random.seed(5)
    before = (random.getstate(), np.random.get_state()[1].sum(), list(sys.path))
    mine = sys.modules["shapes"]
    assert driver.verify(ws, found.trials[1].ref).same
    assert (random.getstate(), np.random.get_state()[1].sum(), list(sys.path)) == before
    assert sys.modules["shapes"] is mine
    broken = experiment("import os\nloss = 1\nif again: os._exit(3)", trials=1,
                        namespace={"again": False})  # fmt: skip
    assert driver.verify(ws, broken.trials[0].ref).same


def test_a_notebook_that_fails_is_kept_as_far_as_it_ran(ws, experiment, tmp_path):
    cell = nbformat.v4.new_code_cell
    book = nbformat.v4.new_notebook(
        cells=[
            cell("rate = 0.5", metadata={"tags": ["parameters"]}),
            cell("print('rate is', rate)"),
            cell("raise ValueError('no convergence')"),
        ],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(book, tmp_path / "fit.ipynb")
    found = experiment(
        "loss = notebook(path, rate=0.25)['loss']",
        namespace={"path": str(tmp_path / "fit.ipynb")},
        trials=1,
    )
    one = found.trials[0]
    assert "cell 4 of fit.ipynb failed: ValueError: no convergence" in one.error
    kept = ws.artifacts.read_bytes(f"runs/{one.id}/fit.ipynb").decode()
    assert "rate is 0.25" in json.dumps(json.loads(kept)["cells"])


def test_workers_that_see_no_shared_disk_are_sent_the_variables(scheduler, tmp_path):
    from distributed import Client

    shipment = pack(tmp_path, {"values": np.arange(10_000.0)}, {})
    carried = Carried(str(shipment.folder))
    shipment.folder.rename(tmp_path / "elsewhere")

    def total(folder, dask_worker):
        from jupyter_mlops.experiments.driver.ferrying import carried_to
        from jupyter_mlops.experiments.driver.shipments import Shipment

        return float(Shipment.at(carried_to(dask_worker, folder)).load()["values"].sum())

    with Client(scheduler, set_as_default=False) as client:
        client.register_plugin(carried)
        told = client.run(total, carried.folder)
        assert list(told.values()) == [49_995_000.0] * 2
        client.unregister_worker_plugin(carried.name)
        with pytest.raises(Exception, match="variables are gone"):
            client.run(total, carried.folder)


@pytest.mark.parametrize(("there", "said"), [("0.0.1", "has jupyter-mlops 0.0.1"), ("", "lacks")])
def test_workers_that_cannot_run_trials_are_refused(ws, scheduler, monkeypatch, there, said):
    from jupyter_mlops.experiments.clusters import cluster as module

    here = os.getpid()

    def version(name):
        from importlib.metadata import PackageNotFoundError

        if os.getpid() == here:
            return "0.1.0"
        if not there:
            raise PackageNotFoundError(name)
        return there

    monkeypatch.setattr(module, "version", version)
    with pytest.raises(Conflict, match=r"workers of the scheduler at .+ can't run trials") as no:
        clusters.obtain(ws, scheduler)
    assert said in no.value.why
    assert "pip install jupyter-mlops==0.1.0" in no.value.fix


def test_data_that_does_not_fit_is_refused_before_it_is_read(ws, experiment, monkeypatch):
    import polars as pl

    from jupyter_mlops.experiments.driver import room

    monkeypatch.setattr(room, "_FEW", 1000)
    monkeypatch.setattr(room, "free_memory", lambda: 50_000)
    monkeypatch.setattr("jupyter_mlops.data.Table.pandas", lambda self: pytest.fail("was read"))
    with pytest.raises(Invalid, match=r"doesn't fit into memory: its 20,000 rows take about") as no:
        experiment("loss = len(data)", data=pl.DataFrame({"x": np.arange(20_000)}))
    assert "data query" in no.value.fix
    assert ws.events(limit=5) == []
