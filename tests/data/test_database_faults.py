"""A database that refuses or breaks off is told in one sentence, and nothing half is kept."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pymysql
import pytest

from jupyter_mlops.data import open_source
from jupyter_mlops.data.sources.sql.opening import _scratch
from jupyter_mlops.workspace import Denied, Invalid, MLOpsError, NotFound, Unavailable
from servers.mariadb import MariaDB
from servers.postgresql import PostgreSQL

#: A query that gives half of its rows, then waits for a lock that the test holds.
GATED = {
    "postgresql": "SELECT id, CASE WHEN id = 10000 THEN pg_advisory_xact_lock_shared(7)::text END "
    "AS gate FROM doomed",
    "mariadb": "SELECT id, IF(id = 10000, GET_LOCK('gate', 60), 0) AS gate FROM doomed",
}
OPEN = {
    "postgresql": "SELECT pg_advisory_unlock(7)",
    "mariadb": "SELECT RELEASE_LOCK('gate')",
}


class Gate:
    """A database with a table, and a lock that stops its reading in the middle."""

    def __init__(self, kind: str, server: Any) -> None:
        self.kind = kind
        self.server = server
        if kind == "postgresql":
            self.uri = server.new_database()
            self.ask("CREATE TABLE doomed AS SELECT id FROM generate_series(1, 20000) AS id")
        else:
            self.database = server.new_database(
                "CREATE TABLE doomed AS SELECT seq AS id FROM seq_1_to_20000"
            )
            self.uri = server.uri(self.database)

    @contextmanager
    def closed(self) -> Iterator[Any]:
        """Hold the lock."""
        connection: Any
        if self.kind == "postgresql":
            connection = psycopg.connect(self.uri, autocommit=True)
            lock = "SELECT pg_advisory_lock(7)"
        else:
            connection = pymysql.connect(unix_socket=str(self.server.socket), user="root")
            lock = "SELECT GET_LOCK('gate', 0)"
        cursor = connection.cursor()
        cursor.execute(lock)
        try:
            yield cursor
        finally:
            connection.close()

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        if self.kind == "mariadb":
            return self.server.run(statement, database=self.database)
        with psycopg.connect(self.uri, autocommit=True) as connection:
            answer = connection.execute(statement)  # type: ignore[arg-type]
            return answer.fetchall() if answer.description else []

    def readers(self, waiting: str = "") -> list[int]:
        """The server's processes that read for us."""
        if self.kind == "postgresql":
            condition = f"AND wait_event_type = '{waiting}'" if waiting else ""
            found = self.ask(
                "SELECT pid FROM pg_stat_activity "
                f"WHERE application_name = 'jupyter-mlops' {condition}"
            )
        else:
            condition = "AND state = 'User lock'" if waiting else ""
            found = self.ask(
                "SELECT id FROM information_schema.processlist "
                f"WHERE user = '{MariaDB.user}' {condition}"
            )
        return [number for (number,) in found]

    def until(self, condition: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + 60
        while not (found := condition()):
            assert time.monotonic() < deadline, "it never happened"
            time.sleep(0.01)
        return found

    def crash(self) -> None:
        """Kill the server as a power cut does."""
        (reader,) = self.until(lambda: self.readers("Lock"))
        if self.kind == "mariadb":
            self.server.kill()
        else:
            # The postmaster takes the death of a child for a crash, and starts all anew.
            os.kill(reader, signal.SIGKILL)

    def restart(self) -> None:
        if self.kind == "mariadb":
            self.server.start()
            return

        def answers() -> bool:
            try:
                return bool(self.ask("SELECT 1"))
            except psycopg.OperationalError:
                return False

        self.until(answers)


@pytest.fixture(params=["postgresql", "mariadb"])
def gate(request: pytest.FixtureRequest) -> Gate:
    return Gate(request.param, request.getfixturevalue(request.param))


@pytest.fixture
def wait() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Do something beside the test; what it raises fails the test."""
    errors: list[BaseException] = []
    threads = []

    def start(action: Callable[[], None]) -> None:
        def act() -> None:
            try:
                action()
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=act)
        thread.start()
        threads.append(thread)

    yield start
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    if errors:
        raise errors[0]


def _waits() -> bool:
    time.sleep(0)
    frame = sys._current_frames()[threading.main_thread().ident or 0]
    return frame.f_code.co_name in {"readinto", "wait"}


def kept() -> set[Path]:
    return set(_scratch().iterdir())


def test_a_server_killed_in_the_middle_of_a_read_costs_one_sentence(
    gate: Gate, wait: Callable[[Callable[[], None]], None]
) -> None:
    source = open_source(gate.uri, query=GATED[gate.kind])
    before = kept()
    with gate.closed():
        wait(gate.crash)
        with pytest.raises(Unavailable, match=r"broke off while .* was read") as caught:
            source.scan()
    assert caught.value.code == "E-DATA-216"
    assert kept() == before
    gate.restart()
    assert source.scan().collect().height == 20_000


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Listen to interrupts also where the tests were started in a shell's background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_leaves_nothing_running_on_the_server(
    gate: Gate, wait: Callable[[Callable[[], None]], None]
) -> None:
    source = open_source(gate.uri, query=GATED[gate.kind])
    before = kept()

    def interrupt() -> None:
        gate.until(lambda: gate.readers("Lock"))
        # Only once the driver waits for the server: between rows Python itself would notice.
        gate.until(lambda: all(_waits() for _ in range(1000)))
        # To the thread that waits, as a terminal's or Jupyter's interrupt comes.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    with gate.closed():
        wait(interrupt)
        with pytest.raises(KeyboardInterrupt):
            source.scan()
        gate.until(lambda: not gate.readers())
    assert kept() == before


def test_a_table_dropped_in_the_middle_is_read_to_its_end_and_then_gone(
    gate: Gate, wait: Callable[[Callable[[], None]], None]
) -> None:
    source = open_source(gate.uri, query=GATED[gate.kind])
    late = open_source(f"{gate.uri}#doomed")
    assert late.schema().names() == ["id"]

    def dropping() -> bool:
        if gate.kind == "postgresql":
            waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND mode LIKE 'Access%'"
            return bool(gate.ask(waiting))
        return bool(
            gate.ask(
                "SELECT 1 FROM information_schema.processlist WHERE info LIKE 'DROP%' "
                "AND state LIKE 'Waiting for table metadata%'"
            )
        )

    with gate.closed() as lock:

        def drop_meanwhile() -> None:
            gate.until(lambda: gate.readers("Lock"))
            wait(lambda: gate.ask("DROP TABLE doomed") and None)
            gate.until(dropping)
            lock.execute(OPEN[gate.kind])

        wait(drop_meanwhile)
        assert source.scan().collect().height == 20_000
    gate.until(lambda: _gone(late))
    with pytest.raises(NotFound) as caught:
        open_source(gate.uri, query="SELECT * FROM doomed").scan()
    assert caught.value.code == "E-DATA-214"


def _gone(source: Any) -> bool:
    try:
        source.scan()
    except NotFound as error:
        return error.code == "E-DATA-223"
    source._kept = None
    return False


@pytest.fixture
def guarded(postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database whose user must give a password, which is the secret PGPASS; its URI."""
    uri = postgresql.new_database()
    rules = postgresql.folder / "data" / "pg_hba.conf"
    if "guarded" not in rules.read_text():
        with psycopg.connect(uri, autocommit=True) as connection:
            connection.execute("CREATE ROLE guarded LOGIN PASSWORD 'correct horse'")
            rules.write_text("local all guarded scram-sha-256\n" + rules.read_text())
            connection.execute("SELECT pg_reload_conf()")
        _until_asked_for_a_password(uri)
    monkeypatch.setenv("PGPASS", "correct horse")
    return uri.replace("mlops@", "guarded:secret:PGPASS@")


def _until_asked_for_a_password(uri: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            psycopg.connect(uri.replace("mlops@", "guarded@")).close()
        except psycopg.OperationalError:
            return
    raise AssertionError("the server's rules weren't renewed")


def refusal(uri: str, **part: Any) -> MLOpsError:
    with pytest.raises(MLOpsError) as caught:
        open_source(uri, **part).scan()
    return caught.value


def test_wrong_credentials_are_told_without_them(
    guarded: str,
    mariadb: MariaDB,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    assert open_source(guarded, query="SELECT 1 AS i").scan().collect().item() == 1
    monkeypatch.setenv("PGPASS", "battery staple")
    monkeypatch.setenv("MARIADB_PASSWORD", "battery staple")
    for uri in (guarded, mariadb.uri(mariadb.new_database())):
        source = open_source(uri, query="SELECT 1 AS i")
        with pytest.raises(Denied) as caught:
            source.scan()
        assert caught.value.code == "E-DATA-210"
        assert "PGPASS" in str(caught.value) or "MARIADB_PASSWORD" in str(caught.value)
        told = "".join(traceback.format_exception(caught.value))
        told += f"{caught.value!r} {source!r} {vars(source)} {source.provenance()} {caplog.text}"
        assert "battery staple" not in told
    monkeypatch.delenv("PGPASS")
    assert refusal(guarded, query="SELECT 1 AS i").code == "E-SECRET-002"


def test_a_credential_among_the_options_must_be_a_secret(
    guarded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = guarded.replace(":secret:PGPASS@", "@")
    with pytest.raises(Invalid, match="write password=secret:NAME") as caught:
        open_source(f"{plain}&password=battery", query="SELECT 1")
    assert "battery" not in str(caught.value)
    source = open_source(f"{plain}&password=secret:PGPASS", query="SELECT 1 AS i")
    assert source.scan().collect().item() == 1


def test_a_missing_database_and_an_absent_server_are_told_apart(
    postgresql: PostgreSQL, mariadb: MariaDB
) -> None:
    there = postgresql.new_database()
    name = there.rpartition("/store_")[2].partition("?")[0]
    assert refusal(there.replace(f"store_{name}", "nowhere") + "#t").code == "E-DATA-211"
    assert refusal(mariadb.uri("nowhere", "t")).code == "E-DATA-211"
    with socket.socket() as taken:
        # Bound and not listening: a port where surely nobody answers.
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        for scheme in ("postgresql", "mysql"):
            refused = refusal(f"{scheme}://ada@127.0.0.1:{port}/shop#t")
            assert refused.code == "E-DATA-212"
            assert f"{scheme}://127.0.0.1:{port}/shop can't be reached" in str(refused)
    assert refusal("postgresql://no.such.host.invalid/shop#t").code == "E-DATA-212"
    assert "no option 'ssl_caa': " in str(refusal("mysql://db/shop?ssl_caa=x#t"))


def test_a_table_that_may_not_be_read_is_denied(guarded: str, mariadb: MariaDB) -> None:
    with psycopg.connect(guarded.replace("guarded:secret:PGPASS@", "mlops@")) as connection:
        connection.execute("CREATE TABLE salaries (id int)")
    denied = refusal(f"{guarded}#salaries")
    assert denied.code == "E-DATA-213"
    assert "the user guarded may not read" in str(denied)
    mariadb.run(
        "CREATE DATABASE IF NOT EXISTS hr", "CREATE TABLE IF NOT EXISTS hr.salaries (i INT)"
    )
    own = mariadb.uri(mariadb.new_database())
    assert refusal(own, query="SELECT * FROM hr.salaries").code == "E-DATA-213"


def test_a_query_that_is_wrong_shows_what_the_server_says(gate: Gate) -> None:
    wrong = refusal(gate.uri, query="SELECT id FROM doomed WHERE WHERE")
    assert wrong.code == "E-DATA-215"
    assert "syntax" in str(wrong)
    assert "correct horse" not in str(wrong)
    assert "\n" not in str(wrong)
    assert "idd" in str(refusal(f"{gate.uri}#doomed", where="idd > 3"))
    failing = "SELECT 1 / (id - 1) AS x FROM doomed"
    if gate.kind == "postgresql":
        assert "division by zero" in str(refusal(gate.uri, query=failing))


def test_a_duckdb_file_open_for_writing_elsewhere_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    with duckdb.connect(path) as writer:
        writer.execute("CREATE TABLE t AS SELECT 1 AS i")
        assert refusal(f"duckdb:///{path}#t").code == "E-DATA-212"
    assert open_source(f"duckdb:///{path}#t").scan().collect().item() == 1
