"""Named environments as they are told to others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from jupyter_mlops.experiments.environments.turns import environments_folder
from jupyter_mlops.experiments.records import EnvironmentRecord, NamedEnvironmentRecord
from jupyter_mlops.workspace import NotFound, Reference, Result, Workspace, closest

__all__ = [
    "NamedEnvironment",
    "NamedEnvironments",
    "RemovedEnvironment",
    "find",
    "list_environments",
    "peek",
]


@dataclass(frozen=True)
class NamedEnvironment(Result):
    """An environment with a name.

    Attributes
    ----------
    python : str
        Its version.
    packages : tuple of str
        ``name==version`` or ``name @ url``, by name.
    source, file : str
        What it was made from.
    added : tuple of str
        Requirements besides.
    digest : str
        What a run in it records as its environment.
    lock : str
        SHA-256 of the lock, the artifact ``environments/<lock>.txt``.
    folder : str
        Where it is.
    size, own_size : int
        Bytes of its files, and of those that it shares with no cache and no other environment.
    kernel, kernel_folder : str
        The kernel's name and where its ``kernel.json`` is; empty without ipykernel.
    plan : dict
        All that was asked for; see `wishes.Wish`.
    made_at, locked_at : datetime
    notes : tuple of str
        What can't be reproduced exactly, and the like.
    changes : tuple of str
        After locking again, what is another version than before.
    """

    name: str
    python: str
    packages: tuple[str, ...]
    source: str
    file: str
    added: tuple[str, ...]
    digest: str
    lock: str
    host: str
    folder: str
    size: int
    own_size: int
    kernel: str
    kernel_folder: str
    plan: dict[str, Any]
    actor: str
    made_at: datetime
    locked_at: datetime
    notes: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, ws: Workspace, row: NamedEnvironmentRecord, kept: EnvironmentRecord
    ) -> NamedEnvironment:
        return cls(
            row.name,
            kept.python,
            tuple(kept.packages),
            row.source,
            row.plan["file"],
            tuple(row.plan["add"]),
            row.digest,
            row.lock,
            row.host,
            str(environments_folder(ws) / row.folder),
            row.size,
            row.own_size,
            row.kernel,
            row.kernel_folder,
            row.plan,
            row.actor,
            row.made_at,
            row.locked_at,
            tuple(row.notes),
        )

    @property
    def ref(self) -> str:
        """``env:`` and the name."""
        return f"env:{self.name}"


@dataclass(frozen=True)
class NamedEnvironments(Result, Sequence[NamedEnvironment]):
    """The workspace's environments, by name."""

    items: tuple[NamedEnvironment, ...]

    def __getitem__(self, index: Any) -> Any:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True)
class RemovedEnvironment(Result):
    """What was removed, and the bytes that this gave back."""

    name: str
    freed: int
    kernel: str


def find(ws: Workspace, name: str) -> NamedEnvironment:
    """The environment of a name, written bare or as ``env:NAME``.

    Raises
    ------
    NotFound
        There is none; the error names the closest.
    """
    name = Reference.parse(name, kind="env").name
    with ws.read() as session:
        row = session.get(NamedEnvironmentRecord, name)
        if row is not None:
            return NamedEnvironment.of(ws, row, session.get_one(EnvironmentRecord, row.digest))
        names = session.scalars(select(NamedEnvironmentRecord.name)).all()
    known = f"there are {', '.join(sorted(names)[:20])}" if names else ""
    raise NotFound(
        f"no environment is called {name!r}",
        closest(name, names) or known,
        f"make it with `env create {name} --from …`",
        code="E-ENV-020",
    )


def peek(ws: Workspace, name: str) -> NamedEnvironment | None:
    """The environment of a name, if there is one."""
    with ws.read() as session:
        row = session.get(NamedEnvironmentRecord, name)
        if row is None:
            return None
        return NamedEnvironment.of(ws, row, session.get_one(EnvironmentRecord, row.digest))


def list_environments(ws: Workspace) -> NamedEnvironments:
    """All environments of the workspace."""
    query = (
        select(NamedEnvironmentRecord, EnvironmentRecord)
        .join(EnvironmentRecord, EnvironmentRecord.digest == NamedEnvironmentRecord.digest)
        .order_by(NamedEnvironmentRecord.name)
    )
    with ws.read() as session:
        return NamedEnvironments(
            tuple(NamedEnvironment.of(ws, row, kept) for row, kept in session.execute(query))
        )
