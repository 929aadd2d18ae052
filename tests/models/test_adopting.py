"""What was logged with MLflow's own tools becomes a version here, pinned by all its files."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import skops.io
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from experiments.workbench import Bench
from jupyter_mlops import models
from jupyter_mlops.agent.instances import _config
from jupyter_mlops.experiments.evidence import RunEvidence
from jupyter_mlops.models.gates import check, set_gates
from jupyter_mlops.models.waivers import waive, withdraw
from jupyter_mlops.serving.declaring import declare
from jupyter_mlops.serving.records import EndpointRecord
from jupyter_mlops.verbs.table import find
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import Denied, Invalid, NotFound
from jupyter_mlops.workspace.tracking import tracking_client

TABLE = pd.DataFrame({"a": np.arange(40.0) % 7, "b": np.arange(40.0) % 5})
TRUTH = (TABLE["a"] > TABLE["b"]).astype(int)


@pytest.fixture
def elsewhere(tracked: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Somebody else's session of MLflow, at the store that the workspace uses."""
    # MLflow keeps its address in the environment, too, where the next workspace would find it.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    mlflow.set_tracking_uri(tracking_client(tracked.ws).tracking_uri)
    mlflow.set_experiment("elsewhere")
    yield tracked
    mlflow.set_tracking_uri(None)


