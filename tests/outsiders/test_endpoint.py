"""Software that nobody here wrote talks to an endpoint, and finds what its protocol promises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

sys.path.append(str(Path(__file__).parents[1] / "serving"))

import served

#: Content types that schemathesis does not write by itself; ours are texts and bytes as they are.
SERIALIZERS = """
import schemathesis

@schemathesis.serializer("application/x-ndjson", "application/vnd.apache.arrow.stream")
def as_it_is(context, value):
    return value if isinstance(value, bytes) else str(value).encode()
"""


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[served.Running]:
    folder = tmp_path_factory.mktemp("outsiders")
    table = served.flights()
    model = served.save_model(folder / "m", table, served.late(table))
    with served.running(served.config(model, folder), folder) as it:
        yield it


@pytest.fixture
def port(endpoint: served.Running) -> int:
    return int(endpoint.state["port"])


def test_mlflows_scoring_client(
    endpoint: served.Running, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow's client knows no tokens: requests takes ours from a netrc file."""
    import mlflow
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    netrc = tmp_path / "netrc"
    netrc.write_text(f'machine 127.0.0.1 login token password "{served.TOKEN}"\n')
    monkeypatch.setenv("NETRC", str(netrc))
    client = ScoringServerClient("127.0.0.1", port)
    client.wait_server_ready(timeout=60)
    assert client.get_version() == "3"
    table = served.flights(40, seed=3)
    expected = mlflow.pyfunc.load_model(endpoint.config.path).predict(table)
    answer = client.invoke(table)
    assert np.array_equal(answer.get_predictions("ndarray"), expected)
    assert answer.get_predictions("dataframe").shape == (40, 1)
    assert len(answer["probabilities"]) == 40
    table.loc[0, "distance"] = np.nan  # which MLflow's client writes as a bare NaN
    with pytest.raises(Exception, match="422"):
        client.invoke(table)


@pytest.mark.parametrize("binary", [True, False])
def test_tritons_client(endpoint: served.Running, port: int, binary: bool) -> None:
    """Triton's client sends tensors as binary unless told otherwise."""
    triton = pytest.importorskip("tritonclient.http")
    table = served.flights(30, seed=4)
    with triton.InferenceServerClient(f"127.0.0.1:{port}") as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("delay", headers=dict(served.AUTH))
        assert client.is_model_ready("delay", "3", headers=dict(served.AUTH))
        assert (
            "binary_tensor_data"
            in client.get_server_metadata(headers=dict(served.AUTH))["extensions"]
        )
        described = client.get_model_metadata("delay", headers=dict(served.AUTH))
        inputs = []
        for tensor in described["inputs"]:
            values = table[tensor["name"]].to_numpy()
            if tensor["datatype"] == "BYTES":
                values = values.astype(object)
            given = triton.InferInput(tensor["name"], [30], tensor["datatype"])
            given.set_data_from_numpy(values, binary_data=binary)
            inputs.append(given)
        outputs = [
            triton.InferRequestedOutput(tensor["name"], binary_data=binary)
            for tensor in described["outputs"]
        ]
        answer = client.infer("delay", inputs, outputs=outputs, headers=dict(served.AUTH))
        whole = client.infer("delay", inputs, headers=dict(served.AUTH))
        with pytest.raises(triton.InferenceServerException, match="is missing"):
            client.infer("delay", inputs[:2], headers=dict(served.AUTH))
        with pytest.raises(triton.InferenceServerException, match="token"):
            client.infer("delay", inputs)
    plain = endpoint.post("/invocations", json={"inputs": table.to_dict(orient="list")}).json()
    for result in (answer, whole):
        assert result.as_numpy("prediction").tolist() == plain["predictions"]
        assert result.as_numpy("probability").tolist() == plain["probabilities"]
        assert len(set(result.as_numpy("prediction_id"))) == 30
    assert answer.get_response()["model_version"] == "3"


