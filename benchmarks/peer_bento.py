"""What `bentoml serve` is given by peer_servers.py."""

import bentoml
import numpy as np
from peer_servers import BATCH, model


@bentoml.service(workers=1, traffic={"timeout": 300, "max_concurrency": 1000})
class Peer:
    """Answers rows with the probability of the second class."""

    def __init__(self) -> None:
        self.model = model()

    @bentoml.api(route="/invocations", batchable=True, max_batch_size=BATCH, max_latency_ms=60_000)
    def invocations(self, rows: np.ndarray) -> np.ndarray:
        return self.model.predict_proba(rows.astype(float))[:, 1]
