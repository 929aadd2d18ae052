"""Stored reports: whole HTML pages with scripts, which may do nothing but draw."""

from __future__ import annotations

import re

from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_mlops.server.answers import RESOURCE, MLOpsHandler
from jupyter_mlops.workspace.errors import MLOpsError, NotFound

__all__ = ["ReportHandler"]

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
# `sandbox` without allow-same-origin makes the page an origin of its own: its scripts reach
# neither the server's cookies nor its API, and connect-src keeps them from telling anybody.
POLICY = "; ".join(
    [
        "sandbox allow-scripts",
        "default-src 'none'",
        "script-src 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'unsafe-inline'",
        "img-src data: blob:",
        "font-src data:",
        "worker-src blob:",
        "connect-src 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    ]
)


class ReportHandler(MLOpsHandler):
    """A stored report as a page for a frame."""

    @property
    def content_security_policy(self) -> str:
        return POLICY

    @web.authenticated
    @authorized("read", RESOURCE)  # type: ignore[untyped-decorator]
    async def get(self, report: str) -> None:
        try:
            page = await self.in_thread(self._read, report)
        except MLOpsError as error:
            self.refuse(error)
            return
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "private, max-age=3600, immutable")
        await self.finish(page, set_content_type="text/html; charset=utf-8")

    def _read(self, report: str) -> bytes:
        if not _ID.fullmatch(report):
            raise NotFound(f"{report[:64]!r} is no report", code="E-SERVER-007")
        reports = self.app.served.open(create=False).reports
        if not reports.exists(f"{report}.html"):
            raise NotFound(
                f"there is no report {report}",
                fix="`%mlops report ENDPOINT` makes one",
                code="E-SERVER-008",
            )
        return reports.read_bytes(f"{report}.html")
