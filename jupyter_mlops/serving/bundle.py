"""An endpoint from a bundle: ``python -m jupyter_mlops.serving.bundle --bundle FOLDER``.

What `%mlops export` writes is served without a workspace, a store or MLflow: in a container, on
KServe, on Ray, or in a folder of its own. It listens on all addresses, so it always asks for a
token, which comes from a secret and never from the bundle:

* ``MLOPS_TOKEN_FILE``, a file such as a mounted secret, or ``MLOPS_TOKEN``.
* ``MLOPS_TRAFFIC``: the folder of the traffic log; ``/traffic`` when not set.
* ``MLOPS_CONTRACT``: observe, enforce or off, instead of what the bundle says.
* ``MLOPS_HOSTS``: the only values of ``Host`` to accept, separated by commas; any when not set,
  because behind a cluster's proxies nobody knows them.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import socket
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

import jupyter_mlops
from jupyter_mlops.serving.config import EndpointConfig
from jupyter_mlops.serving.expectations import Mode
from jupyter_mlops.workspace.errors import Denied, Invalid, MLOpsError, Unavailable

if TYPE_CHECKING:
    from jupyter_mlops.serving.application import Endpoint

__all__ = ["FILE", "AnyHost", "application", "config_of", "main"]

FILE: Final = "bundle.json"
PORT: Final = 8080
_MODES: Final[tuple[Mode, ...]] = get_args(Mode)
_SHORTEST: Final = 16


def config_of(folder: Path, environment: Mapping[str, str], port: int = PORT) -> EndpointConfig:
    """What the endpoint is told: the bundle's own file, and the secrets around it.

    Parameters
    ----------
    folder : Path
        The bundle.
    environment : mapping
        Variables as they are named above.
    port : int

    Raises
    ------
    Invalid
        The folder is no bundle, or a variable can't be understood.
    Denied
        There is no token, or one too short to protect anything.
    """
    try:
        told = json.loads((folder / FILE).read_bytes())
        names = ("endpoint", "model", "version", "digest")
        endpoint, model, version, digest = (str(told[name]) for name in names)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Invalid(
            f"{folder} is no bundle",
            f"{FILE}: {getattr(error, 'strerror', None) or error!r}",
            "write one with `%mlops export`",
            code="E-BUNDLE-001",
        ) from None
    mode: Any = environment.get("MLOPS_CONTRACT") or told.get("contract", "observe")
    if mode not in _MODES:
        raise Invalid(f"MLOPS_CONTRACT can't be {mode!r}", f"it is one of {', '.join(_MODES)}",
                      code="E-BUNDLE-002")  # fmt: skip
    traffic = Path(environment.get("MLOPS_TRAFFIC") or "/traffic")
    try:
        traffic.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            f"the traffic log can't be kept in {traffic}",
            error.strerror or str(error),
            "mount a volume there, or name another folder in MLOPS_TRAFFIC",
            code="E-BUNDLE-003",
        ) from None
    hosts = [one.strip() for one in environment.get("MLOPS_HOSTS", "").split(",") if one.strip()]
    return EndpointConfig(
        endpoint=endpoint,
        model=model,
        version=version,
        digest=digest,
        path=str(folder / "model"),
        traffic=str(traffic),
        state=str(traffic / "state.json"),
        token_sha256=hashlib.sha256(_token(environment).encode()).hexdigest(),
        port=port,
        key=told.get("key"),
        time=told.get("time"),
        contract=mode,
        hosts=hosts,
        # The waiver was looked at when the bundle was written.
        pickles=told.get("pickles") is True,
    )


def _token(environment: Mapping[str, str]) -> str:
    file = environment.get("MLOPS_TOKEN_FILE")
    token = environment.get("MLOPS_TOKEN", "")
    if file:
        try:
            token = Path(file).read_text()
        except OSError as error:
            raise Denied(
                "the endpoint's token can't be read",
                f"{file}: {error.strerror}",
                "mount the secret there",
                code="E-BUNDLE-004",
            ) from None
    token = token.strip()
    if len(token) < _SHORTEST:
        raise Denied(
            "the endpoint has no token" if not token else "the endpoint's token is too short",
            "it listens on all addresses, where a token alone protects it",
            f"set MLOPS_TOKEN_FILE or MLOPS_TOKEN to {_SHORTEST} characters or more",
            code="E-BUNDLE-005",
        )
    return token


@dataclass(frozen=True)
class AnyHost:
    """An ASGI application that is reached under names it doesn't know.

    Probes come by a pod's address and callers by a cluster's name. Rebinding a name is no way
    in, as no browser has the token; a foreign `Origin` is still refused.

    Parameters
    ----------
    app : ASGI application
    host : str
        The name that it knows.
    """

    app: Any
    host: str

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            given = [(name, value) for name, value in scope["headers"] if name != b"host"]
            scope = {**scope, "headers": [(b"host", self.host.encode()), *given]}
        await self.app(scope, receive, send)


def application(config: EndpointConfig) -> tuple[Endpoint, Any]:
    """Start the model; return its `Endpoint` and the ASGI application in front of it.

    Raises
    ------
    MLOpsError
        The model can't be served; says why.
    """
    from jupyter_mlops.serving.process import build

    # A container ends with its last process: nothing is kept warm beside it.
    os.environ.setdefault("JUPYTER_MLOPS_FORK", "off")
    # The model's process runs this very code, also where only `sys.path` led to it.
    here = str(Path(jupyter_mlops.__file__).resolve().parents[1])
    there = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join([here, *(one for one in there if one)])
    warnings.simplefilter("ignore")
    endpoint = build(config)
    inner = endpoint.application(config.port)
    app = inner if config.hosts else AnyHost(inner, f"127.0.0.1:{config.port}")
    return endpoint, app


def main(arguments: list[str] | None = None) -> int:
    """Serve a bundle until told to stop; return the process's exit status."""
    from jupyter_mlops.serving import process

    parser = argparse.ArgumentParser(prog="python -m jupyter_mlops.serving.bundle")
    parser.add_argument("--bundle", required=True, type=Path)
    parser.add_argument("--host", default="0.0.0.0", help="the address to listen on")  # noqa: S104  a container's
    parser.add_argument("--port", default=PORT, type=int)
    told = parser.parse_args(arguments)
    try:
        config = config_of(told.bundle.resolve(), os.environ, told.port)
        listener = _listen(told.host, told.port)
        endpoint, app = application(config)
    except MLOpsError as error:
        print(error, file=sys.stderr)
        return process.WRONG
    endpoint.application = lambda _: app  # type: ignore[method-assign, assignment]
    state = Path(config.state)
    # Nothing else is ever declared here: a bundle is one version.
    declared = process.Declared(state.with_name("declared.json"), endpoint)
    try:
        import uvloop

        run: Any = uvloop.run
    except ImportError:  # Windows
        run = asyncio.run
    run(process.serve(endpoint, listener, process.StateFile(state, config), declared))
    return 0


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise Unavailable(
            f"port {port} of {host} can't be used",
            error.strerror or str(error),
            "choose another with --port",
            code="E-BUNDLE-006",
        ) from None
    return listener


if __name__ == "__main__":
    sys.exit(main())
