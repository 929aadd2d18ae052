"""Connections: how each kind of database is opened, and what forks and moved files do to them."""

from __future__ import annotations

import json
import os
import random
import re
import sqlite3
import time
import weakref
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError, NoSuchModuleError

from jupyter_mlops.workspace.errors import Invalid, Unavailable

__all__ = ["database_url", "make_engine", "network_file_system"]

# SQLite's WAL needs memory shared by all its users, which other hosts can't share.
_NETWORK = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|9p|afs|ceph|lustre|gpfs|beegfs|glusterfs|virtiofs|fuse(\..*)?"
)
_engines: weakref.WeakSet[Engine] = weakref.WeakSet()
_inherited: list[object] = []


def database_url(text: str | URL) -> URL:
    """Read a database's URL and choose its driver.

    Raises
    ------
    Invalid
        It is no URL, or one of a database that can't hold a store.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # The text may hold a password, so it isn't repeated.
        raise Invalid(
            "JUPYTER_MLOPS_DATABASE_URL is no database URL",
            fix="write it as postgresql://user:password@host:5432/name",
            code="E-STORE-016",
        ) from None
    if url.drivername in {"postgresql", "postgres"}:
        # psycopg 3 is the driver we install; a bare postgresql:// would mean psycopg2.
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername not in {"postgresql+psycopg", "sqlite", "sqlite+pysqlite"}:
        raise Invalid(
            f"the store can't be in {url.drivername}",
            fix="set JUPYTER_MLOPS_DATABASE_URL to a postgresql:// or sqlite:/// URL",
            code="E-STORE-001",
        )
    return url


def make_engine(url: URL, busy_timeout: float) -> Engine:
    """An engine that waits for other writers, and that survives forks and replaced files."""
    options: dict[str, Any] = {
        # NaN isn't JSON: PostgreSQL refuses it, so SQLite must too.
        "json_serializer": partial(json.dumps, allow_nan=False),
    }
    if url.get_backend_name() == "sqlite":
        engine = _sqlite(url, busy_timeout, options)
    else:
        engine = _postgresql(url, busy_timeout, options)
    _engines.add(engine)
    return engine


def network_file_system(path: Path, mounts: str | None = None) -> str:
    """The kind of network file system that holds `path`; empty for a local disk.

    Parameters
    ----------
    path : Path
    mounts : str, optional
        What Linux shows as ``/proc/self/mountinfo``, proc(5).
    """
    if mounts is None:
        try:
            mounts = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
        except OSError:
            return ""
    place = os.path.realpath(path)
    found, longest = "", -1
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) < 5 or not after:
            continue
        # Blanks and backslashes are written as octal numbers.
        mounted = re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), fields[4])
        inside = place == mounted or place.startswith(mounted.rstrip("/") + "/")
        # Of two mounts on one folder, the later one is seen.
        if inside and len(mounted) >= longest:
            found, longest = after.split()[0], len(mounted)
    return found if _NETWORK.fullmatch(found) else ""


def _sqlite(url: URL, busy_timeout: float, options: dict[str, Any]) -> Engine:
    path = url.database if url.database not in {None, "", ":memory:"} else None
    if path:
        # A thread that waits for its turn holds a connection: their number has no limit.
        options |= {"poolclass": QueuePool, "pool_size": 5, "max_overflow": -1}
    engine = create_engine(
        url, connect_args={"timeout": busy_timeout, "check_same_thread": False}, **options
    )
    network = network_file_system(Path(path)) if path else ""
    journal = ("DELETE", "EXTRA") if network else ("WAL", "FULL")

    def prepare(connection: sqlite3.Connection, record: Any) -> None:
        _prepare_sqlite(connection, busy_timeout, *journal)
        record.info["file"] = _identity(path)
        record.info["wal"] = journal[0] == "WAL"

    def still_there(_connection: object, record: Any, _proxy: object) -> None:
        # A write to a file that was deleted or replaced would be lost without a word.
        if record.info["file"] != _identity(path):
            raise DisconnectionError("the database file was replaced")

    event.listen(engine, "connect", prepare)
    event.listen(engine, "checkout", still_there)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _postgresql(url: URL, busy_timeout: float, options: dict[str, Any]) -> Engine:
    arguments = {"connect_timeout": "10", "application_name": "jupyter-mlops"}
    try:
        return create_engine(
            url,
            pool_pre_ping=True,
            pool_size=5,
            max_overflow=20,
            pool_timeout=busy_timeout,
            connect_args={name: arguments[name] for name in arguments.keys() - url.query.keys()},
            **options,
        )
    except (ImportError, NoSuchModuleError) as error:
        raise Unavailable(
            "the store is in PostgreSQL, and its driver isn't installed",
            str(error),
            "run `pip install jupyter_mlops[postgresql]`",
            code="E-STORE-017",
        ) from None


def _prepare_sqlite(
    connection: sqlite3.Connection, patience: float, journal: str, synchronous: str
) -> None:
    # Transactions are begun by _begin_sqlite; the driver's own guessing is switched off.
    connection.isolation_level = None
    cursor = connection.cursor()
    _set_journal(cursor, patience, journal)
    # FULL (EXTRA without WAL): a commit that was acknowledged survives a power cut too.
    cursor.execute(f"PRAGMA synchronous={synchronous}")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _set_journal(cursor: sqlite3.Cursor, patience: float, journal: str) -> None:
    """Choose the journal. It needs the file alone for an instant, and SQLite doesn't wait."""
    deadline = time.monotonic() + patience
    while True:
        try:
            (found,) = cursor.execute("PRAGMA journal_mode").fetchone()
            # A database in memory has a journal of its own kind.
            if found.upper() not in {journal, "MEMORY"}:
                cursor.execute(f"PRAGMA journal_mode={journal}")
            return
        except sqlite3.OperationalError as error:
            if "readonly" in str(error):
                return
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.005, 0.05))  # noqa: S311


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    writes = bool(options.get("mlops_write"))
    if connection.info.get("writes") is not writes:
        connection.exec_driver_sql(f"PRAGMA query_only={'OFF' if writes else 'ON'}")
        connection.info["writes"] = writes
    lasting = bool(options.get("mlops_lasting", True))
    if connection.info["wal"] and connection.info.get("lasting", True) is not lasting:
        # Neither the disk's word nor the turn of moving the log into the file is waited for.
        connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if lasting else 'NORMAL'}")
        connection.exec_driver_sql(f"PRAGMA wal_autocheckpoint={1000 if lasting else 0}")
        connection.info["lasting"] = lasting
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _identity(path: str | None) -> tuple[int, int] | None:
    if path is None:
        return None
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _forget_connections() -> None:
    """Give a forked child pools of its own.

    The parent's connections are neither used nor closed here: SQLite's locks and the
    session at the other end of a socket belong to the parent.
    """
    for engine in list(_engines):
        _inherited.append(engine.pool)
        engine.dispose(close=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_connections)