def test_prometheus_strict_parser(endpoint: served.Running) -> None:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    table = served.flights(7)
    endpoint.post("/invocations", json={"inputs": table.to_dict(orient="list")})
    endpoint.post("/invocations", json={"inputs": {}})
    answer = endpoint.get("/metrics")
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    samples = {
        (sample.name, sample.labels.get("status")): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert samples["mlops_rows_total", None] >= 7
    assert samples["mlops_requests_total", "200"] >= 1
    assert samples["mlops_requests_total", "400"] >= 1
    assert samples["mlops_request_seconds_count", None] >= 1
    (info,) = families["mlops_model"].samples
    assert info.labels["version"] == "3"


def test_the_openapi_document_is_valid(endpoint: served.Running) -> None:
    from openapi_spec_validator import validate

    validate(endpoint.get("/openapi.json").json())


def test_schemathesis_finds_no_difference_to_the_openapi_document(
    endpoint: served.Running, tmp_path: Path
) -> None:
    """Generated requests, right and wrong ones, to every path by every method.

    One check is left out: that all which fits the schemas is accepted. JSON Schema cannot say
    that columns are of equal length, nor that a tensor's shape fits its data.
    """
    (tmp_path / "openapi.json").write_text(endpoint.get("/openapi.json").text)
    (tmp_path / "hooks.py").write_text(SERIALIZERS)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", "openapi.json"),
        *("--url", endpoint.url, "-H", f"Authorization: {served.AUTH['Authorization']}"),
        *("--checks", "all", "--exclude-checks", "positive_data_acceptance"),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", "40"),
        *("--generation-deterministic", "--no-color"),
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "hooks"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Tested: 15" in done.stdout
    log = (Path(endpoint.config.state).parent / "log.txt").read_text()
    assert "Traceback" not in log


def test_the_examples_of_the_openapi_document_are_answered(endpoint: served.Running) -> None:
    """Each content type has one, made from the model's input example, and all are the same rows."""
    document = endpoint.get("/openapi.json").json()
    probabilities = []
    for media, told in document["paths"]["/invocations"]["post"]["requestBody"]["content"].items():
        if "example" not in told:
            assert media == "application/vnd.apache.arrow.stream"
            continue
        example = told["example"]
        headers = {"content-type": media, "accept": "application/json"}
        body = example if isinstance(example, str) else json.dumps(example)
        answer = endpoint.post("/invocations", content=body, headers=headers)
        assert answer.status_code == 200, answer.text
        probabilities.append(answer.json()["probabilities"])
    path = "/v2/models/delay/infer"
    content = document["paths"][path]["post"]["requestBody"]["content"]
    answer = endpoint.post(path, json=content["application/json"]["example"]).json()
    probabilities.append(next(o["data"] for o in answer["outputs"] if o["name"] == "probability"))
    assert len(probabilities) == 4
    assert all(one == probabilities[0] for one in probabilities)


def test_schemathesis_finds_the_open_inference_protocol(
    endpoint: served.Running, tmp_path: Path
) -> None:
    """The protocol's own OpenAPI document, for this model: `open_inference_rest.yaml` beside here.

    That file is the KServe authors', under the Apache License 2.0 as it says, and unchanged. It
    names no other statuses than 200 and 400, so statuses are left out of the checks; what comes
    with those two has to have the protocol's form.
    """
    official = yaml.safe_load(Path(__file__).with_name("open_inference_rest.yaml").read_text())
    example = endpoint.get("/openapi.json").json()["paths"]["/v2/models/delay/infer"]["post"]
    paths = {}
    for path, item in official["paths"].items():
        item.pop("parameters", None)
        here = path.replace("${MODEL_NAME}", "delay").replace("${MODEL_VERSION}", "3")
        paths[here] = item
        if here.endswith("/infer"):
            body = item["post"]["requestBody"]
            body["required"] = True
            content = example["requestBody"]["content"]["application/json"]
            body["content"]["application/json"]["example"] = content["example"]
    (tmp_path / "official.json").write_text(json.dumps({**official, "paths": paths}))
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", "official.json"),
        *("--url", endpoint.url, "-H", f"Authorization: {served.AUTH['Authorization']}"),
        *("--checks", "not_a_server_error,response_schema_conformance,content_type_conformance"),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", "60"),
        *("--generation-deterministic", "--no-color"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Tested: 6" in done.stdout
    log = (Path(endpoint.config.state).parent / "log.txt").read_text()
    assert "Traceback" not in log
    assert 'protocol="v2",status="200"' in endpoint.get("/metrics").text


@pytest.mark.parametrize("path", ["/invocations", "/v2/models/delay/infer"])
def test_hostile_bodies_are_refused_and_neighbours_answered(
    endpoint: served.Running, path: str
) -> None:
    deep = b'{"inputs":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    twice = b'{"inputs": {"hour": [7]}, "inputs": []}'
    for body, status in ((deep, 400), (twice, 400), (b" " * (60 << 20), 413)):
        answer = endpoint.post(path, content=body, headers={"content-type": "application/json"})
        assert answer.status_code == status, answer.text
        assert set(answer.json()) == {"error", "error_code", "message", "code"}
    table = served.flights(2).to_dict(orient="list")
    assert endpoint.post("/invocations", json={"inputs": table}).status_code == 200
