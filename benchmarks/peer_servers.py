"""LitServe, BentoML and Ray Serve, each with the batching that it recommends, for serving.py.

Usage: ``python benchmarks/peer_servers.py litserve|bentoml|ray MODEL PORT`` in an environment that
has them. They believe every caller, check nothing and keep nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

MODEL = "PEER_MODEL"
BATCH, WAIT = 64, 0.002  # rows predicted at once, seconds that the first of them waits


def model() -> Any:
    """The estimator that all serve."""
    from skops.io import get_untrusted_types, load

    path = Path(os.environ[MODEL]) / "model.skops"
    found = load(path, trusted=get_untrusted_types(file=path))
    if hasattr(found, "feature_names_in_"):
        del found.feature_names_in_  # rows are arrays here
    return found


def litserve(port: int) -> None:
    import litserve as ls
    from peer_lit import Peer

    api = Peer(max_batch_size=BATCH, batch_timeout=WAIT, api_path="/invocations")
    server = ls.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(port=port, host="127.0.0.1", generate_client_file=False, log_level="error")


def bentoml(port: int) -> None:
    command = [sys.executable, "-m", "bentoml", "serve", "peer_bento:Peer", "--port", str(port)]
    command += ["--host", "127.0.0.1", "--working-dir", str(Path(__file__).parent)]
    sys.exit(subprocess.call(command))


def ray(port: int) -> None:
    import ray as cluster
    from ray import serve

    cluster.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": port})

    @serve.deployment(max_ongoing_requests=1000)
    class Peer:
        def __init__(self, path: str) -> None:
            os.environ[MODEL] = path
            self.model = model()

        @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=WAIT)
        async def predict(self, many: list[Any]) -> list[Any]:
            ends = np.cumsum([len(one) for one in many])[:-1]
            return np.split(self.model.predict_proba(np.concatenate(many))[:, 1], ends)

        async def __call__(self, request: Any) -> dict[str, Any]:
            told = await request.json()
            rows = np.asarray(told["dataframe_split"]["data"], dtype=float)
            return {"predictions": (await self.predict(rows)).tolist()}

    serve.run(Peer.bind(os.environ[MODEL]), route_prefix="/invocations")
    while True:
        time.sleep(60)


if __name__ == "__main__":
    os.environ[MODEL] = sys.argv[2]
    {"litserve": litserve, "bentoml": bentoml, "ray": ray}[sys.argv[1]](int(sys.argv[3]))
