"""From a lock to a folder with an interpreter in it, and what that takes on the disk."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from jupyter_mlops.experiments.environments.refusals import explain
from jupyter_mlops.experiments.environments.resolving import Lock
from jupyter_mlops.experiments.environments.uv import Uv, UvFailed
from jupyter_mlops.workspace import Conflict

__all__ = ["Disk", "clear", "disk_of", "make", "python_of", "refuse_if_used", "users_of"]

#: What `st_blocks` counts in (POSIX leaves it open; Linux and macOS agree).
_BLOCK: Final = 512


@dataclass(frozen=True)
class Disk:
    """Bytes on the disk: of all files, and of those that no other name shares."""

    size: int
    own: int


def python_of(folder: Path) -> Path:
    """An environment's interpreter."""
    if sys.platform == "win32":
        return folder / "Scripts" / "python.exe"
    return folder / "bin" / "python"


def make(uv: Uv, name: str, lock: Lock, folder: Path) -> None:
    """Make the environment; nothing of it stays when that fails.

    Files are linked from uv's cache where that is on the same disk, and copied otherwise.

    Raises
    ------
    Unavailable
        A package can't be fetched or built, or isn't what its hash says.
    """
    clear(folder)
    try:
        _fill(uv, name, lock, folder)
    except UvFailed as failure:
        clear(folder)
        raise explain(str(failure), name, offline=uv.offline) from None
    except BaseException:
        clear(folder)
        raise


def _fill(uv: Uv, name: str, lock: Lock, folder: Path) -> None:
    link = () if "UV_LINK_MODE" in os.environ else ("--link-mode", "hardlink")
    uv.run("venv", "--no-project", "--python", lock.python, "--prompt", name, str(folder))
    target = ("--python", str(python_of(folder)), "--quiet", *link)
    with tempfile.TemporaryDirectory() as temporary:
        pinned, rest = Path(temporary) / "pinned.txt", Path(temporary) / "rest.txt"
        pinned.write_text("\n".join([*lock.options, *lock.hashed]) + "\n", "utf-8")
        rest.write_text("\n".join([*lock.options, *lock.loose]) + "\n", "utf-8")
        if lock.hashed:
            uv.run("pip", "sync", str(pinned), "--require-hashes", *target)
        if lock.loose:
            uv.run("pip", "install", "--no-deps", "-r", str(rest), *target)


def clear(folder: Path) -> None:
    """Remove a folder, if it is there."""
    if folder.is_dir():
        shutil.rmtree(folder)


def disk_of(folder: Path) -> Disk:
    """What a folder takes.

    A file with several names counts once, and isn't its own when one of them is elsewhere, as
    in uv's cache or in another environment.
    """
    size = own = 0
    names: dict[tuple[int, int], int] = {}
    for entry in _entries(folder):
        seen = entry.stat(follow_symlinks=False)
        key = (seen.st_dev, seen.st_ino)
        names[key] = names.get(key, 0) + 1
        space = seen.st_blocks * _BLOCK
        if names[key] == 1:
            size += space
        if entry.is_dir(follow_symlinks=False) or names[key] == seen.st_nlink:
            own += space
    return Disk(size, own)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as found:
        for entry in found:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(Path(entry.path))


def users_of(folder: Path) -> list[int]:
    """The processes that run in an environment, by their ids."""
    home = f"{folder}{os.sep}"
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or [""]
        if words[0].startswith(home):
            found.append(process.pid)
    return found


def refuse_if_used(folder: Path, name: str) -> None:
    """Raise `Conflict` while a kernel or a worker runs in an environment."""
    users = users_of(folder)
    if users:
        many = "processes run" if len(users) > 1 else "a process runs"
        raise Conflict(
            f"the environment {name!r} is in use",
            f"{many} in it ({', '.join(str(one) for one in users[:5])})",
            "stop its kernels and workers first",
            code="E-ENV-018",
        )
