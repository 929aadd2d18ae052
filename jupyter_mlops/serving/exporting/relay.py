"""An endpoint behind somebody else's server, which hands over requests that have arrived."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from jupyter_mlops.serving.bundle import application, config_of

__all__ = ["Replica", "relay"]


class Replica:
    """An endpoint with its model's process, its checks, its batching, contract and log.

    Parameters
    ----------
    bundle : Path
    environment : mapping
        As `jupyter_mlops.serving.bundle` has it.
    """

    def __init__(self, bundle: Path, environment: Mapping[str, str]) -> None:
        self.endpoint, self.app = application(config_of(bundle, environment))
        self._begun = False

    async def answer(self, request: Request) -> Response:
        """Answer a request as the endpoint does."""
        if not self._begun:
            # Its work belongs to the loop that answers.
            self._begun = True
            self.endpoint.board.begin()
        return await relay(self.app, request)

    def close(self) -> None:
        """End the model's process."""
        self.endpoint.board.close()


async def relay(app: Any, request: Request) -> Response:
    """Answer a request as the application does.

    Parameters
    ----------
    app : ASGI application
    request : Request
    """
    body = await request.body()
    asked = False
    status = 500
    headers: list[tuple[bytes, bytes]] = []
    chunks: list[bytes] = []

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:
            return {"type": "http.disconnect"}
        asked = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            chunks.append(message.get("body", b""))

    # The path below the route prefix alone is the application's.
    root = request.scope.get("root_path", "")
    path = request.scope["path"].removeprefix(root) or "/"
    await app({**dict(request.scope), "path": path, "root_path": ""}, receive, send)
    response = Response(b"".join(chunks), status)
    response.raw_headers = [(name.lower(), value) for name, value in headers]
    return response
