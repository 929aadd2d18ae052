"""What the tests of every room share: a clean environment, real databases, and kills."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import settings as hypothesis_settings

from faults.kill import Kills, kill_at_random

pytest_plugins = ["pytest_jupyter.jupyter_server"]

# Machines that run the tests differ in speed, and no example is slow by itself.
hypothesis_settings.register_profile("suite", deadline=None, print_blob=True)
hypothesis_settings.load_profile("suite")

# A person's own settings must not reach the tests.
for _name in [name for name in os.environ if name.startswith(("JUPYTER_MLOPS_", "MLFLOW_"))]:
    del os.environ[_name]
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "1"


class PostgreSQL:
    """A server of the tests' own, reached through a socket in a folder of its own."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self.programs = programs
        self.port = 5432
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        # PostgreSQL refuses to run as root.
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._as = {"user": "nobody", "group": "nogroup", "extra_groups": []}
            shutil.chown(folder, "nobody", "nogroup")

    def create(self) -> None:
        """Make the files of a server that trusts its socket's users."""
        command = [self.programs / "initdb", "-D", self.folder / "data", "-U", "mlops"]
        command += ["-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, **self._as)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = {
            "listen_addresses": "",
            "unix_socket_directories": self.folder,
            # Only a power cut needs the disk's word, and the tests make none.
            "fsync": "off",
            "full_page_writes": "off",
            "shared_buffers": "64MB",
            "max_connections": "100",
        }
        command = [self.programs / "postgres", "-D", self.folder / "data", "-p", str(self.port)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                preexec_fn=_end_with_parent,
                start_new_session=True,
                **self._as,
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.address("postgres"), connect_timeout=5).close()
                return
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    said = (self.folder / "log").read_text(errors="replace")[-2000:]
                    raise AssertionError(f"PostgreSQL did not start: {error}\n{said}") from None
                time.sleep(0.05)

    def stop(self) -> None:
        """Stop at once, as an administrator's restart does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)
            self._process = None

    def address(self, database: str) -> str:
        """What libpq needs to find a database."""
        return f"host={self.folder} port={self.port} user=mlops dbname={database}"

    def new_database(self) -> str:
        """Make an empty database; its SQLAlchemy URL."""
        self._made += 1
        name = f"store_{self._made}"
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return f"postgresql://mlops@/{name}?host={self.folder}&port={self.port}"


def _end_with_parent() -> None:
    # A test run that is killed leaves no server behind: PR_SET_PDEATHSIG is 1, prctl(2).
    ctypes.CDLL(None).prctl(1, signal.SIGINT)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A real PostgreSQL server."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = found[-1] if found else shutil.which("initdb")
    if initdb is None:
        message = "PostgreSQL's server isn't installed (Debian: apt install postgresql)"
        # Where everything must be tested, a missing server is a failure.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    # Another user runs it, who can't enter pytest's own folders; a socket's path is short.
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    server = PostgreSQL(folder, Path(initdb).parent)
    server.create()
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test on either database; workspaces opened in it use a fresh one."""
    if request.param == "postgresql":
        server: PostgreSQL = request.getfixturevalue("postgresql")
        monkeypatch.setenv("JUPYTER_MLOPS_DATABASE_URL", server.new_database())
    return str(request.param)


@pytest.fixture
def kill() -> Callable[..., Kills]:
    """Kill a writer at random points; see `faults.kill.kill_at_random`."""
    return kill_at_random
