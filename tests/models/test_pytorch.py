"""Networks of PyTorch, which are kept as ONNX; skipped where PyTorch isn't installed."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments.workbench import Bench
from jupyter_mlops import experiments, models
from jupyter_mlops.experiments import sending
from jupyter_mlops.models.freezing import freeze
from jupyter_mlops.serving.model_process import Task
from jupyter_mlops.serving.modelfile import read_model_file
from jupyter_mlops.serving.workers import start
from jupyter_mlops.workspace import Denied, Invalid

torch = pytest.importorskip("torch", reason="PyTorch takes gigabytes, and isn't installed here")
pytest.importorskip("onnxscript", reason="PyTorch's exporter to ONNX isn't installed here")

BODY = """\
import torch
from jupyter_mlops.models import {kind}

X = rows.drop(columns="target")
torch.manual_seed(0)
given = torch.tensor(X.to_numpy(), dtype=torch.float32)
middle, spread = given.mean(0), given.std(0)

class Scaled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("middle", middle)
        self.register_buffer("spread", spread)
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(X.shape[1], 8), torch.nn.ReLU(), torch.nn.Dropout(0.5),
            torch.nn.Linear(8, {outputs}),
        )
    def forward(self, rows):
        return self.layers((rows - self.middle) / self.spread)

net = Scaled()
truth = torch.tensor(rows["target"].to_numpy())
optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
for _ in range(60):
    optimizer.zero_grad()
    loss = {loss}
    loss.backward()
    optimizer.step()
model = {kind}(net, list(X.columns){classes})
"""
CASES = {
    "binary": {
        "kind": "TorchClassifier",
        "outputs": 1,
        "classes": ", [0, 1]",
        "loss": "torch.nn.functional.binary_cross_entropy_with_logits("
        "net(given).reshape(-1), truth.float())",
    },
    "multiclass": {
        "kind": "TorchClassifier",
        "outputs": 3,
        "classes": ", sorted(rows['target'].unique().tolist())",
        "loss": "torch.nn.functional.cross_entropy(net(given), truth)",
    },
    "regression": {
        "kind": "TorchModel",
        "outputs": 1,
        "classes": "",
        "loss": "((net(given).reshape(-1) - truth.float()) ** 2).mean()",
    },
}


def answered(bench: Bench, version: models.ModelVersion, rows: pd.DataFrame) -> dict[str, Any]:
    folder = version.path(bench.ws)
    fields = read_model_file(folder).fields
    columns = {field.name: rows[field.name].to_numpy() for field in fields}
    worker = start(Task(str(folder), version.digest))
    try:
        return asyncio.run(
            worker.ask({"counts": [len(rows)], "requests": ["one"], "columns": columns}, 60.0)
        )
    finally:
        worker.close()


@pytest.mark.parametrize("task", CASES)
def test_a_network_of_a_cell_is_registered_and_served_without_pytorch(
    tracked: Bench,
    iris: dict[str, pd.DataFrame],
    diabetes: dict[str, pd.DataFrame],
    task: str,
) -> None:
    tracked.names |= {"multiclass": iris, "regression": diabetes}.get(task, {})
    held_out = tracked.names["held_out"]
    run = tracked.scored(BODY.format(**CASES[task]), name="net", valid=held_out)
    assert run.has_model, run.notes
    sending.send(tracked.ws, run.id)
    version = models.register(tracked.ws, experiments.find_run(tracked.ws, run), "net")
    assert version.task == task
    assert (version.path(tracked.ws) / "model.onnx").is_file()
    rows, model = held_out.drop(columns="target"), tracked.names["model"]
    answer = answered(tracked, version, rows)
    if task == "regression":
        np.testing.assert_allclose(answer["prediction"], model.predict(rows), rtol=1e-3, atol=1e-3)
        return
    expected = model.predict_proba(rows)
    assert expected.std() > 0.1
    expected = expected[:, 1] if task == "binary" else expected
    np.testing.assert_allclose(answer["probability"], expected, rtol=1e-3, atol=1e-4)
    assert np.mean(answer["prediction"] == model.predict(rows)) > 0.99


def test_training_goes_on_as_before_it_was_kept() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Dropout(0.5), torch.nn.Linear(4, 1))
    assert freeze(models.TorchModel(net, ["a", "b"])).format == "onnx"
    assert net.training


def test_a_network_that_answers_otherwise_in_onnx_is_refused() -> None:
    class Noisy(torch.nn.Module):
        def forward(self, rows: Any) -> Any:
            return rows.sum(1) + torch.randn(rows.shape[0])

    with pytest.raises(Denied, match="answers otherwise as ONNX"):
        freeze(models.TorchModel(Noisy(), ["a", "b"]))


def test_a_branch_on_values_has_no_graph() -> None:
    class Branching(torch.nn.Module):
        def forward(self, rows: Any) -> Any:
            return rows.sum(1) if rows.sum().item() > 0 else rows.prod(1)

    with pytest.raises(Denied, match="can't be written as ONNX"):
        freeze(models.TorchModel(Branching(), ["a", "b"]))


def test_a_bare_network_is_told_how_to_be_kept(tracked: Bench) -> None:
    with pytest.raises(Denied, match="a network without names for its columns"):
        freeze(torch.nn.Linear(2, 1))
    with pytest.raises(Invalid, match=r"TorchClassifier\(model, columns, classes\)"):
        tracked.train("import torch\nmodel = torch.nn.Linear(2, 1)", "net")
