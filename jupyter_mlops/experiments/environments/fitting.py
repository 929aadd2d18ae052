"""Whether an environment can be used from here, said before anything starts in it."""

from __future__ import annotations

import os
import platform
import re
import socket
from collections.abc import Mapping
from importlib.metadata import Distribution, PackageNotFoundError, version
from pathlib import Path
from typing import Final

from jupyter_mlops.experiments.environments.making import python_of
from jupyter_mlops.experiments.environments.named import NamedEnvironment, find
from jupyter_mlops.experiments.environments.resolving import EXCHANGED
from jupyter_mlops.experiments.environments.turns import environments_folder
from jupyter_mlops.experiments.environments.wishes import US
from jupyter_mlops.workspace import Invalid, NotFound, Reference, Unavailable, Workspace

__all__ = ["check_fits", "interpreter", "is_whole", "needs_here", "refuse_unfit"]

#: How many parts of the version must agree, and why; of other packages all must.
_AGREEING: Final[dict[str, tuple[int, str]]] = {
    US: (99, "both sides must be the same program"),
    "dask": (99, "its workers must be of the scheduler's version"),
    "distributed": (99, "its workers must be of the scheduler's version"),
    "cloudpickle": (99, "what one version pickles another may not read"),
    "numpy": (1, "arrays pickled by one can't be read by the other"),
    "pandas": (2, "frames pickled by one may not be read by the other"),
    "scikit-learn": (2, "models pickled by one may not work in the other"),
}
_ANY: Final = (99, "the versions must agree")


def interpreter(ws: Workspace, name: str) -> Path:
    """The Python of an environment.

    Parameters
    ----------
    ws : Workspace
    name : str
        Its name, bare or as ``env:NAME``.

    Raises
    ------
    NotFound
        There is none of that name.
    Unavailable
        It was never finished, it is on another machine, or its folder is gone.
    """
    name = Reference.parse(name, kind="env").name
    home = environments_folder(ws)
    try:
        found = find(ws, name)
    except NotFound:
        begun = re.compile(rf"{re.escape(name)}-[0-9a-f]{{8}}")
        if home.is_dir() and any(begun.fullmatch(one.name) for one in home.iterdir()):
            raise Unavailable(
                f"the environment {name!r} isn't finished",
                "it is being made, or whoever made it was stopped",
                "make it with `env create`, which waits, or begins anew",
                code="E-ENV-024",
            ) from None
        raise
    if is_whole(found):
        return python_of(Path(found.folder))
    elsewhere = found.host != socket.gethostname()
    raise Unavailable(
        f"the environment {name!r} isn't on this machine",
        f"it was made on {found.host}" if elsewhere else f"{found.folder} is gone or broken",
        f"`env create {name}` makes it again from its lock",
        code="E-ENV-025",
    )


def is_whole(environment: NamedEnvironment) -> bool:
    """Whether a recorded environment's interpreter is there."""
    python = python_of(Path(environment.folder))
    # A link to a Python that was removed is no file.
    return python.is_file() and os.access(python, os.X_OK)


def needs_here() -> dict[str, str]:
    """What an environment must agree with to work together with this process."""
    found = {"python": platform.python_version()}
    for name in (US, *EXCHANGED):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def check_fits(ws: Workspace, name: str, needs: Mapping[str, str] | None = None) -> list[str]:
    """Say what keeps an environment from working together with this process.

    Parameters
    ----------
    ws : Workspace
    name : str
    needs : mapping of str to str, optional
        Versions by package, and by ``python``; those of this process when not given.

    Returns
    -------
    list of str
        Sentences that name the package, both versions and what to do. Empty when all fits.

    Raises
    ------
    NotFound, Unavailable
        See `interpreter`.

    Examples
    --------
    >>> check_fits(ws, "tiny", {"numpy": "2.1.0"})           # doctest: +SKIP
    ["numpy isn't in env:tiny, and 2.1.0 is needed: make it again with --add numpy==2.1.0."]
    """
    there = _folders_of_packages(interpreter(ws, name))
    recorded = find(ws, name)
    name, exact = recorded.name, recorded.python
    needs = dict(needs_here() if needs is None else needs)
    if US in needs and _version_in(there, US) is None:
        # The others come with it.
        needs = {one: wanted for one, wanted in needs.items() if one in {US, "python"}}
    told = []
    for package, wanted in needs.items():
        if package == "python":
            if exact.split(".")[:2] != wanted.split(".")[:2]:
                minor = ".".join(wanted.split(".")[:2])
                told.append(
                    f"Python is {exact} in env:{name} and {wanted} here, and code pickled by one"
                    f" can't be read by the other: make it again with --python {minor}."
                )
            continue
        found = _version_in(there, package)
        parts, why = _AGREEING.get(package, _ANY)
        if found is None:
            told.append(
                f"{package} isn't in env:{name}, and {wanted} is needed: {_way(package, wanted)}."
            )
        elif found.split(".")[:parts] != wanted.split(".")[:parts]:
            told.append(
                f"{package} is {found} in env:{name} and {wanted} here, and {why}:"
                f" {_way(package, wanted, name)}."
            )
    return told


def refuse_unfit(ws: Workspace, name: str) -> None:
    """Raise `Invalid` when trials of this process can't run in an environment."""
    unfit = check_fits(ws, name)
    if unfit:
        raise Invalid(
            f"environment {name!r} can't run this notebook's trials",
            unfit[0].rstrip("."),
            f"`%mlops env check {name}` tells all of it" if len(unfit) > 1 else "",
            code="E-EXPERIMENT-043",
        )


def _way(package: str, wanted: str, name: str = "") -> str:
    if package != US:
        return f"make it again with --add {package}=={wanted}"
    return f"`env lock {name}` brings it up to date" if name else "make it again without --bare"


def _folders_of_packages(python: Path) -> list[str]:
    home = python.parents[1]
    return [
        str(one)
        for one in (*home.glob("lib/python3*/site-packages"), *home.glob("Lib/site-packages"))
    ]


def _version_in(folders: list[str], package: str) -> str | None:
    # Read now, not from the record: somebody may have installed something in it since.
    found = next(iter(Distribution.discover(name=package, path=folders)), None)
    return None if found is None else found.version
