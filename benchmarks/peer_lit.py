"""What LitServe is given by peer_servers.py: its processes import it by name."""

from typing import Any

import litserve as ls
import numpy as np
from peer_servers import model


class Peer(ls.LitAPI):
    """Answers rows with the probability of the second class."""

    def setup(self, device: str) -> None:
        self.model = model()

    def decode_request(self, request):  # LitServe takes an annotation for the body's place
        return np.asarray(request["dataframe_split"]["data"], dtype=float)

    def batch(self, inputs: list[Any]) -> Any:
        self.ends = np.cumsum([len(one) for one in inputs])[:-1]
        return np.concatenate(inputs)

    def predict(self, x: Any) -> Any:
        return self.model.predict_proba(x)[:, 1]

    def unbatch(self, output: Any) -> Any:
        return np.split(output, self.ends)

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"predictions": output.tolist()}
