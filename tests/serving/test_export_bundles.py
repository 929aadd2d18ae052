"""Bundles: what they hold, and that what they hold serves."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import httpx
import pytest
import served
import yaml
from batching import Version, table
from jsonschema import Draft202012Validator

from jupyter_mlops.serving import exporting
from jupyter_mlops.serving.bundle import config_of
from jupyter_mlops.serving.exporting import Export, pins
from jupyter_mlops.serving.exporting.triton import Tensor, config_text
from jupyter_mlops.serving.modelfile import directory_digest
from jupyter_mlops.views.registry import mimebundle
from jupyter_mlops.workspace import Conflict, Denied, Invalid, Unavailable, Workspace

TOKEN = "a token for bundles"
AUTH = {"Authorization": f"Bearer {TOKEN}"}


@dataclass(frozen=True)
class Registered(Version):
    run_id: str = "0" * 32


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "project")


@pytest.fixture(scope="session")
def version(model: Path) -> Registered:
    return Registered(model, directory_digest(model))


@pytest.fixture(scope="session")
def bundle(version: Registered, tmp_path_factory: pytest.TempPathFactory) -> Export:
    folder = tmp_path_factory.mktemp("bundles")
    return exporting.export(Workspace.open(folder / "project"), version, "kserve", folder / "out")


@pytest.fixture(autouse=True)
def _bundles_stay_as_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs from a bundle here leaves no compiled files in it."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    # A bundle forks nothing; that it says so in this process must not last.
    monkeypatch.setenv("JUPYTER_MLOPS_FORK", "on")
    monkeypatch.delenv("JUPYTER_MLOPS_FORK")


@contextmanager
def serving(folder: Path, scratch: Path, **environment: str) -> Iterator[str]:
    """Run the bundle's own start command, outside of a container."""
    start = json.loads(
        re.findall(r"^ENTRYPOINT (.*)$", (folder / "Containerfile").read_text(), re.M)[0]
    )
    words = [sys.executable if word == "python" else word for word in start]
    words = [str(folder) if word == "/bundle" else word for word in words]
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    told = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(folder / "server"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "MLOPS_TRAFFIC": str(scratch / "traffic"),
        **environment,
    }
    with (scratch / "log").open("wb") as log:
        process = subprocess.Popen(
            [*words, "--port", str(port)], stdout=log, stderr=log, env=told, cwd=scratch
        )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 90
        while True:
            assert process.poll() is None, (scratch / "log").read_text()
            assert time.monotonic() < deadline, (scratch / "log").read_text()
            try:
                if httpx.get(f"{url}/v2/health/ready", timeout=60).status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        assert process.wait(60) == 0


def test_the_bundles_own_code_answers_as_the_endpoint_does(
    bundle: Export, client: served.Client, tmp_path: Path
) -> None:
    rows = table(500).drop(columns="flight")
    body = {"dataframe_split": rows.to_dict(orient="split")}
    secret = tmp_path / "token"
    secret.write_text(TOKEN + "\n")
    before = directory_digest(bundle.to)
    with serving(bundle.to, tmp_path, MLOPS_TOKEN_FILE=str(secret)) as url:
        said = httpx.post(f"{url}/invocations", json=body, headers=AUTH, timeout=60).json()
        mine = client.post("/invocations", json=body).json()
        assert said["predictions"] == mine["predictions"]
        assert said["probabilities"] == mine["probabilities"]
        assert said["model"]["digest"] == bundle.digest
        v2 = {
            "inputs": [
                {"name": "hour", "datatype": "INT64", "shape": [1], "data": [9]},
                {"name": "distance", "datatype": "FP64", "shape": [1], "data": [700.5]},
                {"name": "carrier", "datatype": "BYTES", "shape": [1], "data": ["UA"]},
            ]
        }
        path = "/v2/models/delay/infer"
        theirs = httpx.post(url + path, json=v2, headers=AUTH, timeout=60).json()
        assert (
            theirs["outputs"][0]["data"] == client.post(path, json=v2).json()["outputs"][0]["data"]
        )
        # A cluster's names and a kubelet's addresses are nobody's business; the token is.
        asked = {"host": "delay.models.svc.cluster.local"}
        assert httpx.get(f"{url}/v2/health/live", headers=asked, timeout=60).status_code == 200
        assert httpx.get(f"{url}/v2/models/delay", headers=asked, timeout=60).status_code == 401
        assert (
            httpx.get(f"{url}/v2/models/delay", headers={**asked, **AUTH}, timeout=60).status_code
            == 200
        )
        foreign = {**AUTH, "origin": "http://evil.example"}
        assert (
            httpx.post(f"{url}/invocations", json=body, headers=foreign, timeout=60).status_code
            == 403
        )
    # Its root may be read-only: it wrote to the traffic folder alone.
    assert directory_digest(bundle.to) == before
    assert list((tmp_path / "traffic").rglob("*"))
    code = "import jupyter_mlops.serving.bundle as b; print(b.__file__)"
    told = {**os.environ, "PYTHONPATH": str(bundle.to / "server")}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=told, cwd=tmp_path, capture_output=True, text=True
    )
    assert Path(ran.stdout.strip()).is_relative_to(bundle.to)


