"""What an endpoint process is told when it starts."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from jupyter_mlops.serving.logpolicy import LogPolicy
from jupyter_mlops.workspace.errors import Invalid

FRESH = "hot"  # the folder of segments within an endpoint's traffic folder
SHADOW = "shadow"  # the folder of a shadow's traffic within it


Role = Literal["primary", "canary", "shadow"]


@dataclass(frozen=True)
class Deployment:
    """One version that an endpoint serves.

    Attributes
    ----------
    model, version, digest : str
    path : str
        The MLflow model directory.
    contract : {"observe", "enforce", "off"}
        What happens to rows that break the model's contract, when it has one.
    role : {"primary", "canary", "shadow"}
        A canary answers a share of the requests; a shadow predicts and is compared, unheard.
    weight : float
        A canary's share, from 0 to 1.
    pickles : bool
        Whether opening the model may run code: a waiver is recorded for it.
    environment, interpreter : str
        The managed environment that its processes are of; both empty for the agent's own.
    """

    model: str
    version: str
    digest: str
    path: str
    contract: Literal["observe", "enforce", "off"] = "observe"
    role: Role = "primary"
    weight: float = 0.0
    pickles: bool = False
    environment: str = ""
    interpreter: str = ""

    @property
    def same(self) -> tuple[str, ...]:
        """What tells whether two of them can be the same processes."""
        shadow = "shadow" if self.role == "shadow" else ""
        return (self.model, self.version, self.digest, self.path, self.contract, shadow,
                self.interpreter)  # fmt: skip


@dataclass(frozen=True)
class Gpus:
    """GPUs that an endpoint holds.

    Attributes
    ----------
    lease : str
    devices : list of str
        Their uuids.
    memory : int
        Bytes on the one; 0 for whole GPUs.
    variables : dict of str to str
        What each process of a model is told of them.
    """

    lease: str
    devices: list[str]
    memory: int
    variables: dict[str, str]


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
    grpc_port : int, optional
        Port for gRPC, likewise; None listens on none.
    key, time : str, optional
        Request columns logged as business key and event time.
    contract : {"observe", "enforce", "off"}
        What happens to rows that break the model's contract, when it has one.
    generation : int
        Counts declarations of the endpoint.
    beside : list of Deployment
        Further versions: a canary, a shadow.
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
    max_waiting : int
        Rows that may wait for a process of the model.
    pickles : bool
        Whether opening the model may run code: a waiver is recorded for it.
    environment, interpreter : str
        The managed environment of the primary's processes.
    gpus : Gpus, optional
        What its models' processes may use of the GPUs.
    log : LogPolicy
        What is written down.
    hash_key : str
        The file with the key of the log's hashes.
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
    grpc_port: int | None = None
    key: str | None = None
    time: str | None = None
    contract: Literal["observe", "enforce", "off"] = "observe"
    generation: int = 1
    beside: list[Deployment] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    max_body: int = 32 << 20
    max_rows: int = 50_000
    replicas: int = 1
    max_memory: int = 0
    predict_seconds: float = 60.0
    max_waiting: int = 400_000
    pickles: bool = False
    environment: str = ""
    interpreter: str = ""
    gpus: Gpus | None = None
    log: LogPolicy = field(default_factory=LogPolicy)
    hash_key: str = ""

    @property
    def primary(self) -> Deployment:
        """The version that answers where no other does."""
        return Deployment(
            self.model, self.version, self.digest, self.path, self.contract,
            pickles=self.pickles, environment=self.environment, interpreter=self.interpreter,
        )  # fmt: skip

    @property
    def about(self) -> dict[str, str]:
        """What each response, metric and log segment says about the model."""
        return self.about_of(self.primary)

    def about_of(self, one: Deployment) -> dict[str, str]:
        """What is said about one of the versions."""
        return {
            "endpoint": self.endpoint,
            "model": one.model,
            "version": one.version,
            "digest": one.digest,
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
            told = json.loads(path.read_bytes())
            told["beside"] = [Deployment(**one) for one in told.get("beside", [])]
            told["gpus"] = Gpus(**told["gpus"]) if told.get("gpus") else None
            told["log"] = LogPolicy.of(told.get("log", {}))
            return cls(**told)
        except (OSError, ValueError, TypeError) as error:
            raise Invalid(
                "the endpoint's configuration cannot be read",
                str(error),
                "serve the model again",
                code="E-SERVE-020",
            ) from error
