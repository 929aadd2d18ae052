"""The store: SQLite in the workspace, or PostgreSQL, behind the same two verbs, read and write."""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from jupyter_mlops.workspace import events
from jupyter_mlops.workspace.connections import database_url, make_engine
from jupyter_mlops.workspace.errors import Unavailable
from jupyter_mlops.workspace.reasons import explain

__all__ = ["Store", "Transaction"]

# Stores kept open by `Store.shared`; the least recently used one beyond these is closed.
KEPT = 8


class Transaction:
    """A write under way: rows through `session`, and their events through `emit`."""

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

    def emit_all(self, told: Iterable[events.Told]) -> list[events.Event]:
        """Append several events in their order, which costs little more than one."""
        return events.append_all(self.session, self.actor, told)


class Store:
    """One database. Safe to use from many threads and many processes at once.

    Parameters
    ----------
    url : str or URL
        A SQLAlchemy URL: ``sqlite:///path`` or ``postgresql://…``.
    busy_timeout : float
        Seconds that a write waits for another writer.
    """

    def __init__(self, url: str | URL, busy_timeout: float = 60.0) -> None:
        self.url = database_url(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self.busy_timeout = busy_timeout
        self.engine = make_engine(self.url, busy_timeout)
        self._reading = (
            self.engine
            if self.sqlite
            else self.engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        )
        self._writing = self.engine.execution_options(mlops_write=True)
        self._noting = self.engine.execution_options(mlops_write=True, mlops_lasting=False)
        self._under_way: set[int] = set()
        self._stranded = False
        _stores.add(self)

    @classmethod
    def shared(cls, url: str | URL, busy_timeout: float) -> Store:
        """The process's one store for a URL, so that opening a workspace again costs nothing."""
        key = (url, busy_timeout)
        with _lock:
            store = _shared.pop(key, None) or cls(url, busy_timeout)
            _shared[key] = store
            closed = [_shared.popitem(last=False)[1] for _ in range(len(_shared) - KEPT)]
        for old in closed:
            old.dispose()
        return store

    @property
    def place(self) -> str:
        """Where the store is, without its password."""
        shown = self.url.difference_update_query(["password", "sslpassword"])
        return shown.render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one consistent state; the database refuses writes in it."""
        with self.explained(), Session(self._reading) as session:
            yield session
            session.rollback()

    @contextmanager
    def write(self, actor: str, *, lasting: bool = True) -> Iterator[Transaction]:
        """A transaction: all of it is durable when the block ends, or none of it is.

        Writers take turns from the block's first line on, so what a block reads stays
        true until it ends, on both databases.

        Parameters
        ----------
        actor : str
            Who writes.
        lasting : bool
            Wait for the disk. Without it the write outlives this process and every other,
            but a power cut soon afterwards may undo it: only for what may be forgotten.

        Raises
        ------
        RuntimeError
            This thread is within another write, and would wait for itself.
        Unavailable
            The database can't be written.
        """
        me = threading.get_ident()
        if me in self._under_way:
            raise RuntimeError("a write is under way in this thread: hand its transaction on")
        if self._stranded:
            raise Unavailable(
                "this process can't write to the store",
                "it was forked while its parent was writing, and SQLite doesn't bear that",
                "start processes by 'spawn' or 'forkserver'",
                code="E-STORE-020",
            )
        engine = self._writing if lasting else self._noting
        with self.explained(), Session(engine, expire_on_commit=False) as session:
            self._under_way.add(me)
            try:
                with session.begin():
                    self._take_turn(session, lasting)
                    yield Transaction(session, actor)
            finally:
                self._under_way.discard(me)

    def dispose(self) -> None:
        """Close every connection; the store can still be used afterwards."""
        self.engine.dispose()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn errors of the database into sentences for a person."""
        try:
            yield
        except SQLAlchemyError as error:
            explanation = explain(error, self.place)
            if explanation is None:
                raise
            raise explanation from error

    def _take_turn(self, session: Session, lasting: bool) -> None:
        if self.sqlite:
            # BEGIN IMMEDIATE, which waits: a read that turns into a write never does.
            session.connection()
            return
        # A server may be set to acknowledge before it has written; ours is told not to.
        session.execute(
            text(
                "SELECT set_config('lock_timeout', :wait, true), CASE"
                " WHEN NOT :lasting THEN set_config('synchronous_commit', 'off', true)"
                " WHEN current_setting('synchronous_commit') = 'off'"
                " THEN set_config('synchronous_commit', 'on', true) END"
            ),
            {"wait": str(int(self.busy_timeout * 1000)), "lasting": lasting},
        )
        session.execute(text("SELECT seq FROM event_head WHERE id = 1 FOR UPDATE"))


_stores: weakref.WeakSet[Store] = weakref.WeakSet()
_shared: OrderedDict[tuple[str | URL, float], Store] = OrderedDict()
_lock = threading.Lock()


def _after_fork() -> None:
    global _lock
    # Another thread of the parent may have held it at the moment of the fork.
    _lock = threading.Lock()
    for store in list(_stores):
        # SQLite's memory of who holds which lock is copied along, and never set right.
        store._stranded = store._stranded or (store.sqlite and bool(store._under_way))
        store._under_way.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
