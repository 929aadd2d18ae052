"""A real JupyterLab in a real browser, for tests that say what a person sees.

The ``lab`` fixture runs one server per module: with a token, below a prefix that
holds an ``@`` and a dot, and with a home of its own. ``lab.open(path)`` gives a
page whose application is restored and whose kernel answers.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat
import psutil
import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

CHECKOUT = Path(__file__).resolve().parents[2]
BUILT = CHECKOUT / "jupyter_mlops" / "labextension"
BASE_URL = "/user/someone@x.org/proj/"
AXE = CHECKOUT / "labextension" / "checks" / "node_modules" / "axe-core" / "axe.min.js"

RESTORED = "async () => { await window.jupyterapp.restored; }"

NOTEBOOK_SHOWN = """() => {
    const widget = window.jupyterapp.shell.currentWidget;
    return Boolean(widget && widget.sessionContext && widget.content && widget.content.widgets);
}"""

KERNEL_READY = """async () => {
    const context = window.jupyterapp.shell.currentWidget.sessionContext;
    await context.ready;
    await context.session.kernel.info;
}"""

RUN_ALL = "async () => { await window.jupyterapp.commands.execute('notebook:run-all-cells'); }"

IDLE = """() => {
    const widget = window.jupyterapp.shell.currentWidget;
    const cells = Array.from(widget.content.widgets).filter(cell => cell.model.type === 'code');
    return cells.every(cell => cell.model.executionState !== 'running' && (
        cell.model.executionCount !== null || cell.model.sharedModel.getSource().trim() === ''));
}"""


class Lab:
    """A running JupyterLab: where it is, and pages on it."""

    def __init__(self, root: Path, home: Path, browser: Browser) -> None:
        self.root = root
        self.home = home
        self.token = secrets.token_hex(16)
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}{quote(BASE_URL, safe='/@')}"
        self.browser = browser
        self.log = home / "server.log"
        self._contexts: list[Any] = []
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it answers."""
        quiet = self.home / ".jupyter/lab/user-settings/@jupyterlab/apputils-extension"
        quiet.mkdir(parents=True, exist_ok=True)
        (quiet / "notification.jupyterlab-settings").write_text(
            json.dumps({"fetchNews": "false", "checkForUpdates": False})
        )
        arguments = [
            "--no-browser",
            "--ip=127.0.0.1",
            f"--port={self.port}",
            "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={self.token}",
            f"--ServerApp.root_dir={self.root}",
            f"--ServerApp.base_url={BASE_URL}",
            "--LabApp.news_url=None",
            "--LabApp.expose_app_in_browser=True",
            "--JupyterNotebookApp.expose_app_in_browser=True",
        ]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            arguments.append("--allow-root")
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", *arguments],
                env=private_environment(self.home),
                cwd=self.root,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + 180
        while True:
            try:
                self.get("api/status")
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"JupyterLab did not start:\n{self.log_tail()}") from None
                time.sleep(0.2)

    def stop(self) -> None:
        """Close the pages, then the server with every process it started."""
        for context in self._contexts:
            context.close()
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        # The agent outlives the server on purpose, and would serve on.
        stop_agents(self.root)

    def log_tail(self, characters: int = 4000) -> str:
        """What the server said last."""
        return self.log.read_text(errors="replace")[-characters:]

    def get(self, path: str) -> Any:
        """The JSON that the server answers to ``GET path``."""
        return self._request("GET", path, None)

    def post(self, path: str, body: Any = None) -> Any:
        """The JSON that the server answers to ``POST path``."""
        return self._request("POST", path, body if body is not None else {})

    def _request(self, method: str, path: str, body: Any) -> Any:
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"token {self.token}",
                "Content-Type": "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def notebook(self, name: str, cells: list[str]) -> str:
        """Write a notebook of these code cells below the root; its path."""
        document = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(source) for source in cells],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        )
        nbformat.write(document, self.root / name)
        return name

    def open(
        self,
        path: str = "",
        *,
        app: str = "lab",
        width: int = 1280,
        height: int = 800,
        dark: bool = False,
    ) -> Page:
        """A new page on ``path``, restored and with a kernel that answers.

        Parameters
        ----------
        path : str
            A notebook below the root; empty: the application alone.
        app : {"lab", "notebook"}
            JupyterLab or Notebook 7.
        dark : bool
            Whether the dark theme is on.
        """
        context = self.browser.new_context(viewport={"width": width, "height": height})
        self._contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(90_000)
        if app == "lab":
            # A page keeps its layout to itself: a reload brings back what was in it, and no more.
            address = f"lab/workspaces/page-{len(self._contexts)}"
            address += f"/tree/{quote(path)}" if path else ""
            address += f"?token={self.token}&reset"
        else:
            address = f"notebooks/{quote(path)}" if path else "tree"
            address += f"?token={self.token}"
        page.goto(self.url + address, wait_until="domcontentloaded")
        page.wait_for_function("() => window.jupyterapp !== undefined", timeout=120_000)
        page.evaluate(RESTORED)
        if path.endswith(".ipynb"):
            self.kernel_ready(page)
        if dark:
            self.theme(page, "JupyterLab Dark")
        return page

    def theme(self, page: Page, name: str) -> None:
        """Change the theme and wait until it is on."""
        page.evaluate(
            "name => window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})",
            name,
        )
        page.wait_for_function(
            "name => document.body.dataset.jpThemeName === name", arg=name, timeout=120_000
        )

    def kernel_ready(self, page: Page) -> None:
        """Wait until the open notebook's kernel answers: cells run earlier are dropped."""
        page.wait_for_function(NOTEBOOK_SHOWN, timeout=120_000)
        page.evaluate(KERNEL_READY)

    def run_all(self, page: Page, timeout: float = 120) -> None:
        """Run every cell of the open notebook and wait until the last is done."""
        self.kernel_ready(page)
        page.evaluate(RUN_ALL)
        page.wait_for_function(IDLE, timeout=timeout * 1000)


