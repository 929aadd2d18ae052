"""Triton's gRPC client, with messages that others generated, against an endpoint's gRPC port."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

sys.path.append(str(Path(__file__).parents[1] / "serving"))

import logged
import served

from jupyter_mlops.serving.grpc import messages

grpc = pytest.importorskip("grpc")
triton = pytest.importorskip("tritonclient.grpc")

TOKEN = {"authorization": f"Bearer {served.TOKEN}"}
KINDS = {"hour": "INT64", "distance": "FP64", "carrier": "BYTES"}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[served.Running]:
    folder = tmp_path_factory.mktemp("grpc")
    table = served.flights()
    model = served.save_model(folder / "m", table, served.late(table))
    with served.running(served.config(model, folder, grpc_port=0), folder) as it:
        yield it


@pytest.fixture
def client(endpoint: served.Running) -> Iterator[Any]:
    with triton.InferenceServerClient(endpoint.state["grpc_url"]) as client:
        yield client


def inputs(table: pd.DataFrame) -> list[Any]:
    given = []
    for name, kind in KINDS.items():
        values = table[name].to_numpy()
        tensor = triton.InferInput(name, [len(table)], kind)
        tensor.set_data_from_numpy(values.astype(object) if kind == "BYTES" else values)
        given.append(tensor)
    return given


def status(error: Any) -> str:
    return str(error.value.status()).removeprefix("StatusCode.")


def test_a_table_is_answered_as_over_http(client: Any, endpoint: served.Running) -> None:
    table = served.flights(30, seed=4)
    answer = client.infer("delay", inputs(table), headers=TOKEN, request_id="mine")
    plain = endpoint.post("/invocations", json={"inputs": table.to_dict(orient="list")}).json()
    assert answer.as_numpy("prediction").tolist() == plain["predictions"]
    assert answer.as_numpy("probability").tolist() == plain["probabilities"]
    assert len(set(answer.as_numpy("prediction_id"))) == 30
    told = answer.get_response()
    assert (told.model_name, told.model_version, told.id) == ("delay", "3", "mine")
    assert told.parameters["digest"].string_param == endpoint.config.digest
    assert told.parameters["request_id"].string_param


def test_outputs_can_be_chosen_and_parameters_sent(client: Any) -> None:
    asked = [triton.InferRequestedOutput("probability")]
    answer = client.infer(
        "delay", inputs(served.flights(2)), outputs=asked, parameters={"why": 3}, headers=TOKEN
    )
    assert [one.name for one in answer.get_response().outputs] == ["probability"]
    with pytest.raises(triton.InferenceServerException, match="no output 'nothing'") as error:
        client.infer(
            "delay",
            inputs(served.flights(2)),
            outputs=[triton.InferRequestedOutput("nothing")],
            headers=TOKEN,
        )
    assert status(error) == "INVALID_ARGUMENT"


def test_typed_contents_are_answered_in_kind(endpoint: served.Running) -> None:
    """As clients without numpy send them."""
    table = served.flights(3)
    request = messages.message("ModelInferRequest")(model_name="delay")
    columns: dict[str, list[Any]] = {
        "int64_contents": table["hour"].tolist(),
        "fp64_contents": table["distance"].tolist(),
        "bytes_contents": [one.encode() for one in table["carrier"]],
    }
    for (name, kind), (field, values) in zip(KINDS.items(), columns.items(), strict=True):
        request.inputs.add(name=name, datatype=kind, shape=[3], contents={field: values})
    answer, call = ask(endpoint, request)
    plain = endpoint.post("/invocations", json={"inputs": table.to_dict(orient="list")}).json()
    by_name = {one.name: one.contents for one in answer.outputs}
    assert list(by_name["probability"].fp64_contents) == plain["probabilities"]
    assert list(by_name["prediction"].bool_contents) == plain["predictions"]
    assert not answer.raw_output_contents
    trailing = dict(call.trailing_metadata())
    assert trailing["x-mlops-version"] == "3"
    assert trailing["x-request-id"] == answer.parameters["request_id"].string_param


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda one: one.inputs[0].contents.int64_contents.append(1), "expected 2 values"),
        (lambda one: one.inputs[0].contents.fp64_contents.append(1), "int64_contents"),
        (lambda one: one.inputs[0].shape.append(7), "expected 14 values"),
        (lambda one: one.inputs[0].shape.extend([1] * 8), "a list of whole numbers"),
        (lambda one: setattr(one.inputs[0], "datatype", "COMPLEX"), "datatype is unknown"),
        (lambda one: setattr(one.inputs[1], "name", "hour"), "named twice"),
        (lambda one: one.inputs.pop(), "'carrier' is missing"),
        (lambda one: one.ClearField("inputs"), "no inputs"),
        (lambda one: one.raw_input_contents.append(b"12345678"), "3 inputs and 1 raw"),
        (lambda one: one.raw_input_contents.extend([b"", b"", b""]), "not both"),
    ],
)
def test_wrong_requests_are_told_what_is_wrong(
    endpoint: served.Running, change: Any, told: str
) -> None:
    request = messages.message("ModelInferRequest")(model_name="delay")
    fields = {"hour": {"int64_contents": [7, 8]}, "distance": {"fp64_contents": [1.0, 2.0]},
              "carrier": {"bytes_contents": [b"AA", b"UA"]}}  # fmt: skip
    for name, contents in fields.items():
        request.inputs.add(name=name, datatype=KINDS[name], shape=[2], contents=contents)
    ask(endpoint, request)
    change(request)
    with pytest.raises(grpc.RpcError, match=told) as error:
        ask(endpoint, request)
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    trailing = dict(error.value.trailing_metadata())
    assert trailing["x-mlops-code"].startswith("E-SERVE-1")


def test_what_is_no_message_is_refused(endpoint: served.Running) -> None:
    with pytest.raises(grpc.RpcError, match="no ModelInferRequest") as error:
        ask(endpoint, b"\xff\xff\xff")
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": served.TOKEN}]
)
def test_all_but_health_needs_the_token(client: Any, headers: dict[str, str]) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    for asked in (
        lambda: client.infer("delay", inputs(served.flights(2)), headers=headers),
        lambda: client.get_model_metadata("delay", headers=headers),
        lambda: client.get_server_metadata(headers=headers),
        lambda: client.is_model_ready("delay", headers=headers),
    ):
        with pytest.raises(triton.InferenceServerException) as error:
            asked()
        assert status(error) == "UNAUTHENTICATED"


def test_other_models_and_versions_are_not_found(client: Any) -> None:
    assert client.is_model_ready("delay", "3", headers=TOKEN)
    described = client.get_model_metadata("delay", headers=TOKEN, as_json=True)
    assert {one["name"]: one["datatype"] for one in described["inputs"]} == KINDS
    for name, version in (("other", ""), ("delay", "2")):
        with pytest.raises(triton.InferenceServerException) as error:
            client.infer(name, inputs(served.flights(2)), version, headers=TOKEN)
        assert status(error) == "NOT_FOUND"


def test_large_and_compressed_messages_are_refused_and_neighbours_answered(client: Any) -> None:
    many = pd.concat([served.flights(1000)] * 51)
    with pytest.raises(triton.InferenceServerException, match="50,000") as error:
        client.infer("delay", inputs(many), headers=TOKEN)
    assert status(error) == "INVALID_ARGUMENT"
    big = triton.InferInput("carrier", [1], "BYTES")
    big.set_data_from_numpy(np.array([b"x" * (60 << 20)], dtype=object))
    with pytest.raises(triton.InferenceServerException) as error:
        client.infer("delay", [big], headers=TOKEN)
    assert status(error) == "RESOURCE_EXHAUSTED"
    with pytest.raises(triton.InferenceServerException) as error:
        client.infer(
            "delay", inputs(served.flights(2)), headers=TOKEN, compression_algorithm="gzip"
        )
    assert status(error) == "UNIMPLEMENTED"
    assert client.infer("delay", inputs(served.flights(2)), headers=TOKEN)


def test_a_row_that_the_model_fails_on_is_told_without_data(client: Any) -> None:
    table = served.flights(2)
    table.loc[1, "distance"] = np.nan
    with pytest.raises(triton.InferenceServerException, match="the model failed") as error:
        client.infer("delay", inputs(table), headers=TOKEN)
    assert status(error) == "INVALID_ARGUMENT"


def test_calls_are_counted_and_logged(client: Any, endpoint: served.Running) -> None:
    from jupyter_mlops.serving.journal import read_segment

    answer = client.infer("delay", inputs(served.flights(4)), headers=TOKEN)
    ids = {one.decode() for one in answer.as_numpy("prediction_id")}
    folder = Path(endpoint.config.traffic) / "hot"
    tables = [read_segment(path).table for path in folder.glob("*.frames")]
    logged = {one for table in tables for one in table.column("prediction_id").to_pylist()}
    assert ids <= logged
    text = endpoint.get("/metrics").text
    assert 'mlops_requests_total{protocol="grpc",status="200",version="3"}' in text


def test_parameters_of_the_signature_reach_the_model(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("params")
    model = logged.save("frame", folder / "m")
    config = served.config(model, folder, grpc_port=0, pickles=True)
    columns = []
    for name, value in logged.ROW.items():
        tensor = triton.InferInput(name, [1], "FP64")
        tensor.set_data_from_numpy(np.array([value]))
        columns.append(tensor)
    with (
        served.running(config, folder) as it,
        triton.InferenceServerClient(it.state["grpc_url"]) as client,
    ):

        def score(**parameters: Any) -> float:
            answer = client.infer("delay", columns, parameters=parameters, headers=TOKEN)
            return float(json.loads(answer.as_numpy("prediction")[0])["score"])

        assert score() == 6.0
        assert score(times=10.0) == 30.0
        assert score(other=1, times=10) == 30.0
        with pytest.raises(triton.InferenceServerException, match="parameter 'times' isn't"):
            score(times="x")


def test_the_messages_are_those_that_others_generated() -> None:
    """Each field of ours has name, number and type of Triton's own descriptors."""
    from tritonclient.grpc import service_pb2

    compared = 0
    theirs = service_pb2.DESCRIPTOR.message_types_by_name
    for name in messages.names():
        ours, other = messages.message(name).DESCRIPTOR, theirs[name]
        waiting = [(ours, other)]
        while waiting:
            ours, other = waiting.pop()
            for field in ours.fields:
                known = other.fields_by_name[field.name]
                kinds = [
                    (one.number, one.type, one.is_repeated, getattr(one.message_type, "name", ""))
                    for one in (field, known)
                ]
                assert kinds[0] == kinds[1], field.full_name
                compared += 1
            waiting += [(one, other.nested_types_by_name[one.name]) for one in ours.nested_types]
    assert compared > 50


def ask(endpoint: served.Running, request: Any) -> tuple[Any, Any]:
    """Ask with gRPC's own client and our messages."""
    content = request if isinstance(request, bytes) else request.SerializeToString()
    with grpc.insecure_channel(endpoint.state["grpc_url"]) as channel:
        method = channel.unary_unary(f"/{messages.SERVICE}/ModelInfer")
        metadata = tuple(TOKEN.items())
        answer, call = method.with_call(content, metadata=metadata, timeout=60)
    return messages.message("ModelInferResponse").FromString(answer), call
