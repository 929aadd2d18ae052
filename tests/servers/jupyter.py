"""A Jupyter server with the extension, which knows people by their tokens and may be killed."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from jupyter_core.paths import jupyter_config_path
from jupyter_server.extension.config import ExtensionConfigManager

from servers.ports import _end_with_parent, free_port

__all__ = ["JupyterServer"]

CHECKOUT = Path(__file__).parents[2]
CONFIG = """\
import hmac
from jupyter_server.auth import IdentityProvider, User


class People(IdentityProvider):
    async def get_user_token(self, handler):
        secret, _, name = (self.get_token(handler) or "").partition(".")
        return User(name) if name and hmac.compare_digest(secret, {secret!r}) else None


c = get_config()
c.ServerApp.identity_provider_class = People
c.IdentityProvider.token = {secret!r}
c.ServerApp.ip = "127.0.0.1"
c.ServerApp.port = {port}
c.ServerApp.port_retries = 0
c.ServerApp.open_browser = False
c.ServerApp.allow_root = True
c.ServerApp.root_dir = {root!r}
c.ServerApp.jpserver_extensions = {extensions!r}
c.MLOpsApp.start_agent = False
"""


class JupyterServer:
    """Jupyter Server on a folder, with nobody's settings and no other extension.

    Each start is a process of its own, forked from one that has read the code already:
    reading it takes a second, and a server that is killed hundreds of times would only do that.

    Parameters
    ----------
    root : Path
        What it serves; the workspace is there.
    home : Path
        For its settings and what it says.
    """

    def __init__(self, root: Path, home: Path) -> None:
        port, self.secret = free_port(), secrets.token_hex(16)
        self.url = f"http://127.0.0.1:{port}/"
        self.log = home / "server.log"
        found = ExtensionConfigManager(read_config_path=jupyter_config_path())
        extensions = dict.fromkeys(found.get_jpserver_extensions(), False)
        extensions["jupyter_mlops"] = True
        config = home / "jupyter_server_config.py"
        config.write_text(
            CONFIG.format(secret=self.secret, port=port, root=str(root), extensions=extensions)
        )
        foreign = ("JUPYTER", "JPY_", "XDG_")
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(foreign) or name == "JUPYTER_MLOPS_DATABASE_URL"
        }
        path = os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "tests")])
        self._forker = subprocess.Popen(
            [sys.executable, "-m", "servers.jupyter", str(self.log), f"--config={config}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=home,
            env=kept | {"HOME": str(home), "PYTHONPATH": path},
            text=True,
            preexec_fn=_end_with_parent,
        )
        self._serving: int | None = None

    @property
    def pid(self) -> int:
        """The process that serves."""
        assert self._serving is not None
        return self._serving

    def token(self, person: str) -> str:
        """What makes a caller this person."""
        return f"{self.secret}.{person}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self.begin()
        self.wait()

    def begin(self) -> None:
        """Start the server without waiting."""
        assert self._forker.stdin is not None
        assert self._serving is None
        self._forker.stdin.write("\n")
        self._forker.stdin.flush()
        self._serving = int(self._said())

    def wait(self) -> None:
        """Wait until the server answers."""
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{self.url}api", timeout=5).close()
                return
            except OSError as error:
                if time.monotonic() > deadline:
                    told = self.log.read_text(errors="replace")[-2000:]
                    raise AssertionError(f"no server: {error}\n{told}") from None
                time.sleep(0.02)

    def kill(self) -> None:
        """End the server as a crash does."""
        if self._serving is not None:
            os.kill(self._serving, signal.SIGKILL)
            assert int(self._said()) == -signal.SIGKILL
            self._serving = None

    def close(self) -> None:
        """End the server for good."""
        self.kill()
        self._forker.kill()
        self._forker.wait()

    def _said(self) -> str:
        assert self._forker.stdout is not None
        return self._forker.stdout.readline()


def _serve_again_and_again(log: str, *arguments: str) -> None:
    """Serve in a child for each line that comes; say its process id, then how it ended."""
    from jupyter_server.serverapp import ServerApp

    import jupyter_mlops.labeling.exchange
    import jupyter_mlops.server.app
    import jupyter_mlops.server.routes
    import jupyter_mlops.serving.records
    import jupyter_mlops.workspace.workspace  # noqa: F401

    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            _end_with_parent()
            said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            nothing = os.open(os.devnull, os.O_RDONLY)
            for old, new in [(nothing, 0), (said, 1), (said, 2)]:
                os.dup2(old, new)
            ServerApp.launch_instance(arguments)
            os._exit(0)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    _serve_again_and_again(*sys.argv[1:])
