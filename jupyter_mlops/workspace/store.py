"""The store: SQLite in the workspace, or PostgreSQL, behind the same two verbs, read and write."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from jupyter_mlops.workspace import events
from jupyter_mlops.workspace.errors import Invalid, MLOpsError, Unavailable

__all__ = ["Store", "Transaction"]


class Transaction:
    """A write under way: rows through `session`, and at least one event through `emit`."""

    def __init__(self, session: Session, actor: str) -> None:
        self.session = session
        self.actor = actor

    def emit(
        self,
        kind: str,
        subject: object,
        *,
        payload: dict[str, Any] | None = None,
        inputs: Iterable[object] = (),
        outputs: Iterable[object] = (),
    ) -> events.Event:
        """Append an event that commits, or vanishes, together with the rows."""
        return events.append(
            self.session,
            self.actor,
            kind,
            str(subject),
            payload,
            [str(ref) for ref in inputs],
            [str(ref) for ref in outputs],
        )


class Store:
    """One database. Safe to use from many threads and many processes at once.

    Parameters
    ----------
    url : str
        A SQLAlchemy URL: ``sqlite:///path`` or ``postgresql+psycopg://…``.
    busy_timeout : float
        Seconds that a write waits for another writer.
    """

    def __init__(self, url: str, busy_timeout: float = 60.0) -> None:
        self.url = _with_driver(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        if self.sqlite:
            self.engine = create_engine(
                self.url,
                connect_args={"timeout": busy_timeout, "check_same_thread": False},
            )
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        else:
            self.engine = create_engine(self.url, pool_pre_ping=True)

    @property
    def place(self) -> str:
        """Where the store is, without its password."""
        return self.url.render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one consistent state and writes nothing."""
        with self._explained(), Session(self.engine) as session:
            yield session
            session.rollback()

    @contextmanager
    def write(self, actor: str) -> Iterator[Transaction]:
        """A transaction: all of it is durable when the block ends, or none of it is.

        Writers take turns. On SQLite the turn is taken at once, since a read that
        becomes a write fails whenever somebody else wrote in between; on PostgreSQL
        it is taken by the first event.
        """
        engine = self.engine.execution_options(mlops_write=True)
        with self._explained(), Session(engine, expire_on_commit=False) as session:
            with session.begin():
                yield Transaction(session, actor)

    def dispose(self) -> None:
        """Close every connection; the store can still be used afterwards."""
        self.engine.dispose()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OperationalError as error:
            raise _explain(error, self.place) from error


def _with_driver(url: str) -> URL:
    parsed = make_url(url)
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise Invalid(
            f"the store can't be in {parsed.get_backend_name()}",
            fix="set JUPYTER_MLOPS_DATABASE_URL to a postgresql:// or sqlite:/// URL",
            code="E-STORE-001",
        )
    # psycopg 3 is the driver we install; a bare postgresql:// would mean psycopg2.
    if parsed.drivername in {"postgresql", "postgres"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    return parsed


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # Transactions are begun by _begin_sqlite; the driver's own guessing is switched off.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # FULL: a commit that was acknowledged survives a power cut too.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("mlops_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _explain(error: DBAPIError, place: str) -> MLOpsError:
    """Turn a driver's error into a sentence with the way out."""
    text = str(error.orig or error).strip().splitlines()[0]
    for sign, what, fix, code in _SIGNS:
        if sign in text:
            return Unavailable(f"{what} ({place})", text, fix, code=code)
    return Unavailable(
        f"the store doesn't answer ({place})",
        text,
        "check that it runs and that JUPYTER_MLOPS_DATABASE_URL is right",
        code="E-STORE-002",
    )


_SIGNS = (
    (
        "database is locked",
        "another writer held the store for too long",
        "try again, or raise JUPYTER_MLOPS_BUSY_TIMEOUT",
        "E-STORE-010",
    ),
    (
        "readonly database",
        "the store is read-only",
        "give yourself write access to the workspace folder",
        "E-STORE-011",
    ),
    (
        "disk is full",
        "the disk is full",
        "free some space and run it again",
        "E-STORE-012",
    ),
    (
        "disk I/O error",
        "the disk failed",
        "check the disk and its quota",
        "E-STORE-013",
    ),
    (
        "unable to open database file",
        "the store can't be opened",
        "check that its folder exists and that you may write there",
        "E-STORE-014",
    ),
)
