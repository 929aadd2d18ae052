"""What the tests of every room share: a clean environment, real databases, and kills."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

from faults.kill import Kills, kill_at_random
from servers.postgresql import PostgreSQL

pytest_plugins = ["pytest_jupyter.jupyter_server"]

# Machines that run the tests differ in speed, and no example is slow by itself.
hypothesis_settings.register_profile("suite", deadline=None, print_blob=True)
hypothesis_settings.load_profile("suite")

# A person's own settings must not reach the tests.
for _name in [name for name in os.environ if name.startswith(("JUPYTER_MLOPS_", "MLFLOW_"))]:
    del os.environ[_name]
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "1"
# The suite runs more processes than there are cores. A library's threads that wait for one another
# by spinning then take many times the work itself; numpy reads this when it is imported.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# A run that was started in a shell's background ignores interrupts, and so would what it tests.
if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