def test_hosts_may_be_named(bundle: Export, tmp_path: Path) -> None:
    with serving(bundle.to, tmp_path, MLOPS_TOKEN=TOKEN, MLOPS_HOSTS="delay.example.org") as url:
        for host, status in (("delay.example.org", 200), ("other.example.org", 403)):
            asked = {**AUTH, "host": host}
            assert (
                httpx.get(f"{url}/v2/models/delay", headers=asked, timeout=60).status_code == status
            )


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({}, "the endpoint has no token"),
        ({"MLOPS_TOKEN": "short"}, "the endpoint's token is too short"),
        ({"MLOPS_TOKEN_FILE": "/nowhere/token"}, "the endpoint's token can't be read"),
        ({"MLOPS_TOKEN": TOKEN, "MLOPS_CONTRACT": "maybe"}, "MLOPS_CONTRACT can't be 'maybe'"),
    ],
)
def test_without_its_secrets_it_does_not_start(
    bundle: Export, tmp_path: Path, environment: dict[str, str], sentence: str
) -> None:
    told = {"MLOPS_TRAFFIC": str(tmp_path), **environment}
    with pytest.raises((Denied, Invalid), match=sentence):
        config_of(bundle.to, told)
    words = [sys.executable, "-m", "jupyter_mlops.serving.bundle", "--bundle", str(bundle.to)]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MLOPS_")}
    done = subprocess.run(words, env={**clean, **told}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 78
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_that_was_changed_in_the_bundle_is_not_served(
    ws: Workspace, version: Registered, tmp_path: Path
) -> None:
    found = exporting.export(ws, version, "oci", tmp_path / "out")
    with (found.to / "model" / "requirements.txt").open("a") as file:
        file.write("evil\n")
    words = [sys.executable, "-m", "jupyter_mlops.serving.bundle", "--bundle", str(found.to)]
    told = {**os.environ, "MLOPS_TOKEN": TOKEN, "MLOPS_TRAFFIC": str(tmp_path / "traffic")}
    done = subprocess.run(words, env=told, capture_output=True, text=True, timeout=60)
    assert done.returncode == 78
    assert "are not the ones that were registered" in done.stderr


def test_the_build_context_is_complete_and_careful(bundle: Export) -> None:
    folder = bundle.to
    text = (folder / "Containerfile").read_text()
    for source in re.findall(r"^COPY (\S+)", text, re.M):
        assert (folder / source).exists(), source
    assert "USER 10001:10001" in text
    assert "EXPOSE 8080" in text
    assert "TOKEN" not in text
    assert text.index("USER") > text.index("RUN pip")
    assert directory_digest(folder / "model") == bundle.digest
    assert not list(folder.rglob("__pycache__"))
    locked = (folder / "requirements.txt").read_text()
    names = {line.partition("==")[0] for line in locked.splitlines() if "==" in line}
    assert set(pins.SERVER) <= names
    assert not {"mlflow", "jupyter-server", "dask", "pytest"} & names
    if "--require-hashes" in text:
        assert locked.count("--hash=sha256:") >= len(names)
    else:
        assert "without hashes" in " ".join(bundle.notes)


def test_what_the_server_imports_is_locked(bundle: Export, tmp_path: Path) -> None:
    code = """
import json, sys
import jupyter_mlops.serving.application, jupyter_mlops.serving.bundle
import jupyter_mlops.serving.exporting.relay, jupyter_mlops.serving.loading
import jupyter_mlops.serving.model_process, jupyter_mlops.serving.process
import jupyter_mlops.models.freezing
mine = {n: m for n, m in sys.modules.items() if n.split(".")[0] == "jupyter_mlops"}
print(json.dumps([m.__file__ for m in mine.values()]))
"""
    told = {**os.environ, "PYTHONPATH": str(bundle.to / "server")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=told, cwd=tmp_path, capture_output=True, text=True
    )
    files = [Path(one) for one in json.loads(done.stdout)]
    assert all(one.is_relative_to(bundle.to) for one in files)
    imported: set[str] = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {one.name.partition(".")[0] for one in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    imported.remove("mlflow")  # comes along with models that MLflow itself answers for
    known = packages_distributions()
    needed = {
        re.sub(r"[-_.]+", "-", known[name][0]).lower()
        for name in imported - set(sys.stdlib_module_names) - {"jupyter_mlops", "IPython"}
    }
    locked = (bundle.to / "requirements.txt").read_text()
    assert "msgpack" in needed
    assert needed <= {line.partition("==")[0] for line in locked.splitlines() if "==" in line}


def test_the_readmes_own_digest_command_gives_the_digest(bundle: Export) -> None:
    readme = (bundle.to / "README.md").read_text()
    command = next(line for line in readme.splitlines() if line.startswith("cd model && find"))
    done = subprocess.run(
        ["bash", "-c", command], cwd=bundle.to, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[0] == bundle.digest
    assert "podman build" in readme
    assert "{" not in readme.replace('{"dataframe_records"', "").replace("[{", "").replace(
        "jsonpath='{.", ""
    )


# The parts of KServe's v1beta1 InferenceService that the manifest uses, after its CRD.
PROBE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["httpGet"],
    "properties": {
        "httpGet": {
            "type": "object",
            "additionalProperties": False,
            "required": ["port"],
            "properties": {"path": {"type": "string"}, "port": {"type": "integer"}},
        },
        "periodSeconds": {"type": "integer"},
        "failureThreshold": {"type": "integer"},
        "timeoutSeconds": {"type": "integer"},
    },
}
QUANTITIES = {"type": "object", "additionalProperties": {"type": "string"}}
CONTAINER = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "image"],
    "properties": {
        "name": {"const": "kserve-container"},
        "image": {"type": "string", "minLength": 1},
        "ports": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["containerPort"],
                "properties": {
                    "containerPort": {"type": "integer"},
                    "protocol": {"enum": ["TCP", "UDP", "SCTP"]},
                },
            },
        },
        "env": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name", "value"],
                "properties": {"name": {"type": "string"}, "value": {"type": "string"}},
            },
        },
        "startupProbe": PROBE,
        "readinessProbe": PROBE,
        "livenessProbe": PROBE,
        "resources": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"requests": QUANTITIES, "limits": QUANTITIES},
        },
        "securityContext": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "allowPrivilegeEscalation": {"type": "boolean"},
                "readOnlyRootFilesystem": {"type": "boolean"},
                "capabilities": {
                    "type": "object",
                    "properties": {"drop": {"type": "array", "items": {"type": "string"}}},
                },
            },
        },
        "volumeMounts": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name", "mountPath"],
                "properties": {
                    "name": {"type": "string"},
                    "mountPath": {"type": "string"},
                    "readOnly": {"type": "boolean"},
                },
            },
        },
    },
}
SERVICE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "serving.kserve.io/v1beta1"},
        "kind": {"const": "InferenceService"},
        "metadata": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "pattern": "^[a-z]([-a-z0-9]*[a-z0-9])?$"},
                "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        },
        "spec": {
            "type": "object",
            "additionalProperties": False,
            "required": ["predictor"],
            "properties": {
                "predictor": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "minReplicas": {"type": "integer"},
                        "maxReplicas": {"type": "integer"},
                        "terminationGracePeriodSeconds": {"type": "integer"},
                        "securityContext": {"type": "object"},
                        "containers": {"type": "array", "minItems": 1, "items": CONTAINER},
                        "volumes": {
                            "type": "array",
                            "items": {"type": "object", "required": ["name"]},
                        },
                    },
                }
            },
        },
    },
}


