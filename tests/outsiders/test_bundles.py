"""What a bundle holds, as the programs that are to take it read it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "serving"))

import served
from batching import Version

from jupyter_mlops.serving import exporting
from jupyter_mlops.workspace import Workspace


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of flights as Triton takes it."""
    pytest.importorskip("skl2onnx")
    folder = tmp_path_factory.mktemp("triton")
    table = served.flights()
    version = Version.of(served.save_model(folder / "m", table, served.late(table)))
    ws = Workspace.open(folder / "project")
    found = exporting.export(ws, version, "triton", folder / "out")
    return found.to / "model_repository" / "delay"


def test_triton_would_load_the_repository(repository: Path) -> None:
    """Its own message type reads the configuration, and its rules for ONNX hold.

    The rules are those of its ONNX Runtime backend: every tensor is named, types are the graph's,
    and a batch dimension followed by `reshape`, or else by `dims`, is the graph's shape.
    """
    text_format = pytest.importorskip("google.protobuf.text_format")
    configuration = pytest.importorskip("tritonclient.grpc.model_config_pb2")
    onnx = pytest.importorskip("onnx")
    config = text_format.Parse(
        (repository / "config.pbtxt").read_text(), configuration.ModelConfig()
    )
    assert config.name == repository.name
    assert config.platform == "onnxruntime_onnx"
    assert config.HasField("dynamic_batching")
    graph = onnx.load(repository / "1" / "model.onnx").graph
    types = {"TYPE_INT64": 7, "TYPE_FP64": 11, "TYPE_FP32": 1, "TYPE_STRING": 8, "TYPE_BOOL": 9}
    for told, tensors in ((config.input, graph.input), (config.output, graph.output)):
        assert {one.name for one in told} == {one.name for one in tensors}
        by_name = {one.name: one for one in told}
        for tensor in tensors:
            one, kind = by_name[tensor.name], tensor.type.tensor_type
            assert types[configuration.DataType.Name(one.data_type)] == kind.elem_type
            dims = one.reshape.shape if one.HasField("reshape") else one.dims
            shape = [int(d.dim_value) or -1 for d in kind.shape.dim]
            assert [-1, *dims] == shape, tensor.name
            # What clients see has the same number of values, and is never empty.
            assert one.dims
            assert abs(np.prod(one.dims)) == abs(np.prod(dims, initial=1))


def test_onnx_runtime_answers_what_the_endpoint_answers(repository: Path, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    table = served.flights(200, seed=5)
    session = runtime.InferenceSession(
        repository / "1" / "model.onnx", providers=["CPUExecutionProvider"]
    )
    kinds = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64}
    given: dict[str, Any] = {
        one.name: table[one.name].to_numpy(kinds.get(one.type, object))[:, None]
        for one in session.get_inputs()
    }
    label, probability = session.run(None, given)
    model = repository.parents[2] / "m"
    with served.running(served.config(model, tmp_path), tmp_path) as endpoint:
        body = {"inputs": table.to_dict(orient="list")}
        plain = endpoint.post("/invocations", json=body).json()
    assert label.tolist() == plain["predictions"]
    assert np.allclose(probability[:, 1], plain["probabilities"], atol=1e-5)
