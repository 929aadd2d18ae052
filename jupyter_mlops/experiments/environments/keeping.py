"""Making, locking again and removing named environments: whole, or not at all."""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from jupyter_mlops.experiments.environments.fitting import is_whole
from jupyter_mlops.experiments.environments.kernels import (
    install_kernel,
    kernel_name,
    remove_kernel,
)
from jupyter_mlops.experiments.environments.making import (
    Disk,
    clear,
    disk_of,
    make,
    python_of,
    refuse_if_used,
    users_of,
)
from jupyter_mlops.experiments.environments.named import (
    NamedEnvironment,
    RemovedEnvironment,
    find,
    peek,
)
from jupyter_mlops.experiments.environments.resolving import Lock, read_lock, resolve
from jupyter_mlops.experiments.environments.stages import Stage, Stages
from jupyter_mlops.experiments.environments.turns import environments_folder, turn
from jupyter_mlops.experiments.environments.uv import Uv
from jupyter_mlops.experiments.environments.wishes import Source, Wish, wish_for
from jupyter_mlops.experiments.environments.within import surroundings_of
from jupyter_mlops.experiments.records import EnvironmentRecord, NamedEnvironmentRecord
from jupyter_mlops.experiments.surroundings import Environment
from jupyter_mlops.workspace import Conflict, Invalid, Reference, Workspace, check_name
from jupyter_mlops.workspace.records import utcnow

__all__ = ["create", "lock", "remove"]

#: Digits of the lock's hash that name the folder, so that a new lock gets a folder of its own.
_DIGITS: Final = 8
_WHEELS: Final = ".wheels"
_TOLD: Final = 20


def create(
    ws: Workspace,
    name: str,
    *,
    source: Source | None = None,
    file: str | None = None,
    python: str | None = None,
    add: Iterable[str] = (),
    bare: bool = False,
    gpus: int = 0,
    gpu_memory: str | None = None,
    offline: bool = False,
    near: Sequence[Path] = (),
    tell: Callable[[Stage], None] | None = None,
) -> NamedEnvironment:
    """Make an environment, offer it as a kernel, and record it.

    It is recorded once it is whole. One that was left half made is cleared away by the next try,
    and two that make the same one at once take turns.

    Parameters
    ----------
    ws : Workspace
    name : str
    source : {"this", "requirements", "pyproject", "packages"}, optional
        Without it: the packages of `add`; or, for an environment whose folder is gone, what its
        lock says.
    file : str, optional
        The requirements or the ``pyproject.toml``.
    python : str, optional
        A version or an interpreter's path; the running one when not given.
    add : iterable of str
        Requirements besides.
    bare : bool
        Leave jupyter-mlops out.
    gpus, gpu_memory : int, str
        What its kernels hold while they run: whole GPUs, or memory of one, such as ``8GB``.
    offline : bool
        Take packages from uv's cache alone.
    near : sequence of Path
        Where to look for the file.
    tell : callable, optional
        Is told what is being done.

    Raises
    ------
    Conflict
        There is one of that name, or the packages don't go together.
    Unavailable
        The index can't be reached, or uv isn't here.
    """
    check_name(name, "environment")
    add = tuple(add)
    uv = Uv.found(offline)
    asked = source is not None or file is not None or bool(add)
    wish = None
    if asked:
        chosen: Source = source or ("requirements" if file else "packages")
        folders = near or (Path.cwd(), ws.root)
        wish = wish_for(
            chosen, folders, file=file, python=python, add=add, bare=bare,
            gpus=gpus, gpu_memory=gpu_memory,
        )  # fmt: skip
    stages = Stages(name, tell)
    stages.begin(0, "finding versions that go together")
    with turn(ws, name) as held:
        uv = replace(uv, held=(held.descriptor,), waiting=stages.tick)
        before = peek(ws, name)
        if before is not None and is_whole(before):
            if held.waited and wish is not None and before.plan == wish.plan():
                note = "Another process made it meanwhile, from the same requirements."
                return replace(before, notes=(*before.notes, note))
            raise Conflict(
                f"there is an environment called {name!r} already",
                fix=f"`env lock {name}` resolves it again, `env remove {name}` makes room",
                code="E-ENV-021",
            )
        if wish is not None:
            locked = resolve(uv, name, wish, _wheels(ws))
        elif before is not None:
            wish = Wish.of(before.plan)
            if gpus or gpu_memory:
                wish = replace(wish, gpus=gpus, gpu_memory=gpu_memory or "")
            locked = replace(_kept(ws, uv, before), notes=tuple(before.notes))
        else:
            raise Invalid(
                f"nothing says what {name!r} consists of",
                fix="write --from this, --from requirements, --from pyproject, or --add PACKAGES",
                code="E-ENV-022",
            )
        return _establish(ws, uv, stages, name, wish, locked, before)


