"""A request that has arrived already, answered by an ASGI application."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

__all__ = ["relay"]


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
