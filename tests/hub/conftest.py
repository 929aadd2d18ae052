"""A real JupyterHub behind a real proxy, for one user with an awkward name."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from playwright.sync_api import Browser, sync_playwright

CHECKOUT = Path(__file__).resolve().parents[2]
PROXY = CHECKOUT / "labextension/checks/node_modules/.bin/configurable-http-proxy"
PREFIX = "/science/"
USER = "ana.b@x.org"

CONFIG = """
import os, sys
c.JupyterHub.bind_url = "http://127.0.0.1:{port}{prefix}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{hub}"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api}"
c.ConfigurableHTTPProxy.command = [{node!r}, {proxy!r}]
c.JupyterHub.db_url = "sqlite:///{home}/hub.sqlite"
c.JupyterHub.cookie_secret_file = "{home}/cookie"
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.spawner_class = "simple"
c.Authenticator.allow_all = True
c.SimpleLocalProcessSpawner.home_dir_template = "{home}/users/{{username}}"
c.Spawner.cmd = [sys.executable, "-m", "jupyterhub.singleuser"]
c.Spawner.args = [
    "--LabApp.expose_app_in_browser=True",
    "--LabApp.news_url=None",
] + (["--allow-root"] if os.geteuid() == 0 else [])
c.Spawner.default_url = "/lab"
c.Spawner.start_timeout = 90
c.Spawner.http_timeout = 90
c.Spawner.environment = {environment!r}
"""


class Hub:
    """A running JupyterHub."""

    def __init__(self, home: Path, browser: Browser) -> None:
        self.home = home
        self.browser = browser
        self.user = USER
        self.port, self.hub, self.api = (_free_port() for _ in range(3))
        self.url = f"http://127.0.0.1:{self.port}{PREFIX}"
        self.log = home / "hub.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, environment: dict[str, str]) -> None:
        """Start hub and proxy, and wait until both answer."""
        node = shutil.which("node")
        assert node, "the proxy needs Node"
        assert PROXY.exists(), f"{PROXY} is missing: run `jlpm checks` in the checkout"
        # What Jupyter needs to find the extension; the user's home is the spawner's to set.
        given = {k: v for k, v in environment.items() if k.startswith(("JUPYTER", "PYTHON"))}
        config = self.home / "jupyterhub_config.py"
        config.write_text(
            CONFIG.format(
                port=self.port,
                hub=self.hub,
                api=self.api,
                prefix=PREFIX,
                home=self.home,
                node=node,
                proxy=str(PROXY.resolve()),
                environment=given,
            )
        )
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "jupyterhub", "-f", str(config)],
                env=environment,
                cwd=self.home,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}hub/login", timeout=5):
                    return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"JupyterHub did not start:\n{self.tail()}") from None
                time.sleep(0.2)

    def tail(self) -> str:
        """What hub, proxy and user's server said last."""
        return self.log.read_text(errors="replace")[-4000:]

    def stop(self) -> None:
        """Stop the user's server, then hub and proxy."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _lab_fixtures() -> ModuleType:
    path = CHECKOUT / "tests" / "browser" / "conftest.py"
    spec = importlib.util.spec_from_file_location("lab_fixtures", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def jp_asyncio_loop() -> None:
    """No event loop for each test: the browser's driver runs its own."""


@pytest.fixture(autouse=True)
def jp_server_cleanup() -> None:
    """No server runs in this process."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """One JupyterHub, with a browser to look at it."""
    fixtures = _lab_fixtures()
    home = tmp_path_factory.mktemp("hub")
    with sync_playwright() as playwright:
        browser = fixtures.launch(playwright)
        hub = Hub(home, browser)
        try:
            hub.start(fixtures.private_environment(home))
            yield hub
        finally:
            hub.stop()
            fixtures.stop_agents(home)
            browser.close()
