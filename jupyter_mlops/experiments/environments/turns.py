"""One at a time: whoever makes, changes or removes an environment holds its lock meanwhile."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jupyter_mlops.workspace import Conflict, Unavailable, Workspace

__all__ = ["PLACE", "Turn", "environments_folder", "turn"]

PLACE: Final = "environments"
#: Seconds that the next one waits; making a large environment takes minutes.
LONGEST: Final = 900.0
_PAUSE: Final = 0.05


@dataclass(frozen=True)
class Turn:
    """The lock that is held, and whether somebody else held it before us."""

    descriptor: int
    waited: bool


def environments_folder(ws: Workspace) -> Path:
    """Where the workspace's environments are, on this machine."""
    return ws.home / PLACE


@contextmanager
def turn(ws: Workspace, name: str, longest: float = LONGEST) -> Iterator[Turn]:
    """Hold the lock of an environment's name; the next one waits.

    The system frees it when its holder and the holder's own children that inherited it are gone,
    however they ended.

    Raises
    ------
    Conflict
        Somebody else holds it for longer than `longest` seconds.
    """
    folder = environments_folder(ws)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Names don't begin with a dot, so this is no environment's folder.
        descriptor = os.open(folder / f".{name}.turn", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Unavailable(
            f"environments can't be kept in {folder}",
            error.strerror or str(error),
            "check the disk's space and your rights there",
            code="E-ENV-007",
        ) from None
    try:
        waited = _lock(descriptor, name, longest)
        yield Turn(descriptor, waited)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, name: str, longest: float) -> bool:
    until = time.monotonic() + longest
    waited = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = True
            if time.monotonic() >= until:
                raise Conflict(
                    f"the environment {name!r} is being made or changed by another process",
                    fix="try again when that is done; `env ls` shows it then",
                    code="E-ENV-008",
                ) from None
            time.sleep(_PAUSE)
        else:
            return waited
