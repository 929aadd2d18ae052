"""Dask's dashboard is reached through Jupyter's own proxy, by those who may."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from jupyter_core.paths import jupyter_config_path
from jupyter_server.extension.config import ExtensionConfigManager
from tornado.httpclient import HTTPResponse


class Dashboard(BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        Dashboard.asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"the workers are busy")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def dashboard() -> Iterator[int]:
    """A server on a loopback port, as a cluster's dashboard is one."""
    Dashboard.asked = []
    server = HTTPServer(("127.0.0.1", 0), Dashboard)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def jp_server_config(jp_server_config: dict[str, Any]) -> dict[str, Any]:
    jp_server_config["ServerApp"]["jpserver_extensions"]["jupyter_server_proxy"] = True
    return jp_server_config


def test_the_proxy_is_enabled_where_it_is_installed() -> None:
    installed = Path(sys.prefix, "etc", "jupyter")
    assert str(installed) in jupyter_config_path()
    found = ExtensionConfigManager(read_config_path=[str(installed)])
    assert found.get_jpserver_extensions()["jupyter_server_proxy"]


async def test_the_proxy_leads_to_a_dashboard_with_a_token_and_nowhere_without(
    jp_fetch: Callable[..., Awaitable[HTTPResponse]], dashboard: int
) -> None:
    answer = await jp_fetch("proxy", str(dashboard), "status")
    assert answer.body == b"the workers are busy"
    assert Dashboard.asked == ["/status"]
    for token in ("", "token wrong"):
        refused = await jp_fetch(
            "proxy",
            str(dashboard),
            "status",
            headers={"Authorization": token},
            follow_redirects=False,
            raise_error=False,
        )
        assert refused.code in {302, 403}
        assert b"busy" not in refused.body
    assert Dashboard.asked == ["/status"]
