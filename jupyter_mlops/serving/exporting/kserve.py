"""KServe: an InferenceService whose predictor is the bundle's container."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from jupyter_mlops.serving.bundle import PORT
from jupyter_mlops.serving.exporting.container import USER
from jupyter_mlops.serving.exporting.target import Target

__all__ = ["inference_service", "write_kserve"]

_GIB = 1 << 30


def inference_service(target: Target) -> dict[str, Any]:
    """The manifest.

    Notes
    -----
    A custom predictor container (``predictor.containers``) of
    ``serving.kserve.io/v1beta1``, which KServe reaches by the Open Inference Protocol. Requests
    carry the model's name in their paths as they do on one machine.
    """
    size = sum(one.stat().st_size for one in target.path.rglob("*") if one.is_file())
    # The libraries take about 300 MB, a forest in memory a few times its file.
    memory = 1 + 4 * size // _GIB
    name = target.resource
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": name,
            "labels": {"app.kubernetes.io/managed-by": "jupyter-mlops"},
            "annotations": {
                "jupyter-mlops.io/model": target.label,
                "jupyter-mlops.io/digest": target.digest,
            },
        },
        "spec": {
            "predictor": {
                "minReplicas": 1,
                "maxReplicas": 3,
                "terminationGracePeriodSeconds": 30,
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": USER,
                    "runAsGroup": USER,
                    "fsGroup": USER,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [_container(target, memory)],
                "volumes": [
                    {"name": "traffic", "emptyDir": {}},
                    {"name": "tmp", "emptyDir": {}},
                    {"name": "token", "secret": {"secretName": f"{name}-token"}},
                ],
            }
        },
    }


def _container(target: Target, memory: int) -> dict[str, Any]:
    def probe(path: str, **more: int) -> dict[str, Any]:
        return {"httpGet": {"path": path, "port": PORT}, **more}

    return {
        "name": "kserve-container",
        "image": target.image,
        "ports": [{"containerPort": PORT, "protocol": "TCP"}],
        "env": [{"name": "MLOPS_TOKEN_FILE", "value": "/secrets/token"}],
        "startupProbe": probe("/v2/health/ready", periodSeconds=2, failureThreshold=60),
        "readinessProbe": probe("/v2/health/ready", periodSeconds=5, timeoutSeconds=2),
        "livenessProbe": probe("/v2/health/live", periodSeconds=10, timeoutSeconds=2),
        "resources": {
            "requests": {"cpu": "500m", "memory": f"{memory}Gi"},
            "limits": {"cpu": "2", "memory": f"{memory}Gi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "traffic", "mountPath": "/traffic"},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  the container's own
            {"name": "token", "mountPath": "/secrets", "readOnly": True},
        ],
    }


def write_kserve(folder: Path, target: Target) -> None:
    """Write the manifest beside the build context."""
    text = yaml.safe_dump(inference_service(target), sort_keys=False)
    (folder / "inferenceservice.yaml").write_text(text)
