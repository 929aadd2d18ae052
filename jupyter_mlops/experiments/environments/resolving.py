"""From a wish to a lock: every package in one version, with the hashes of its files."""

from __future__ import annotations

import hashlib
import platform
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from jupyter_mlops.experiments.environments.ourselves import Ourselves, ourselves
from jupyter_mlops.experiments.environments.refusals import explain, masked, missing_package
from jupyter_mlops.experiments.environments.uv import Uv, UvFailed
from jupyter_mlops.experiments.environments.wishes import US, Wish
from jupyter_mlops.workspace import Unavailable

__all__ = ["EXCHANGED", "Lock", "read_lock", "resolve"]

#: What must speak with its like here, or read what it wrote: these versions are preferred.
EXCHANGED: Final = ("cloudpickle", "dask", "distributed", "numpy", "pandas", "scikit-learn")
#: So many packages that no index has are left out of a copy of the running interpreter.
_LEFT_OUT: Final = 25
_OURS_LINE: Final = re.compile(rf"^{US} @ file:", re.IGNORECASE)
_HEAD: Final = "# Python "


@dataclass(frozen=True)
class Lock:
    """What an environment consists of.

    Attributes
    ----------
    python : str
        The interpreter's path.
    text : str
        A requirements file with hashes; its first line says which Python it is for.
    options : tuple of str
        Where packages come from (``--index-url …``) with the passwords that `text` lacks.
    notes : tuple of str
        What isn't held by a hash, and what was left out.
    """

    python: str
    text: str
    options: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def hashed(self) -> list[str]:
        """The requirements with hashes."""
        return [one for one in _logical(self.text) if "--hash=" in one]

    @property
    def loose(self) -> list[str]:
        """The requirements without: folders and repositories."""
        return [
            one
            for one in _logical(self.text)
            if "--hash=" not in one and not one.startswith(("#", "--"))
        ]


def resolve(uv: Uv, name: str, wish: Wish, wheels: Path) -> Lock:
    """Find versions that go together, before anything is made.

    Parameters
    ----------
    uv : Uv
    name : str
        The environment's, for messages.
    wish : Wish
    wheels : Path
        A folder for the running jupyter-mlops packed up, when no index has it.

    Raises
    ------
    Conflict
        There are none.
    Unavailable
        The index, or a Python of that version, can't be reached.
    """
    python, exact = _python(uv, name, wish.python)
    us = None if wish.bare else ourselves()
    notes = list(wish.notes)
    lines = wish.text.splitlines() if wish.source == "this" else []
    lines = [line for line in lines if not re.match(rf"{US}( @|==)", line)]
    from_index = us is not None and us.on_index
    while True:
        try:
            compiled = _compile(uv, wish, lines, python, us, from_index)
            break
        except UvFailed as failure:
            absent = missing_package(str(failure))
            if absent is not None and absent[0] == US and from_index:
                from_index = False  # it came from an index that this uv doesn't know
                continue
            matching = [line for line in lines if absent and _is(line, *absent)]
            if wish.source != "this" or not matching or len(notes) > _LEFT_OUT:
                raise explain(str(failure), name, offline=uv.offline) from None
            lines = [line for line in lines if line not in matching]
            notes.append(f"No index has {matching[0]}: it was left out.")
    return _lock(compiled, python, exact, None if from_index else us, wheels, notes)


def read_lock(text: str, uv: Uv, name: str) -> Lock:
    """A lock that was kept, for the Python that it names."""
    exact = text.partition("\n")[0].removeprefix(_HEAD).split(" ")[0]
    python, _ = _python(uv, name, exact if exact != platform.python_version() else "")
    # Whoever has the password of an index otherwise, as in a netrc file, needs none here.
    options = (one.replace("***@", "") for one in _logical(text) if one.startswith("--"))
    return Lock(python, text, tuple(options))


