"""Training under a contract: data that breaks it stops, is told, or loses its bad rows."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from mlflow.models import Model

from experiments.workbench import Bench
from jupyter_mlops import data, experiments, models
from jupyter_mlops.experiments import sending
from jupyter_mlops.profiling import contracts
from jupyter_mlops.verbs.table import find
from jupyter_mlops.workspace import Invalid
from jupyter_mlops.workspace.tracking import tracking_client

BODY = """\
from sklearn.pipeline import make_pipeline
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression

X = data[["mean radius", "mean texture"]]
model = make_pipeline(SimpleImputer(), LogisticRegression()).fit(X, data["target"])
metrics = {"rows": len(data)}
"""
COLUMNS = ["mean radius", "mean texture", "target"]


@pytest.fixture
def guarded(bench: Bench) -> Bench:
    """A bench with the dataset `rows` and the contract `cancer` that was learnt from it."""
    frame: pd.DataFrame = bench.names["rows"][COLUMNS].copy()
    frame.loc[::20, "mean texture"] = None
    bench.names["rows"] = frame
    table = data.add(bench.ws, "rows", frame)
    made = contracts.learn(bench.ws, table, target="target")
    contracts.save(bench.ws, made.column("mean radius", lo=1, hi=60, max_outside=0), "cancer")
    return bench


def spoilt(bench: Bench) -> pd.DataFrame:
    frame: pd.DataFrame = bench.names["rows"].copy()
    frame.loc[[3, 5, 8], "mean radius"] = -1.0
    return frame


def test_data_that_keeps_the_contract_is_trained_on_and_the_run_knows_it(guarded: Bench) -> None:
    run = guarded.train(BODY, data="rows", target="target", contract="cancer")
    told = run.model["contract"]
    assert (told["ref"], told["kept"], told["removed"]) == ("contract:cancer@1", True, 0)
    assert told["digest"] == contracts.get(guarded.ws, "cancer@1").digest
    (finished,) = guarded.ws.events(kind="run.finished")
    assert "contract:cancer@1" in finished.inputs
    # A column that had gaps may be missing in a request, the others may not.
    required = {one["name"]: one["required"] for one in run.signature["inputs"]}
    assert required == {"mean radius": True, "mean texture": False}


def test_data_that_breaks_it_stops_before_the_body_runs(guarded: Bench) -> None:
    with pytest.raises(Invalid, match=r"breaks contract:cancer@1: column 'mean radius': 3 of 285"):
        guarded.train(BODY, data=spoilt(guarded), target="target", contract="cancer")
    assert "model" not in guarded.names
    assert not experiments.runs(guarded.ws)


def test_observed_it_is_trained_on_all_the_same_and_told(guarded: Bench) -> None:
    run = find("train")(
        guarded.ws,
        name="cancer",
        body=BODY,
        namespace=guarded.names,
        data=spoilt(guarded),
        contract="cancer",
        contract_mode="observe",
    )
    assert run.metrics["rows"] == 285
    assert not run.model["contract"]["kept"]
    assert "3 of 285 values lie outside" in run.notes[0]


def test_quarantine_leaves_the_bad_rows_out_and_makes_another_cell(guarded: Bench) -> None:
    frame = spoilt(guarded)
    modes = ("observe", "quarantine")
    seen, kept = (
        guarded.train(BODY, data=frame, seed=1, contract="cancer", contract_mode=mode)
        for mode in modes
    )
    assert (kept.metrics["rows"], kept.model["contract"]["removed"]) == (282, 3)
    assert "3 of 285 rows" in kept.notes[0]
    assert kept.cell != seen.cell


def test_quarantine_can_mend_no_missing_column(guarded: Bench) -> None:
    frame = spoilt(guarded).drop(columns="mean texture")
    with pytest.raises(Invalid, match="'mean texture': it is missing"):
        guarded.train(BODY, data=frame, contract="cancer", contract_mode="quarantine")


def test_a_model_that_needs_what_serving_lacks_is_told(guarded: Bench) -> None:
    made = contracts.get(guarded.ws, "cancer")
    contracts.save(guarded.ws, made.column("mean texture", absent_at="serving", type="text"))
    run = guarded.train(BODY, data="rows", contract="cancer", contract_mode="observe")
    notes = " ".join(run.notes)
    assert "which contract:cancer@2 says is absent at serving" in notes
    assert "'mean texture' is text in contract:cancer@2 and double in" in notes


def test_a_contract_without_data_to_check_is_refused(guarded: Bench) -> None:
    with pytest.raises(Invalid, match="needs the training data"):
        guarded.train(BODY, contract="cancer")


def test_a_registered_model_carries_its_contract_into_mlflow(
    guarded: Bench, tracked: Bench
) -> None:
    run = guarded.train(BODY, data="rows", target="target", contract="cancer")
    sending.send(guarded.ws, run.id)
    version = models.register(guarded.ws, experiments.find_run(guarded.ws, run), "tumour")
    carried = version.contract(guarded.ws)
    kept = contracts.get(guarded.ws, "cancer@1")
    assert carried is not None
    assert (carried.ref, carried.digest) == ("contract:cancer@1", kept.digest)
    folder = version.path(guarded.ws)
    assert json.loads((folder / "contract.json").read_text("utf-8"))["contract"] == "cancer"
    found = tracking_client(guarded.ws).get_model_version("tumour", "1")
    assert found.tags["jupyter_mlops.contract"] == f"contract:cancer@1 {kept.digest}"
    signature = Model.load(str(folder)).signature
    optional = {one.name for one in signature.inputs.inputs if not one.required}
    assert optional == {"mean texture"}
    (registered,) = guarded.ws.events(kind="model.registered")
    assert "contract:cancer@1" in registered.inputs