def stop_agents(folder: Path) -> None:
    """End the agents of the workspaces below a folder, and so what they serve."""
    agents = [
        process
        for process in psutil.process_iter(["cmdline"])
        if "jupyter_mlops.agent" in (process.info["cmdline"] or [])
        and any(part.startswith(str(folder)) for part in process.info["cmdline"])
    ]
    for process in agents:
        process.terminate()
    psutil.wait_procs(agents, timeout=60)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def private_environment(home: Path) -> dict[str, str]:
    """An environment that sees this checkout's extension and nobody's settings."""
    assert (BUILT / "package.json").exists(), (
        f"{BUILT} is not built: run `jlpm install && jlpm build:prod` in the checkout"
    )
    prefix = home / "prefix"
    extensions = prefix / "share" / "jupyter" / "labextensions"
    settings = prefix / "etc" / "jupyter" / "jupyter_server_config.d"
    if not prefix.exists():
        extensions.mkdir(parents=True)
        (extensions / "jupyter-mlops").symlink_to(BUILT, target_is_directory=True)
        settings.mkdir(parents=True)
        for source in (CHECKOUT / "jupyter-config" / "server-config").glob("*.json"):
            shutil.copy(source, settings)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("JUPYTER", "JPY_", "MLFLOW_", "XDG_"))
    }
    return kept | {
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": str(CHECKOUT),
        "JUPYTER_PATH": str(prefix / "share" / "jupyter"),
        "JUPYTER_CONFIG_PATH": str(prefix / "etc" / "jupyter"),
    }


@pytest.fixture(scope="module")
def _playwright() -> Iterator[Playwright]:
    # Not for the whole session: while it runs, other tests can't run an event loop.
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(_playwright: Playwright) -> Iterator[Browser]:
    """A browser without a window."""
    browser = launch(_playwright)
    yield browser
    browser.close()


def launch(playwright: Playwright) -> Browser:
    """Start Debian's Chromium where there is one, else the one playwright installed."""
    return playwright.chromium.launch(
        executable_path=shutil.which("chromium"),
        args=[
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
        ],
    )


@pytest.fixture(scope="module")
def lab(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One JupyterLab for the tests of a module."""
    home = tmp_path_factory.mktemp("home")
    root = home / "work"
    root.mkdir()
    lab = Lab(root, home, browser)
    lab.start()
    try:
        yield lab
    finally:
        lab.stop()


@pytest.fixture(autouse=True)
def jp_asyncio_loop() -> None:
    """No event loop for each test: the browser's driver runs its own."""


@pytest.fixture(autouse=True)
def jp_server_cleanup() -> None:
    """No server runs in this process."""


@pytest.fixture
def axe() -> Callable[[Page, str], list[dict[str, Any]]]:
    """Accessibility violations that axe-core finds below a selector."""

    def violations(page: Page, selector: str) -> list[dict[str, Any]]:
        assert AXE.exists(), f"{AXE} is missing: run `jlpm checks` in the checkout"
        if not page.evaluate("() => window.axe !== undefined"):
            page.evaluate(AXE.read_text())
        found = page.evaluate(
            "selector => window.axe.run(document.querySelector(selector)).then(r => r.violations)",
            selector,
        )
        return [
            {"id": one["id"], "help": one["help"], "where": [n["html"][:200] for n in one["nodes"]]}
            for one in found
        ]

    return violations


@pytest.fixture
def shots() -> Callable[[Page, str], None]:
    """Keep a picture of the page in the folder that SCREENSHOTS names, when it does."""

    def shoot(page: Page, name: str) -> None:
        folder = os.environ.get("SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=str(Path(folder) / f"{name}.png"))

    return shoot
