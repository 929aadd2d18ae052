"""What an environment is to be made from, as lines that a resolver takes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

from jupyter_mlops.experiments.environments.refusals import masked
from jupyter_mlops.experiments.gpus.amounts import bytes_of
from jupyter_mlops.experiments.surroundings import environment
from jupyter_mlops.workspace import Invalid, NotFound

__all__ = ["FILES", "US", "Source", "Wish", "added", "lines_of_this", "wish_for"]

US: Final = "jupyter-mlops"
Source = Literal["this", "requirements", "pyproject", "packages"]
FILES: Final = {"requirements": "requirements.txt", "pyproject": "pyproject.toml"}
#: A requirement's file is text of a person; one beyond this is something else.
_LARGEST: Final = 1 << 20
_VERSION: Final = re.compile(r"3\.\d{1,2}(\.\d{1,3})?")
_REQUIREMENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[|[<>=!~]|@|;|$)")


@dataclass(frozen=True)
class Wish:
    """What somebody asked for.

    Attributes
    ----------
    source : str
        ``this`` (the running interpreter's packages), ``requirements``, ``pyproject``, or
        ``packages``: those of `add` and no others.
    file : str
        Where the requirements are, if in a file.
    text : str
        What they were.
    python : str
        A version, a path of an interpreter, or empty for the running one.
    add : tuple of str
        Requirements besides.
    bare : bool
        Whether jupyter-mlops is left out.
    notes : tuple of str
        What can't be had exactly so elsewhere, in sentences.
    gpus, gpu_memory : int, str
        What its kernels hold while they run: whole GPUs, or memory of one.
    """

    source: Source
    file: str = ""
    text: str = ""
    python: str = ""
    add: tuple[str, ...] = ()
    bare: bool = False
    notes: tuple[str, ...] = ()
    gpus: int = 0
    gpu_memory: str = ""

    def plan(self) -> dict[str, Any]:
        """The wish as JSON, without the passwords that URLs may hold."""
        return {
            **asdict(self),
            "text": masked(self.text),
            "add": [masked(one) for one in self.add],
            "notes": [masked(one) for one in self.notes],
        }

    @classmethod
    def of(cls, plan: dict[str, Any]) -> Wish:
        return cls(**{**plan, "add": tuple(plan["add"]), "notes": tuple(plan["notes"])})

    def again(self) -> Wish:
        """The same wish now: the file as it is now, the packages that run now.

        A file that is gone counts as it was.
        """
        if self.source == "this":
            text, notes = lines_of_this()
            return replace(self, text=text, notes=notes)
        if not self.file:
            return self
        path = Path(self.file)
        if not path.is_file():
            gone = f"{path} is gone; its text as it was when the environment was made counts."
            return replace(self, notes=(gone,))
        return replace(self, text=_read(path), notes=())


def wish_for(
    source: Source,
    near: Iterable[Path],
    *,
    file: str | None = None,
    python: str | None = None,
    add: Iterable[str] = (),
    bare: bool = False,
    gpus: int = 0,
    gpu_memory: str | None = None,
) -> Wish:
    """Check what is asked for and read it.

    Parameters
    ----------
    source : str
    near : iterable of Path
        Folders in which the source's file is looked for, the first first.
    file : str, optional
        The file itself; a relative path is taken from the first of these folders that has it.
    python, add, bare, gpus, gpu_memory
        See `Wish`.

    Raises
    ------
    Invalid
        A flag doesn't fit the source, or a requirement can't be one.
    NotFound
        There is no such file.
    """
    more = added(add)
    if python and not _VERSION.fullmatch(python) and not Path(python).is_file():
        raise Invalid(
            f"--python can't be {python!r}",
            fix="write a version such as 3.11, or an interpreter's path",
            code="E-ENV-010",
        )
    _check_gpus(gpus, gpu_memory)
    rest: dict[str, Any] = {
        "python": python or "",
        "add": more,
        "bare": bare,
        "gpus": gpus,
        "gpu_memory": gpu_memory or "",
    }
    if source not in FILES:
        if file is not None:
            raise Invalid("--file needs --from requirements or --from pyproject", code="E-ENV-011")
        text, notes = lines_of_this() if source == "this" else ("", ())
        return Wish(source, text=text, notes=notes, **rest)
    folders = list(dict.fromkeys(near))
    for folder in folders:
        path = folder / Path(file or FILES[source]).expanduser()
        if path.is_file():
            return Wish(source, str(path.resolve()), _read(path), **rest)
    raise NotFound(
        f"there is no {file or FILES[source]}" + ("" if file else " beside the notebook"),
        f"looked in {', '.join(str(folder) for folder in folders)}",
        "name it with --file",
        code="E-ENV-012",
    )


def _check_gpus(gpus: int, memory: str | None) -> None:
    if gpus < 0 or (memory is not None and (gpus or bytes_of(memory) <= 0)):
        raise Invalid(
            "a kernel can't have these GPUs",
            f"--gpus is {gpus}" + (f" and --gpu-memory {memory!r}" if memory is not None else ""),
            "give --gpus 1, or --gpu-memory 8GB",
            code="E-ENV-028",
        )


def added(requirements: Iterable[str]) -> tuple[str, ...]:
    """Requirements that were separated by commas, which they may contain themselves.

    Examples
    --------
    >>> added(["pandas>=2", "<3", "dask[array", "bag]"])
    ('pandas>=2,<3', 'dask[array,bag]')
    """
    whole: list[str] = []
    for part in (one.strip() for one in requirements):
        opened = bool(whole) and whole[-1].count("[") > whole[-1].count("]")
        if whole and (opened or part[:1] in "<>=!~"):
            whole[-1] += f",{part}"
        elif part:
            whole.append(part)
    for one in whole:
        if not _REQUIREMENT.match(one) or "\n" in one:
            raise Invalid(
                f"{one!r} is no package that can be added",
                fix="write packages as pip does: six, pandas>=2, name @ https://…",
                code="E-ENV-013",
            )
    return tuple(whole)


def lines_of_this() -> tuple[str, tuple[str, ...]]:
    """The running interpreter's packages as requirements, and what isn't exact about them."""
    lines: list[str] = []
    notes: list[str] = []
    for one in environment().packages:
        name, at, url = one.partition(" @ ")
        if not at or name == US:
            lines.append(one)
            continue
        line, note = _origin(name, url)
        notes.append(note)
        lines += [line] if line else []
    return "\n".join(lines) + "\n", tuple(notes)


def _origin(name: str, url: str) -> tuple[str, str]:
    """A requirement for what was installed from a folder or a URL, and a sentence about it."""
    try:
        told = json.loads(distribution(name).read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        told = {}
    version = told.get("vcs_info", {})
    if version:
        commit = version.get("commit_id", "")
        line = f"{name} @ {version.get('vcs', 'git')}+{url}@{commit}"
        return line, f"{name} is commit {commit[:10]} of {url}: the repository must stay."
    parts = urlsplit(url)
    if parts.scheme != "file":
        return f"{name} @ {url}", f"{name} comes from {url}, which must stay."
    path = Path(url2pathname(parts.path))
    if not path.exists():
        return "", f"{name} was installed from {path}, which is gone: it was left out."
    if told.get("dir_info", {}).get("editable"):
        return f"-e {path}", f"{name} is the folder {path} itself and changes with it."
    return f"{name} @ {url}", f"{name} comes from {path}, which isn't on other machines."


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise Invalid(f"{path} is larger than 1 MiB", code="E-ENV-014")
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(
            f"{path} can't be read", getattr(error, "strerror", None) or str(error),
            code="E-ENV-015",
        ) from None  # fmt: skip