def _python(uv: Uv, name: str, asked: str) -> tuple[str, str]:
    """The interpreter that is meant, and its exact version."""
    here = (sys.executable, platform.python_version())
    if not asked or here[1] == asked or here[1].startswith(f"{asked}."):
        return here
    from jupyter_mlops.experiments.environments.within import surroundings_of

    if "/" in asked:
        return asked, surroundings_of(Path(asked)).python
    find = ("python", "find", "--no-project", asked)
    try:
        found = uv.run(*find).strip()
    except UvFailed:
        try:
            if uv.offline:
                raise UvFailed("it isn't here, and --offline keeps it from being fetched")
            uv.run("python", "install", asked)
            found = uv.run(*find).strip()
        except UvFailed as failure:
            raise Unavailable(
                f"{name!r} can't have Python {asked}",
                "there is none on this machine and it can't be fetched"
                f" ({explain(str(failure), name).why.rstrip('.')})",
                f"name an interpreter's path with --python, or take {here[1].rpartition('.')[0]}",
                code="E-ENV-017",
            ) from None
    return found, surroundings_of(Path(found)).python


def _compile(
    uv: Uv, wish: Wish, lines: list[str], python: str, us: Ourselves | None, from_index: bool
) -> str:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        asked, written = folder / "asked.in", folder / "lock.txt"
        inputs = [str(asked)]
        lines = [*lines, *wish.add]
        if us is not None and from_index:
            lines.append(f"{US}=={us.version}")
        elif us is not None:
            stub = folder / US
            stub.mkdir()
            (stub / "pyproject.toml").write_text(us.project(), "utf-8")
            lines.append(f"{US} @ {stub.as_uri()}")
        if us is not None:
            # uv keeps to the versions of a file that it writes anew, where it can.
            written.write_text("\n".join(_preferred()) + "\n", "utf-8")
        beside = folder
        if wish.file:
            path = Path(wish.file)
            if not path.is_file():
                path = folder / path.name
                path.write_text(wish.text, "utf-8")
            beside = path.parent
            if wish.source == "requirements":
                lines.append(f"-r {path}")
            else:
                inputs.append(str(path))
        asked.write_text("\n".join(lines) + "\n", "utf-8")
        # A copy is exact even where its packages contradict each other.
        exact = wish.source == "this" and not wish.add
        uv.run(
            *("pip", "compile", *inputs, "--output-file", str(written), "--python", python),
            *("--generate-hashes", "--emit-index-url", "--emit-find-links"),
            *("--no-header", "--no-annotate", "--no-python-downloads", "--quiet"),
            *(("--no-deps",) if exact else ()),
            cwd=beside,
        )
        return written.read_text("utf-8")


def _lock(
    compiled: str, python: str, exact: str, us: Ourselves | None, wheels: Path, notes: list[str]
) -> Lock:
    kept: list[str] = [f"{_HEAD}{exact} on {sys.platform} {platform.machine()}"]
    options: list[str] = []
    for line in _logical(compiled):
        if us is not None and _OURS_LINE.match(line):
            wheel = us.pack(wheels)
            digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
            kept.append(f"{US} @ {wheel.as_uri()} \\\n    --hash=sha256:{digest}")
            if us.checkout:
                notes.append(f"{US} is the checkout {us.checkout} and changes with it.")
            else:
                notes.append(f"{US} {us.version} was copied from the running interpreter.")
        elif line.startswith("--"):
            options.append(line)
            kept.append(masked(line))
        else:
            kept.append(line)
    lock = Lock(python, "\n".join(kept) + "\n", tuple(options))
    known = " ".join(notes)
    for line in lock.loose:
        where = masked(line.removeprefix("-e ").rpartition(" @ ")[2])
        if where.removeprefix("file://") not in known:
            notes.append(f"{where} has no hash: it isn't checked when it is installed.")
    return replace(lock, notes=tuple(notes))


def _preferred() -> Iterator[str]:
    for one in EXCHANGED:
        try:
            yield f"{one}=={version(one)}"
        except PackageNotFoundError:
            continue


def _logical(text: str) -> list[str]:
    """Requirements one by one, each with the lines that go on with it."""
    whole: list[str] = []
    goes_on = False
    for line in text.splitlines():
        if goes_on:
            whole[-1] += "\n" + line
        elif line.strip():
            whole.append(line)
        goes_on = line.endswith("\\")
    return whole


def _is(line: str, name: str, version: str) -> bool:
    found, _, pinned = line.partition("==")
    return found == name and version in ("", pinned)
