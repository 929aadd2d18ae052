"""How many rows broke the model's contract, by version, column and rule: kept beside the log."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

__all__ = ["FILE", "Breach", "Breaches", "read"]

FILE: Final = "breaches.json"


@dataclass(frozen=True)
class Breach:
    """Rows that broke one rule of the contract that came with one version.

    Attributes
    ----------
    version, column, rule : str
    rows : int
    first, last : float
        When a request held the first and the last of them, in seconds since 1970.
    """

    version: str
    column: str
    rule: str
    rows: int
    first: float
    last: float


class Breaches:
    """Counts what breaks the contract over all processes that an endpoint ever had.

    Parameters
    ----------
    folder : Path
        The endpoint's traffic folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._found = {(one.version, one.column, one.rule): one for one in read(folder)}
        self._kept = dict(self._found)
        # Large requests are checked in threads of their own.
        self._lock = threading.Lock()

    def add(self, version: str, column: str, rule: str, rows: int) -> None:
        """Count rows."""
        now = time.time()
        with self._lock:
            key = (version, column, rule)
            before = self._found.get(key)
            first, so_far = (before.first, before.rows) if before else (now, 0)
            self._found[key] = Breach(*key, so_far + rows, first, now)

    def keep(self) -> None:
        """Write down what was counted since; where there is no room, the next time."""
        with self._lock:
            if self._found == self._kept:
                return
            found = dict(self._found)
        partial = self.path.with_name(f".{FILE}.{os.getpid()}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w") as stream:
                json.dump([asdict(one) for one in found.values()], stream)
            partial.replace(self.path)
        except OSError as error:
            print(f"{FILE} cannot be written: {error.strerror}", file=sys.stderr, flush=True)
        else:
            self._kept = found


def read(folder: Path) -> Sequence[Breach]:
    """What was kept in an endpoint's traffic folder, the most rows first."""
    try:
        told = json.loads((folder / FILE).read_bytes())
        found = [Breach(**one) for one in told]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        print(f"{folder / FILE} cannot be read: {error}", file=sys.stderr, flush=True)
        return []
    return sorted(found, key=lambda one: -one.rows)
