"""Bringing the cell's variables to workers that don't share this machine's disk, once to each."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from distributed import WorkerPlugin

from jupyter_mlops.workspace import Unavailable

if TYPE_CHECKING:
    from distributed import Client, Worker

__all__ = ["Carried", "bring", "carried_to", "forget"]

#: Seconds for a worker to say what it sees.
_ANSWER: Final = 5.0


class Carried(WorkerPlugin):  # type: ignore[misc]  # distributed has no types
    """A shipment that travels; also to workers that come later.

    Parameters
    ----------
    folder : str
        Where it is on this machine.
    """

    def __init__(self, folder: str) -> None:
        self.name = _name(folder)
        self.folder = folder
        self.content = {
            str(path.relative_to(folder)): path.read_bytes()
            for path in Path(folder).rglob("*")
            if path.is_file()
        }

    def setup(self, worker: Worker) -> None:
        """Write it where the worker keeps its files, unless the folder itself is there."""
        place = carried_to(worker, self.folder)
        if os.path.isdir(self.folder) or place.is_dir():  # noqa: PTH112
            return
        half = place.with_name(f".{place.name}-{os.getpid()}")
        for name, content in self.content.items():
            path = half / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_bytes(content)
        half.rename(place)

    def teardown(self, worker: Worker) -> None:
        """Remove it with the last experiment that needs it."""
        shutil.rmtree(carried_to(worker, self.folder), ignore_errors=True)


def carried_to(worker: Any, folder: str) -> Path:
    """Where a worker has a shipment whose folder it can't see."""
    return Path(worker.local_directory) / "shipments" / Path(folder).name


def bring(client: Client, folder: str) -> bool:
    """Send a shipment to all workers when some can't see its folder; return whether it was.

    Raises
    ------
    Unavailable
        A worker can't write it.
    """
    seen = client.run(os.path.isdir, folder, on_error="ignore", callback_timeout=_ANSWER)
    if all(seen.values()):
        return False
    try:
        client.register_plugin(Carried(folder))
    except OSError as error:
        raise Unavailable(
            "the cell's variables can't be brought to the workers",
            error.strerror or str(error),
            "make room where the workers keep their files, or share a disk with them",
            code="E-EXPERIMENT-014",
        ) from None
    return True


def forget(client: Client, folder: str) -> bool:
    """Let the scheduler and the workers drop a shipment that was brought."""
    # Whoever is gone by now has dropped it, too.
    with contextlib.suppress(Exception):
        client.unregister_worker_plugin(_name(folder))
    return False


def _name(folder: str) -> str:
    return f"jupyter-mlops-{Path(folder).name}"