def test_the_inference_service_is_one(bundle: Export) -> None:
    manifest = yaml.safe_load((bundle.to / "inferenceservice.yaml").read_text())
    Draft202012Validator(SERVICE).validate(manifest)
    # KServe's whole schema, where somebody has it.
    if "KSERVE_CRD" in os.environ:
        crd = yaml.safe_load(Path(os.environ["KSERVE_CRD"]).read_text())
        served_at = next(one for one in crd["spec"]["versions"] if one["name"] == "v1beta1")
        Draft202012Validator(_closed(served_at["schema"]["openAPIV3Schema"])).validate(manifest)
    predictor = manifest["spec"]["predictor"]
    (container,) = predictor["containers"]
    assert {one["name"] for one in container["volumeMounts"]} == {
        one["name"] for one in predictor["volumes"]
    }
    assert container["securityContext"]["readOnlyRootFilesystem"]
    text = (bundle.to / "Containerfile").read_text()
    assert f"USER {predictor['securityContext']['runAsUser']}:" in text
    assert f"EXPOSE {container['ports'][0]['containerPort']}" in text


def _closed(schema: Any) -> Any:
    """A schema that takes no fields but its own, as the API server drops them."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(one) for name, one in schema.items()}
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    if schema.get("type") == "object" and schema.get("properties"):
        closed.setdefault("additionalProperties", False)
    return closed


@pytest.mark.parametrize(
    ("name", "resource"), [("Delay_2.0", "delay-2-0"), ("7up", "m-7up"), ("a" * 90, "a" * 40)]
)
def test_names_become_what_kubernetes_allows(
    ws: Workspace, version: Registered, tmp_path: Path, name: str, resource: str
) -> None:
    from jupyter_mlops.serving.exporting.kserve import inference_service
    from jupyter_mlops.serving.exporting.target import Target
    from jupyter_mlops.serving.modelfile import read_model_file

    file = read_model_file(version.folder)
    target = Target("delay", 3, version.digest, version.folder, file, name, "image")
    made = inference_service(target)
    assert made["metadata"]["name"] == resource
    Draft202012Validator(SERVICE).validate(made)


def test_a_ray_application_is_written_and_answers(
    ws: Workspace,
    version: Registered,
    client: served.Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from starlette.applications import Starlette
    from starlette.routing import Mount, Route

    found = exporting.export(ws, version, "rayserve", tmp_path / "out")
    config = yaml.safe_load((found.to / "serve_config.yaml").read_text())
    (application,) = config["applications"]
    source = (found.to / "app.py").read_text()
    assert f'name="{application["deployments"][0]["name"]}"' in source
    # What Ray does with a deployment: make it, then hand it requests whose bodies are there.
    monkeypatch.setenv("MLOPS_TOKEN", TOKEN)
    monkeypatch.setenv("MLOPS_TRAFFIC", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    scope: dict[str, Any] = {"__file__": str(found.to / "app.py"), "__name__": "app"}
    plain = source.replace("from ray import serve", "").replace("app = Endpoint.bind()", "")
    exec(plain.replace(f'@serve.deployment(name="{found.endpoint}")', ""), scope)
    replica = scope["Endpoint"]()
    sys.path.remove(str(found.to / "server"))
    # A replica finds the code by `sys.path`, and its model's process as well.
    code = str(Path(exporting.__file__).parents[3])
    assert os.environ["PYTHONPATH"].split(os.pathsep)[0] == code
    routes = [Route("/{path:path}", replica.__call__, methods=["GET", "POST"])]
    body = {"dataframe_records": table(20).drop(columns="flight").to_dict("records")}

    async def ask() -> None:
        transport = httpx.ASGITransport(Starlette(routes=[Mount("/models", routes=routes)]))
        async with httpx.AsyncClient(transport=transport, base_url="http://ray") as ray:
            said = await ray.post("/models/invocations", json=body, headers=AUTH)
            mine = client.post("/invocations", json=body).json()
            assert said.json()["predictions"] == mine["predictions"]
            assert said.headers["x-mlops-digest"] == version.digest
            refused = await ray.post("/models/invocations", json=body)
            assert refused.status_code == 401
            assert (await ray.get("/models/v2/health/ready")).status_code == 200

    try:
        asyncio.run(ask())
    finally:
        replica.replica.close()


def test_ray_takes_the_configuration(ws: Workspace, version: Registered, tmp_path: Path) -> None:
    schema = pytest.importorskip("ray.serve.schema", reason="Ray isn't installed")
    found = exporting.export(ws, version, "rayserve", tmp_path / "out")
    schema.ServeDeploySchema.model_validate(
        yaml.safe_load((found.to / "serve_config.yaml").read_text())
    )


def test_the_plain_model_is_mlflows(ws: Workspace, version: Registered, tmp_path: Path) -> None:
    import mlflow

    found = exporting.export(ws, version, "mlflow", tmp_path / "out")
    assert directory_digest(found.to / "model") == version.digest
    rows = table(5).drop(columns="flight")
    assert len(mlflow.pyfunc.load_model(str(found.to / "model")).predict(rows)) == 5


def test_triton_without_a_converter_is_one_sentence(
    ws: Workspace, version: Registered, tmp_path: Path
) -> None:
    try:
        import skl2onnx  # noqa: F401
    except ImportError:
        with pytest.raises(Unavailable, match="skl2onnx isn't installed: pip install skl2onnx"):
            exporting.export(ws, version, "triton", tmp_path / "out")
        assert not (tmp_path / "out").exists()
        assert not list(tmp_path.glob(".out.*"))
        assert ws.events() == []
    else:
        found = exporting.export(ws, version, "triton", tmp_path / "out")
        place = found.to / "model_repository" / "delay"
        assert (place / "1" / "model.onnx").is_file()
        assert (
            'name: "carrier", data_type: TYPE_STRING, dims: [ 1 ]'
            in (place / "config.pbtxt").read_text()
        )


def test_tritons_configuration_is_protocol_buffers_text() -> None:
    inputs = [Tensor('a "b"', "TYPE_FP64", (-1, 1)), Tensor("c", "TYPE_STRING", (-1, 1))]
    text = config_text("delay", inputs, [Tensor("label", "TYPE_INT64", (-1,))])
    assert 'name: "a \\"b\\"", data_type: TYPE_FP64, dims: [ 1 ] }' in text
    assert 'name: "label", data_type: TYPE_INT64, dims: [ 1 ], reshape: { shape: [ ] } }' in text
    assert text.startswith('name: "delay"\nplatform: "onnxruntime_onnx"\nmax_batch_size: 8192\n')
    # A graph for one row at a time is not given several.
    text = config_text("delay", [Tensor("x", "TYPE_FP32", (1, 3))], [])
    assert "max_batch_size: 0\n" in text
    assert "dims: [ 1, 3 ]" in text
    assert "dynamic_batching" not in text


def test_a_bundle_is_written_whole_or_not_at_all(
    ws: Workspace, version: Registered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(Conflict, match="isn't empty"):
        exporting.export(ws, version, "mlflow", tmp_path / "mine")
    from jupyter_mlops.serving.exporting import exports

    def full(*_: object) -> list[str]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exports, "_write", full)
    with pytest.raises(Unavailable, match="No space left on device"):
        exporting.export(ws, version, "mlflow", tmp_path / "out")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["mine", "project"]
    assert ws.events() == []


def test_where_no_index_answers_the_versions_are_locked_and_it_is_said(
    ws: Workspace, version: Registered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(*_: object) -> str:
        raise pins.UvFailed("error: no such host\n")

    monkeypatch.setattr(pins, "_compiled", nothing)
    found = exporting.export(ws, version, "oci", tmp_path / "out")
    text = (found.to / "requirements.txt").read_text()
    assert "scikit-learn==" in text
    assert "scipy==" in text
    assert "mlflow==" not in text
    assert "--require-hashes" not in (found.to / "Containerfile").read_text()
    assert "no such host" in mimebundle(found)["text/plain"]


def test_what_was_written_is_shown_and_recorded(
    ws: Workspace, version: Registered, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    found = exporting.export(ws, version, "mlflow", tmp_path / "out")
    (event,) = ws.events()
    assert (event.kind, event.subject) == ("model.exported", "model:delay@3")
    assert event.payload == {"as": "mlflow", "to": str(found.to), "digest": version.digest}
    shown = mimebundle(found)["text/plain"]
    assert len(shown.splitlines()) <= 15
    assert "delay@3 as mlflow" in shown
    assert "mlflow models serve -m model" in shown
