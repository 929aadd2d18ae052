"""ONNX from the cell to the endpoint, to MLflow's loader and to Triton's bundle."""

from __future__ import annotations

from pathlib import Path

import mlflow
import numpy as np
import onnxruntime
import pandas as pd
import pytest

from experiments.workbench import Bench
from jupyter_mlops import experiments, models
from jupyter_mlops.experiments import sending
from jupyter_mlops.serving import exporting
from jupyter_mlops.serving.batching import Rows
from jupyter_mlops.serving.model_process import Task
from jupyter_mlops.serving.modelfile import read_model_file
from jupyter_mlops.serving.workers import start
from jupyter_mlops.workspace import Unavailable

CLASSIFIER = """\
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression
from jupyter_mlops.models import OnnxClassifier

X = rows.drop(columns="target")
source = LogisticRegression(max_iter=500).fit(X.to_numpy(), rows["target"])
graph = to_onnx(source, X.to_numpy()[:1], options={"zipmap": False}, target_opset=17)
model = OnnxClassifier(graph.SerializeToString(), list(X.columns), source.classes_.tolist())
"""
NUMBERS = """\
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from jupyter_mlops.models import OnnxModel

X = rows.drop(columns="target")
source = make_pipeline(
    make_column_transformer((StandardScaler(), list(X.columns))),
    GradientBoostingRegressor(n_estimators=10, random_state=0),
).fit(X, rows["target"])
types = [(name, FloatTensorType([None, 1])) for name in X.columns]
graph = to_onnx(source, initial_types=types, target_opset=17)
model = OnnxModel(graph.SerializeToString(), list(X.columns))
"""


def registered(bench: Bench, body: str, **options: object) -> models.ModelVersion:
    run = bench.scored(body, name="delay", **options)
    assert run.has_model, run.notes
    sending.send(bench.ws, run.id)
    return models.register(bench.ws, experiments.find_run(bench.ws, run), "delay")


def answered(bench: Bench, version: models.ModelVersion, rows: pd.DataFrame) -> dict[str, object]:
    """What an endpoint's model process answers to rows."""
    import asyncio

    folder = version.path(bench.ws)
    file = read_model_file(folder)
    inputs = {field.name: rows[field.name].to_numpy() for field in file.fields}
    asked = Rows(len(rows), inputs)
    worker = start(Task(str(folder), version.digest))
    message = {"counts": [asked.count], "requests": ["one"], "columns": inputs}
    try:
        return asyncio.run(worker.ask(message, 60.0))
    finally:
        worker.close()


def test_a_classifier_in_onnx_answers_as_what_it_was_converted_from(
    tracked: Bench, tmp_path: Path
) -> None:
    version = registered(tracked, CLASSIFIER)
    source, rows = tracked.names["source"], tracked.names["held_out"].drop(columns="target")
    folder = version.path(tracked.ws)
    assert (folder / "model.onnx").is_file()
    assert "onnxruntime" in (folder / "requirements.txt").read_text()
    expected = source.predict_proba(rows.to_numpy())
    answer = answered(tracked, version, rows)
    np.testing.assert_allclose(answer["probability"], expected[:, 1], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(answer["prediction"], source.predict(rows.to_numpy()))
    again = models.load(tracked.ws, version)
    np.testing.assert_allclose(again.predict_proba(rows), expected, rtol=1e-4, atol=1e-6)
    # Triton's repository holds the same graph, and answers the same.
    found = exporting.export(tracked.ws, version, "triton", tmp_path / "out")
    assert "the model's own file" in found.notes[0]
    (graph,) = (tmp_path / "out").rglob("model.onnx")
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    labels, probabilities = session.run(None, {"X": rows.to_numpy(np.float64)})
    np.testing.assert_array_equal(labels, source.predict(rows.to_numpy()))
    np.testing.assert_allclose(probabilities, expected, rtol=1e-4, atol=1e-6)


def test_numbers_from_an_input_for_each_column(
    tracked: Bench, diabetes: dict[str, pd.DataFrame]
) -> None:
    tracked.names |= diabetes
    version = registered(tracked, NUMBERS, valid=diabetes["held_out"])
    source, rows = tracked.names["source"], diabetes["held_out"].drop(columns="target")
    answer = answered(tracked, version, rows)
    np.testing.assert_allclose(answer["prediction"], source.predict(rows), rtol=1e-4)


def test_a_model_of_scikit_learn_becomes_a_bundle_for_triton_that_answers_alike(
    tracked: Bench, tmp_path: Path
) -> None:
    body = "from sklearn.linear_model import LogisticRegression\n" + (
        'X = rows.drop(columns="target")\n'
        'model = LogisticRegression(max_iter=500).fit(X, rows["target"])\n'
    )
    version = registered(tracked, body)
    found = exporting.export(tracked.ws, version, "triton", tmp_path / "out")
    assert any("differ by" in note for note in found.notes)
    (graph,) = (tmp_path / "out").rglob("model.onnx")
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    rows = tracked.names["held_out"].drop(columns="target")
    kinds = {"tensor(double)": np.float64, "tensor(float)": np.float32}
    (one,) = session.get_inputs()
    given = {one.name: rows.to_numpy(kinds[one.type])}
    labels, probabilities = session.run(None, given)
    source = tracked.names["model"]
    np.testing.assert_array_equal(labels, source.predict(rows))
    np.testing.assert_allclose(probabilities, source.predict_proba(rows), rtol=1e-3, atol=1e-5)


def test_what_is_no_graph_says_so() -> None:
    with pytest.raises(Unavailable, match="ONNX Runtime can't read the model"):
        models.OnnxModel(b"no graph", ["a"])


def test_mlflows_own_loader_opens_what_is_registered_here(tracked: Bench) -> None:
    version = registered(tracked, CLASSIFIER)
    rows = tracked.names["held_out"].drop(columns="target").head(5)
    folder = str(version.path(tracked.ws))
    graph = mlflow.onnx.load_model(folder)
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    labels = session.run(["label"], {"X": rows.to_numpy()})[0]
    np.testing.assert_array_equal(labels, tracked.names["source"].predict(rows.to_numpy()))
    assert mlflow.pyfunc.load_model(folder).loader_module == "mlflow.onnx"