def logged(flavor: Any, model: Any, **more: Any) -> tuple[str, str]:
    """Log a model in a run; its run's id, and the logged model's."""
    options = {
        "signature": infer_signature(TABLE, TRUTH),
        "input_example": TABLE.head(2),
        "pip_requirements": ["scikit-learn"],
        **more,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with mlflow.start_run() as run:
            mlflow.log_metric("auc", 0.75)
            told = flavor.log_model(model, name="model", **options)
    return run.info.run_id, told.model_id


def fitted() -> LogisticRegression:
    return LogisticRegression().fit(TABLE, TRUTH)


class Rule(mlflow.pyfunc.PythonModel):
    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:
        return (model_input["a"] > model_input["b"]).astype(int).to_numpy()


def test_what_cannot_predict_is_told_and_nothing_is_registered(elsewhere: Bench) -> None:
    run_id, _ = logged(
        mlflow.sklearn,
        StandardScaler().fit(TABLE),
        serialization_format="skops",
        signature=infer_signature(TABLE, TABLE),
    )
    with pytest.raises(Invalid, match=r"a StandardScaler can't predict.*pyfunc_predict_fn"):
        models.adopt(elsewhere.ws, f"runs:/{run_id}/model", "scaled")
    assert tracking_client(elsewhere.ws).search_registered_models() == []


def test_a_runs_model_is_adopted_by_address_with_its_digest_and_event(elsewhere: Bench) -> None:
    ws = elsewhere.ws
    run_id, model_id = logged(mlflow.sklearn, fitted(), serialization_format="skops")
    register = find("register")
    version = register(ws, run=f"runs:/{run_id}/model", name="delay", alias="champion")
    assert (version.label, version.aliases) == ("delay@1", ("champion",))
    assert version.task == "binary"
    assert version.features == ("a", "b")
    assert version.metrics == {"auc": 0.75}
    (event,) = ws.events(kind="model.registered")
    assert event.payload["digest"] == version.digest
    assert event.payload["from"] == f"runs:/{run_id}/model"
    np.testing.assert_array_equal(models.load(ws, version).predict(TABLE), fitted().predict(TABLE))
    # By any of its addresses it is the same version.
    for uri in (f"models:/{model_id}", "models:/delay/1", "models:/delay@champion"):
        assert register(ws, run=uri, name="delay").version == 1
    assert len(ws.events(kind="model.registered")) == 1
    assert "trained elsewhere" in mimebundle(version)["text/plain"]


def test_a_version_of_mlflows_registry_keeps_its_number(elsewhere: Bench) -> None:
    ws, client = elsewhere.ws, tracking_client(elsewhere.ws)
    client.create_registered_model("legacy")
    for _ in range(2):
        _, model_id = logged(mlflow.sklearn, fitted(), serialization_format="skops")
        source = client.get_logged_model(model_id).artifact_location
        client.create_model_version("legacy", source, model_id=model_id)
    assert models.adopt(ws, "models:/legacy/2", "legacy").label == "legacy@2"
    # Under another name it is a new version, of the same files.
    other = models.adopt(ws, "models:/legacy/2", "modern")
    assert other.label == "modern@1"
    assert other.digest == models.get(ws, "legacy@2").digest
    # Files that change in MLflow afterwards are no longer that version.
    place = Path(source.removeprefix("file://")) / "requirements.txt"
    place.write_text("other\n")
    with pytest.raises(Invalid, match="legacy@2 was registered with other files"):
        models.adopt(ws, "models:/legacy/2", "legacy")


def test_what_lacks_a_signature_or_an_example_is_told_the_line_to_write(elsewhere: Bench) -> None:
    ws = elsewhere.ws
    run_id, _ = logged(mlflow.sklearn, fitted(), serialization_format="skops", signature=None,
                       input_example=None)  # fmt: skip
    with pytest.raises(Invalid, match=r"has no signature.*signature=infer_signature"):
        models.adopt(ws, f"runs:/{run_id}/model", "delay")
    run_id, _ = logged(mlflow.sklearn, fitted(), serialization_format="skops", input_example=None)
    with pytest.raises(Invalid, match=r"has no input example.*input_example=X\.head"):
        models.adopt(ws, f"runs:/{run_id}/model", "delay")
    assert not ws.events(kind="model.registered")


def test_code_takes_a_waiver_which_is_looked_at_again_at_each_start(elsewhere: Bench) -> None:
    ws = elsewhere.ws
    run_id, _ = logged(mlflow.pyfunc, None, python_model=Rule(), pip_requirements=["mlflow"])
    uri = f"runs:/{run_id}/model"
    with pytest.raises(Denied, match="loading the model of rule may run any code"):
        models.adopt(ws, uri, "rule")
    waive(ws, "rule", "a rule that ada read")
    version = models.adopt(ws, uri, "rule")
    assert version.task == "any"
    (event,) = ws.events(kind="model.registered")
    assert event.payload["hazard"] == "it is Python code and pickled objects"
    with pytest.raises(Denied, match="may run any code"):
        models.load(ws, version)  # not in a kernel

    def started() -> bool:
        with ws.read() as session:
            row = session.get_one(EndpointRecord, "rule")
            return _config(ws, row, 0, None, None).primary.pickles

    declare(ws, version)
    assert started()
    withdraw(ws, "rule")
    assert not started()
    with pytest.raises(Denied, match="no waiver is recorded"):
        declare(ws, version, port=9999)


def test_types_that_nobody_reviewed_take_a_waiver_too(elsewhere: Bench) -> None:
    """MLmodel's own list of trusted types is not asked."""
    ws = elsewhere.ws
    model = make_pipeline(FunctionTransformer(pd.isna), LogisticRegression()).fit(TABLE, TRUTH)
    told = skops.io.get_untrusted_types(data=skops.io.dumps(model))
    assert told
    options = {"serialization_format": "skops", "skops_trusted_types": told}
    run_id, _ = logged(mlflow.sklearn, model, **options)
    with pytest.raises(Denied, match="which nobody has reviewed"):
        models.adopt(ws, f"runs:/{run_id}/model", "delay")


def test_an_address_that_means_nothing_says_so(elsewhere: Bench) -> None:
    ws = elsewhere.ws
    with pytest.raises(NotFound, match="MLflow has no model models:/none/1"):
        models.adopt(ws, "models:/none/1", "delay")
    with pytest.raises(Invalid, match="isn't an address"):
        models.adopt(ws, "models:/a/b/c", "delay")


def test_gates_cards_and_comparisons_know_that_it_was_trained_elsewhere(elsewhere: Bench) -> None:
    ws = elsewhere.ws
    for model in (fitted(), LogisticRegression(C=0.1).fit(TABLE, TRUTH)):
        run_id, _ = logged(mlflow.sklearn, model, serialization_format="skops")
        models.adopt(ws, f"runs:/{run_id}/model", "delay")
    set_gates(ws, "delay", "auc > 0.7; verified; latency.p50 < 10s")
    lines = {line.name: line for line in check(ws, "delay", RunEvidence(ws)).lines}
    assert [line.verdict for line in lines.values()] == ["pass", "unknown", "pass"]
    assert "trained elsewhere" in lines["verified"].reason
    card = find("card")(ws, model="delay")
    assert [(one.metric, one.value) for one in card.figures] == [("auc", 0.75)]
    mimebundle(card)
    compared = find("models compare")(ws, a="delay@1", b="delay@2")
    assert compared.metrics[0].a == 0.75
    with pytest.raises(Denied, match="has gates"):
        models.adopt(ws, f"runs:/{run_id}/model", "delay", alias="champion")
