"""Ray Serve: the same endpoint as a deployment."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped]

from jupyter_mlops.serving.exporting.container import write_server
from jupyter_mlops.serving.exporting.pins import Lock
from jupyter_mlops.serving.exporting.target import Target

__all__ = ["serve_config", "write_rayserve"]

_APP: Final = '''\
"""{label} as a Ray Serve application: `serve run serve_config.yaml` in this folder."""

import os
import sys
import tempfile
from pathlib import Path

from ray import serve

HERE = Path(__file__).resolve().parent


@serve.deployment(name="{resource}")
class Endpoint:
    """One replica: the endpoint with its checks, batching, contract, log and protocols."""

    def __init__(self) -> None:
        # On a cluster the bundle is unpacked as the replica's working folder.
        places = [Path.cwd(), HERE]
        bundle = next(one for one in places if (one / "bundle.json").is_file())
        sys.path.insert(0, str(bundle / "server"))
        from jupyter_mlops.serving.exporting.relay import Replica

        # A log of its own for each replica: two never write one file.
        logs = os.environ.get("MLOPS_TRAFFIC") or None
        own = {{"MLOPS_TRAFFIC": tempfile.mkdtemp(prefix="traffic-", dir=logs)}}
        self.replica = Replica(bundle, {{**os.environ, **own}})

    async def __call__(self, request):
        return await self.replica.answer(request)

    def __del__(self) -> None:
        replica = getattr(self, "replica", None)
        if replica is not None:
            replica.close()


app = Endpoint.bind()
'''


def serve_config(target: Target) -> dict[str, Any]:
    """The configuration that ``serve run`` and ``serve deploy`` take."""
    return {
        "proxy_location": "EveryNode",
        "http_options": {"host": "0.0.0.0", "port": 8000},  # noqa: S104  a cluster's
        "applications": [
            {
                "name": target.resource,
                "route_prefix": "/",
                "import_path": "app:app",
                "deployments": [
                    {
                        "name": target.resource,
                        # Requests that arrive while the model works are answered together.
                        "max_ongoing_requests": 256,
                        "autoscaling_config": {
                            "min_replicas": 1,
                            "max_replicas": 4,
                            "target_ongoing_requests": 64,
                        },
                        "ray_actor_options": {"num_cpus": 1},
                    }
                ],
            }
        ],
    }


def write_rayserve(folder: Path, target: Target, lock: Lock) -> None:
    """Write the application, its configuration, and what they need."""
    write_server(folder, target)
    (folder / "requirements.txt").write_text(lock.text)
    (folder / "app.py").write_text(_APP.format(label=target.label, resource=target.resource))
    text = yaml.safe_dump(serve_config(target), sort_keys=False)
    (folder / "serve_config.yaml").write_text(text)
