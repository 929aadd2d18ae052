"""What an endpoint process is told when it starts."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from jupyter_mlops.workspace.errors import Invalid

FRESH = "hot"  # the folder of segments within an endpoint's traffic folder


@dataclass(frozen=True)
class EndpointConfig:
    """The content of an endpoint's configuration file.

    Attributes
    ----------
    endpoint, model, version, digest : str
        Name of the endpoint, and which model it serves.
    path : str
        The MLflow model directory.
    traffic, state : str
        Folder of the traffic log, and the file the process keeps its state in; two processes
        never have the same state file.
    token_sha256 : str
        SHA-256 of the bearer token.
    port : int
        Port on 127.0.0.1; 0 takes a free one.
    key, time : str, optional
        Request columns logged as business key and event time.
    contract : {"observe", "enforce", "off"}
        What happens to rows that break the model's contract, when it has one.
    takeover : bool
        An older process of this endpoint has the port and will leave it to this one.
    hosts : list of str
        Further values of `Host` to accept, such as a proxy's.
    max_body, max_rows : int
        Limits of one request, in bytes and rows.
    replicas : int
        Processes of the model.
    max_memory : int
        Bytes each may take; 0 for as much as there is.
    predict_seconds : float
        Time that the model has for one batch, before its process is ended.
    """

    endpoint: str
    model: str
    version: str
    digest: str
    path: str
    traffic: str
    state: str
    token_sha256: str
    port: int = 0
    key: str | None = None
    time: str | None = None
    contract: Literal["observe", "enforce", "off"] = "observe"
    takeover: bool = False
    hosts: list[str] = field(default_factory=list)
    max_body: int = 32 << 20
    max_rows: int = 50_000
    replicas: int = 1
    max_memory: int = 0
    predict_seconds: float = 60.0

    @property
    def about(self) -> dict[str, str]:
        """What each response, metric and log segment says about the model."""
        return {
            "endpoint": self.endpoint,
            "model": self.model,
            "version": self.version,
            "digest": self.digest,
        }

    def write(self, path: Path) -> None:
        """Write the file, readable by its owner alone."""
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as stream:
            json.dump(asdict(self), stream, indent=1)
        partial.replace(path)

    @classmethod
    def read(cls, path: Path) -> EndpointConfig:
        """Read the file.

        Raises
        ------
        Invalid
            It is missing or holds something else.
        """
        try:
            return cls(**json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError) as error:
            raise Invalid(
                "the endpoint's configuration cannot be read",
                str(error),
                "serve the model again",
                code="E-SERVE-020",
            ) from error
