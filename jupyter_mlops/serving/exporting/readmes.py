"""The README of each bundle: how to build, run and test it."""

from __future__ import annotations

import json
from typing import Any, Final

from jupyter_mlops.serving.exporting.target import Target

__all__ = ["readme"]

_HEAD: Final = """\
# {label}

{what}

| | |
|---|---|
| Model | `{label}` |
| Digest | `{digest}` |
| Name in V2 paths | `{endpoint}` |

The digest is that of the files in `model/`, and is checked whenever the model is loaded. To check
it by hand:

```bash
cd model && find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs -d '\\n' sha256sum | sha256sum
```

"""
_ASK: Final = """\
## Ask it

Clients do what they did on one machine; the address alone changes.

```bash
curl -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
  -d '{body}' \\
  {url}/invocations
curl -H "Authorization: Bearer $TOKEN" {url}/v2/models/{endpoint}
```

`{url}/v2/health/ready` and `/v2/health/live` are for probes and ask for no token; `/metrics` is
OpenMetrics; `/openapi.json` describes every path.
"""
_SETTINGS: Final = """\
## What it is told by its surroundings

| Variable | |
|---|---|
| `MLOPS_TOKEN_FILE`, `MLOPS_TOKEN` | the token that callers send: a mounted file, or its value |
| `MLOPS_TRAFFIC` | the folder of the traffic log; `/traffic` |
| `MLOPS_CONTRACT` | `observe`, `enforce` or `off` |
| `MLOPS_HOSTS` | the only values of `Host` to accept, separated by commas |

"""
_OCI: Final = """\
## Build and run

```bash
podman build -t {image} .          # or docker build -f Containerfile -t {image} .
openssl rand -hex 24 > token
podman run --read-only --tmpfs /tmp -v traffic:/traffic \\
  -v ./token:/secrets/token:ro,Z -e MLOPS_TOKEN_FILE=/secrets/token \\
  --cap-drop ALL --security-opt no-new-privileges -p 8080:8080 {image}
TOKEN=$(cat token)
```

It runs as user 10001 and writes to `/traffic` alone. The token file must be readable by that user.

Without a container, in an environment with `requirements.txt` installed:

```bash
MLOPS_TOKEN_FILE=token MLOPS_TRAFFIC=traffic PYTHONPATH=server \\
  python -m jupyter_mlops.serving.bundle --bundle . --host 127.0.0.1
```

"""
_KSERVE: Final = """\
## Build and deploy

```bash
podman build -t {image} . && podman push {image}
kubectl create secret generic {resource}-token --from-literal=token=$(openssl rand -hex 24)
kubectl apply -f inferenceservice.yaml
kubectl wait --for=condition=Ready inferenceservice/{resource} --timeout=300s
URL=$(kubectl get inferenceservice {resource} -o jsonpath='{{.status.url}}')
TOKEN=$(kubectl get secret {resource}-token -o jsonpath='{{.data.token}}' | base64 -d)
```

The traffic log lies in an `emptyDir` and goes with its pod: put a `persistentVolumeClaim` in its
place in `inferenceservice.yaml` to keep it. KServe adds what one machine doesn't have: replicas
by load (`minReplicas`, `maxReplicas`), and a canary (`canaryTrafficPercent`).

"""
_RAY: Final = """\
## Run and deploy

```bash
pip install 'ray[serve]' -r requirements.txt
export MLOPS_TOKEN=$(openssl rand -hex 24) TOKEN=$MLOPS_TOKEN
serve run serve_config.yaml        # in this folder
```

On a cluster, put this folder as a ZIP where its nodes can fetch it, name it as
`runtime_env: {{working_dir: https://…/bundle.zip}}` below the application in `serve_config.yaml`,
pass `MLOPS_TOKEN` in `runtime_env: {{env_vars: …}}` from a secret, and `serve deploy
serve_config.yaml`. Each replica keeps a traffic log of its own.

"""
_TRITON: Final = """\
## Run

```bash
docker run --rm -p 8000:8000 -v $PWD/model_repository:/models \\
  nvcr.io/nvidia/tritonserver:25.09-py3 tritonserver --model-repository=/models
curl localhost:8000/v2/models/{endpoint}/ready
```

Triton speaks V2 as our endpoints do, with one input for each column and rows of shape `[n, 1]`.
It asks for no token, keeps no log, and checks no contract: put what must be checked in front.

{notes}
"""
_MLFLOW: Final = """\
## Use it

```python
import mlflow

model = mlflow.pyfunc.load_model("model")
model.predict(frame)
```

`mlflow models serve -m model`, `build-docker` and what else takes an MLflow model take it too.
"""
_WHAT: Final = {
    "oci": "A build context for a container that serves the model: our server, the model's files, "
    "and locked requirements.",
    "kserve": "A build context for a container that serves the model, and the InferenceService "
    "that runs it on KServe as a custom predictor.",
    "rayserve": "A Ray Serve application: each replica is our endpoint with the model.",
    "triton": "A model repository for the Triton Inference Server, with the model as ONNX.",
    "mlflow": "The model as MLflow keeps it.",
}
_EXAMPLES: Final[dict[str, Any]] = {
    "string": "…",
    "boolean": True,
    "datetime": "2026-01-31T12:00:00Z",
}


def readme(kind: str, target: Target, notes: list[str]) -> str:
    """The text of ``README.md``."""
    facts = {
        "label": target.label,
        "digest": target.digest,
        "endpoint": target.endpoint,
        "resource": target.resource,
        "image": target.image,
        "what": _WHAT[kind],
        "notes": "\n".join(notes),
        "body": _body(target),
    }
    url = {"oci": "http://localhost:8080", "kserve": "$URL", "rayserve": "http://localhost:8000"}
    middle = {
        "oci": _OCI + _SETTINGS + _ASK,
        "kserve": _KSERVE + _SETTINGS + _ASK,
        "rayserve": _RAY + _SETTINGS + _ASK,
        "triton": _TRITON,
        "mlflow": _MLFLOW,
    }[kind]
    text = (_HEAD + middle).format(**facts, url=url.get(kind, ""))
    if notes and kind != "triton":
        text += "\n" + "\n".join(notes) + "\n"
    return text


def _body(target: Target) -> str:
    values = {field.name: _EXAMPLES.get(field.type.name, 0) for field in target.file.fields}
    if target.file.tensor:
        return json.dumps({"inputs": [list(values.values())]})
    # It stands between the shell's single quotes.
    return json.dumps({"dataframe_records": [values]}, ensure_ascii=False).replace("'", "'\\''")