def lock(
    ws: Workspace,
    name: str,
    *,
    offline: bool = False,
    tell: Callable[[Stage], None] | None = None,
) -> NamedEnvironment:
    """Resolve an environment again, from what it was made from as that is now.

    The new one is made beside the old one, which kernels that run in it keep until they end.

    Returns
    -------
    NamedEnvironment
        Its `changes` say which versions are others; none, when the lock is the same and the
        environment still is what it says.

    Raises
    ------
    NotFound, Conflict, Unavailable
        See `create`. The environment stays as it was.
    """
    name = Reference.parse(name, kind="env").name
    uv = Uv.found(offline)
    stages = Stages(name, tell)
    stages.begin(0, "finding versions that go together")
    with turn(ws, name) as held:
        uv = replace(uv, held=(held.descriptor,), waiting=stages.tick)
        before = find(ws, name)
        wish = Wish.of(before.plan).again()
        locked = resolve(uv, name, wish, _wheels(ws))
        folder = Path(before.folder)
        if locked.sha256 == before.lock:
            if is_whole(before) and _same(surroundings_of(python_of(folder)), before):
                notes = dict.fromkeys([*before.notes, *locked.notes])
                return replace(before, notes=tuple(notes))
            refuse_if_used(folder, name)
        after = _establish(ws, uv, stages, name, wish, locked, before, again=True)
        return replace(after, changes=changes(before.packages, after.packages))


def remove(ws: Workspace, name: str) -> RemovedEnvironment:
    """Remove an environment, its kernel and its files. Its lock and its history stay.

    Raises
    ------
    NotFound
        There is none.
    Conflict
        Something runs in it.
    """
    name = Reference.parse(name, kind="env").name
    with turn(ws, name):
        found = find(ws, name)
        folder = Path(found.folder)
        refuse_if_used(folder, name)
        disk = disk_of(folder) if folder.is_dir() else Disk(0, 0)
        removed = remove_kernel(found.kernel_folder, environments_folder(ws))
        with ws.write() as tx:
            tx.session.delete(tx.session.get_one(NamedEnvironmentRecord, name))
            tx.emit("env.removed", found.ref, payload={"lock": found.lock})
        _sweep(ws, name)
    return RemovedEnvironment(name, disk.own, found.kernel if removed else "")


