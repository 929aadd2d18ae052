"""The workspace: found like a git repository, opened in milliseconds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import URL
from sqlalchemy.orm import Session

from jupyter_mlops.workspace import events as log
from jupyter_mlops.workspace.errors import NotFound, Unavailable
from jupyter_mlops.workspace.folders import Folder
from jupyter_mlops.workspace.migrations import bring_up_to_date
from jupyter_mlops.workspace.settings import Settings
from jupyter_mlops.workspace.store import Store, Transaction

__all__ = ["Workspace"]

HOME = ".mlops"


class Workspace:
    """Everything that is kept of a project: its store, its files and its settings.

    Examples
    --------
    >>> workspace = Workspace.open("/tmp/project")      # doctest: +SKIP
    >>> with workspace.write() as tx:                    # doctest: +SKIP
    ...     tx.emit("dataset.added", "data:flights@1")
    """

    def __init__(self, root: Path, settings: Settings) -> None:
        self.root = root
        self.home = root / HOME
        self.settings = settings
        self.user: str = settings.user
        embedded = URL.create("sqlite", database=str(self.home / "mlops.db"))
        self.store = Store.shared(settings.database_url or embedded, settings.busy_timeout)

    @classmethod
    def open(
        cls, path: str | Path | None = None, *, create: bool = True, **settings: Any
    ) -> Workspace:
        """Open the workspace of a folder, or make one.

        Parameters
        ----------
        path : str or Path, optional
            The folder to start from. Without it: ``JUPYTER_MLOPS_WORKSPACE``, else the
            nearest folder from here upwards that holds ``.mlops``, else here.
        create : bool
            Make the workspace when there is none.
        **settings
            Settings that go before the environment's.

        Raises
        ------
        NotFound
            There is none and `create` is False.
        Unavailable
            The folder or the database can't be used.
        """
        root = _discover(path)
        home = root / HOME
        if not home.is_dir():
            if not create:
                raise NotFound(
                    f"there is no workspace in {root}",
                    fix="run any %mlops command there, or set JUPYTER_MLOPS_WORKSPACE",
                    code="E-WORKSPACE-001",
                )
            _make(home)
        workspace = cls(root, Settings.load(home, **settings))
        bring_up_to_date(workspace.store)
        return workspace

    def read(self) -> AbstractContextManager[Session]:
        """A consistent, read-only view of the store."""
        return self.store.read()

    @contextmanager
    def write(self, actor: str | None = None, *, lasting: bool = True) -> Iterator[Transaction]:
        """One transaction by `actor` (default: the workspace's user); see `Store.write`."""
        with self.store.write(actor or self.user, lasting=lasting) as transaction:
            yield transaction

    def events(
        self,
        after: int = 0,
        limit: int = 100,
        kind: str | None = None,
        subject: str | None = None,
        newest: bool = False,
    ) -> list[log.Event]:
        """The log of state changes; see `jupyter_mlops.workspace.events.read`."""
        with self.read() as session:
            return log.read(session, after, limit, kind, subject, newest)

    def audit(self) -> log.Audit:
        """Check the whole chain of events."""
        with self.read() as session:
            return log.verify(session)

    @cached_property
    def artifacts(self) -> Folder:
        """Files that belong to records: data, models, tables of predictions."""
        return Folder(self.settings.artifacts_url or str(self.home / "artifacts"))

    @cached_property
    def traffic(self) -> Folder:
        """What endpoints were asked and what they answered."""
        return Folder(self.settings.traffic_url or str(self.home / "traffic"))

    @cached_property
    def reports(self) -> Folder:
        """Full reports, shown in a frame of their own."""
        return Folder(self.settings.reports_url or str(self.home / "reports"))

    @property
    def tracking_uri(self) -> str:
        """Where MLflow keeps runs and models."""
        return self.settings.tracking_uri or f"sqlite:///{self.home / 'mlflow.db'}"

    def __repr__(self) -> str:
        return f"Workspace({str(self.root)!r}, store={self.store.place!r})"


def _discover(path: str | Path | None) -> Path:
    given = path or os.environ.get("JUPYTER_MLOPS_WORKSPACE")
    if given:
        return Path(given).expanduser().resolve()
    try:
        here = Path.cwd().resolve()
    except FileNotFoundError:
        raise Unavailable(
            "the current folder doesn't exist any more",
            fix="change to another folder, or set JUPYTER_MLOPS_WORKSPACE",
            code="E-WORKSPACE-003",
        ) from None
    for folder in (here, *here.parents):
        if (folder / HOME).is_dir():
            return folder
    # A notebook in a subfolder makes the workspace where its server shows it, see
    # `jupyter_mlops.server.served`.
    served = os.environ.get("JUPYTER_MLOPS_SERVER_ROOT")
    if served and here.is_relative_to(served):
        return Path(served)
    return here


def _make(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
        # Traffic and models are nobody else's business, and not git's either.
        home.chmod(0o700)
        (home / ".gitignore").write_text("*\n", "utf-8")
    except OSError as error:
        raise Unavailable(
            f"no workspace can be made in {home.parent}",
            error.strerror or str(error),
            "set JUPYTER_MLOPS_WORKSPACE to a folder you may write to",
            code="E-WORKSPACE-002",
        ) from None
