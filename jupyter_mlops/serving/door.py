"""Who may come in: checked before a byte of the body is read."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from jupyter_mlops.serving.jsonbody import write_json

OPEN = frozenset({"/ping", "/health", "/v2/health/live", "/v2/health/ready"})


def refusal_response(status: int, code: str, message: str, request_id: str = "") -> Response:
    """Return an error in the forms of MLflow (`error_code`, `message`) and V2 (`error`) at once."""
    body = {
        "error": message,
        "error_code": "BAD_REQUEST" if status < 500 else "INTERNAL_ERROR",
        "message": message,
        "code": code,
    }
    headers = {"x-request-id": request_id} if request_id else {}
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    if status in (429, 503):
        headers["retry-after"] = "1"
    return Response(write_json(body), status, headers, "application/json")


class Door:
    """Lets in requests that carry the endpoint's token and were meant for it.

    Parameters
    ----------
    app : ASGI application
    token_sha256 : str
        SHA-256 of the token, hexadecimal.
    hosts : iterable of str
        Accepted values of `Host`, exactly: a name that was rebound to this machine is refused.

    Notes
    -----
    The token comes as ``Authorization: Bearer TOKEN``, or as the password of HTTP Basic for
    clients that know nothing else (``.netrc``). No browser is asked for one, so that none keeps
    it. A request with a foreign `Origin` is refused even with the token.
    """

    def __init__(self, app: ASGIApp, *, token_sha256: str, hosts: Iterable[str]) -> None:
        self.app = app
        self.token = bytes.fromhex(token_sha256)
        self.hosts = frozenset(host.lower().encode() for host in hosts)
        self.origins = frozenset(b"http://" + host for host in self.hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            response = self.refusal(scope["path"], scope["headers"])
            await (response or self.app)(scope, receive, send)

    def refusal(self, path: str, headers: Iterable[tuple[bytes, bytes]]) -> Response | None:
        """Return what a request is turned away with; None where it may come in."""
        host = origin = authorization = None
        hosts = 0
        for name, value in headers:
            if name == b"host":
                host = value
                hosts += 1
            elif name == b"authorization":
                authorization = value
            elif name == b"origin":
                origin = value
        if hosts != 1 or host is None or host.lower() not in self.hosts:
            return refusal_response(403, "E-SERVE-140", "the Host header names another server")
        if origin is not None and origin.lower() not in self.origins:
            return refusal_response(403, "E-SERVE-141", "requests of other sites are refused")
        if path not in OPEN and not knows(self.token, authorization):
            return refusal_response(
                401,
                "E-SERVE-142",
                "send the endpoint's token: Authorization: Bearer TOKEN",
            )
        return None


def knows(token_sha256: bytes, authorization: bytes | None) -> bool:
    """Whether an ``Authorization`` holds the token of that SHA-256.

    It comes as ``Bearer TOKEN``, or as the password of HTTP Basic.
    """
    if authorization is None:
        return False
    scheme, _, credentials = authorization.partition(b" ")
    token = credentials.strip()
    if scheme.lower() == b"basic":
        try:
            token = base64.b64decode(token, validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            return False
    elif scheme.lower() != b"bearer":
        return False
    return hmac.compare_digest(hashlib.sha256(token).digest(), token_sha256)