def changes(before: Sequence[str], after: Sequence[str]) -> tuple[str, ...]:
    """What differs between two lists of packages, as ``numpy 2.1 → 2.2``.

    Examples
    --------
    >>> changes(["a==1", "b==1"], ["a==2", "c==1"])
    ('a 1 → 2', 'b 1 → –', 'c – → 1')
    """
    old, new = _versions(before), _versions(after)
    return tuple(
        f"{name} {old.get(name, '–')} → {new.get(name, '–')}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    )


def _establish(
    ws: Workspace,
    uv: Uv,
    stages: Stages,
    name: str,
    wish: Wish,
    locked: Lock,
    before: NamedEnvironment | None,
    again: bool = False,
) -> NamedEnvironment:
    """Make it, and record it once it is whole."""
    folder = environments_folder(ws) / f"{name}-{locked.sha256[:_DIGITS]}"
    count = len(locked.hashed) + len(locked.loose)
    stages.begin(1, f"installing {count:,} package{'' if count == 1 else 's'}")
    make(uv, name, locked, folder)
    try:
        stages.begin(2, "looking at what it has")
        found = surroundings_of(python_of(folder))
        disk = disk_of(folder)
        notes = list(dict.fromkeys(locked.notes))
        kernel = ""
        ws.artifacts.write_bytes(f"environments/{locked.sha256}.txt", locked.text.encode())
        if any(one.startswith("ipykernel=") for one in found.packages):
            stages.begin(3, "offering it as a kernel")
            python = python_of(folder)
            kernel = str(
                install_kernel(ws, name, python, gpus=wish.gpus, gpu_memory=wish.gpu_memory)
            )
        elif _NO_KERNEL not in notes:
            notes.append(_NO_KERNEL)
    except BaseException:
        clear(folder)
        raise
    now = utcnow()
    row = NamedEnvironmentRecord(
        name=name,
        source=wish.source,
        plan=wish.plan(),
        digest=found.digest,
        lock=locked.sha256,
        host=socket.gethostname(),
        folder=folder.name,
        size=disk.size,
        own_size=disk.own,
        kernel=kernel_name(ws, name) if kernel else "",
        kernel_folder=kernel,
        notes=notes,
        actor=before.actor if before and again else ws.user,
        made_at=before.made_at if before and again else now,
        locked_at=now,
    )
    payload = {
        "source": wish.source,
        "python": found.python,
        "packages": len(found.packages),
        "lock": locked.sha256,
        "digest": found.digest,
    }
    if before is not None and again:
        told = changes(before.packages, found.packages)
        payload |= {"before": before.lock, "changes": list(told[:_TOLD]), "changed": len(told)}
    if before is not None and not kernel:
        remove_kernel(before.kernel_folder, environments_folder(ws))
    with ws.write() as tx:
        kept = tx.session.get(EnvironmentRecord, found.digest)
        if kept is None:
            kept = EnvironmentRecord(
                digest=found.digest,
                python=found.python,
                platform=found.platform,
                packages=list(found.packages),
                created_at=now,
            )
            tx.session.add(kept)
            # The row below points at it, and the two have no relationship that orders them.
            tx.session.flush()
        tx.session.merge(row)
        event = "env.locked" if again else "env.created"
        tx.emit(event, f"env:{name}", payload=payload, outputs=[f"env:{found.digest}"])
    _sweep(ws, name, folder.name)
    return NamedEnvironment.of(ws, row, kept)


_NO_KERNEL: Final = "It is no kernel: ipykernel isn't in it."


def _kept(ws: Workspace, uv: Uv, known: NamedEnvironment) -> Lock:
    """The lock as it was recorded."""
    text = ws.artifacts.read_bytes(f"environments/{known.lock}.txt").decode()
    found = read_lock(text, uv, known.name)
    if found.sha256 != known.lock:
        raise Conflict(
            f"the lock of {known.name!r} isn't the one that was recorded",
            "its file was changed",
            f"`env lock {known.name}` makes a new one",
            code="E-ENV-023",
        )
    return found


def _wheels(ws: Workspace) -> Path:
    return environments_folder(ws) / _WHEELS


def _same(found: Environment, known: NamedEnvironment) -> bool:
    return found.python == known.python and found.packages == known.packages


def _sweep(ws: Workspace, name: str, keep: str = "") -> None:
    """Remove earlier and half made folders of a name that nothing runs in."""
    ours = re.compile(rf"{re.escape(name)}-[0-9a-f]{{{_DIGITS}}}")
    for folder in environments_folder(ws).iterdir():
        if ours.fullmatch(folder.name) and folder.name != keep and not users_of(folder):
            shutil.rmtree(folder)


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for one in packages:
        name, at, url = one.partition(" @ ")
        plain, _, version = one.partition("==")
        found[name if at else plain] = url if at else version
    return found
