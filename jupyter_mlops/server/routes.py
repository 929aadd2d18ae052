"""All routes of the extension."""

from __future__ import annotations

from typing import Any

from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_mlops.server import routes_labels, routes_openapi, routes_reports, routes_verbs
from jupyter_mlops.server.answers import RESOURCE, MLOpsHandler

__all__ = ["BASE", "handlers"]

BASE = "/mlops/api"


def handlers() -> list[tuple[str, Any]]:
    """Patterns and handler classes, without the server's base URL."""
    found: list[tuple[str, Any]] = [
        *routes_verbs.handlers(BASE),
        (rf"{BASE}/openapi\.json", routes_openapi.OpenAPIHandler),
        (rf"{BASE}/reports/([^/]+)", routes_reports.ReportHandler),
    ]
    found += routes_labels.HANDLERS
    # Last: Jupyter would answer what is left with a page.
    found.append((rf"{BASE}/.*", UnknownHandler))
    return found


class UnknownHandler(MLOpsHandler):
    """Paths that nothing is at."""

    SUPPORTED_METHODS = ("GET", "HEAD", "POST")

    @web.authenticated
    @authorized("read", RESOURCE)  # type: ignore[untyped-decorator]
    async def get(self) -> None:
        raise web.HTTPError(404)

    @web.authenticated
    @authorized("read", RESOURCE)  # type: ignore[untyped-decorator]
    async def head(self) -> None:
        raise web.HTTPError(404)

    @web.authenticated
    @authorized("read", RESOURCE)  # type: ignore[untyped-decorator]
    async def post(self) -> None:
        raise web.HTTPError(404)
