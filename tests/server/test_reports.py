"""A stored report is a page that draws and does nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse

from jupyter_mlops.workspace import Workspace

Fetch = Callable[..., Awaitable[HTTPResponse]]


async def test_a_report_is_served_sandboxed(jp_fetch: Fetch, workspace: Workspace) -> None:
    workspace.reports.write_bytes("ab12.html", b"<script>draw()</script>")
    answer = await jp_fetch("mlops", "api", "reports", "ab12")
    assert answer.body == b"<script>draw()</script>"
    assert answer.headers["Content-Type"].startswith("text/html")
    policy = answer.headers["Content-Security-Policy"]
    assert "sandbox allow-scripts;" in policy
    assert "allow-same-origin" not in policy
    assert "connect-src 'none'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", ["nosuch", "..%2Fsecrets", "%2e%2e", "a%00b", "a.html", "-" * 65])
async def test_other_files_are_not_reports(
    jp_fetch: Fetch, workspace: Workspace, name: str, jp_base_url: str, http_server_client: Any
) -> None:
    (workspace.home / "secrets.html").write_text("secret")
    answer = await jp_fetch("mlops", "api", "reports", name, raise_error=False)
    assert answer.code == 404
    assert b"secret" not in answer.body.replace(name.encode(), b"")
