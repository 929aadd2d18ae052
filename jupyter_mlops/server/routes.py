"""All routes of the extension."""

from __future__ import annotations

from typing import Any

from jupyter_mlops.server import routes_labels, routes_openapi, routes_reports, routes_verbs

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
    return found
