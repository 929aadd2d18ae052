"""What a bundle installs: the versions that the model was trained with, locked by hashes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import yaml  # type: ignore[import-untyped]

from jupyter_mlops.experiments.environments.uv import Uv, UvFailed
from jupyter_mlops.experiments.records import CellRecord, EnvironmentRecord, TrialRecord
from jupyter_mlops.experiments.surroundings import environment
from jupyter_mlops.models.ways import way
from jupyter_mlops.workspace import Workspace

__all__ = ["Lock", "Recorded", "lock", "recorded", "wanted"]

#: What the server's process imports.
SERVER: Final = (
    "httptools",
    "msgpack",
    "numpy",
    "nvidia-ml-py",
    "orjson",
    "pandas",
    "prometheus-client",
    "psutil",
    "pyarrow",
    "pyyaml",
    "scikit-learn",
    "skops",
    "starlette",
    "uvicorn",
    "uvloop",
)
#: What a model's requirements name and the server doesn't need, but for what MLflow asks.
_WITHOUT: Final = re.compile(r"(mlflow|mlflow-skinny|mlflow-tracing|pip|pytest)$")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Recorded:
    """A Python and its packages as ``name==version`` lines; `here` when they are this process's."""

    python: str
    packages: tuple[str, ...]
    here: bool


@dataclass(frozen=True)
class Lock:
    """The content of ``requirements.txt``, and whether it holds hashes; if not, why."""

    text: str
    hashed: bool
    why: str = ""


def recorded(ws: Workspace, run_id: str) -> Recorded:
    """The environment that a run recorded; this process's where the run isn't known here."""
    with ws.read() as session:
        trial = session.get(TrialRecord, run_id)
        cell = session.get(CellRecord, trial.cell) if trial is not None else None
        found = session.get(EnvironmentRecord, cell.environment) if cell is not None else None
        if found is not None:
            return Recorded(found.python, tuple(found.packages), here=False)
    mine = environment()
    return Recorded(mine.python, mine.packages, here=True)


def wanted(model: Path) -> list[str]:
    """The names of what must be installed: the server's needs, and the model's own."""
    file = model / "requirements.txt"
    names = set(SERVER)
    for line in file.read_text("utf-8").splitlines() if file.is_file() else ():
        found = _NAME.match(line.strip())
        name = re.sub(r"[-_.]+", "-", found[0]).lower() if found else ""
        if name and not _WITHOUT.match(name):
            names.add(name)
    if way(yaml.safe_load((model / "MLmodel").read_bytes())).exact:
        names.add("mlflow")
    return sorted(names)


def lock(names: Iterable[str], surroundings: Recorded) -> Lock:
    """Lock packages and all they need to the recorded versions, with hashes from an index.

    uv's cache is asked first, then the index. Where neither has them, the versions alone are
    locked, as far as this process knows what needs what.

    Raises
    ------
    Unavailable
        uv isn't here.
    """
    names = list(names)
    pins = [line for line in surroundings.packages if "==" in line]
    complaint = ""
    for offline in (True, False):
        try:
            return Lock(_compiled(names, pins, surroundings.python, offline), hashed=True)
        except UvFailed as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            complaint = lines[0].removeprefix("error: ")[:200] if lines else "uv failed"
    return Lock("\n".join(_closure(names, pins)) + "\n", hashed=False, why=complaint)


def _compiled(names: list[str], pins: list[str], python: str, offline: bool) -> str:
    with TemporaryDirectory(prefix="jupyter-mlops-") as place:
        folder = Path(place)
        (folder / "requirements.in").write_text("\n".join(names) + "\n")
        (folder / "constraints.txt").write_text("\n".join(pins) + "\n")
        words = ["--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url"]
        where = ["--python-version", python, "--python-platform", "linux"]
        return Uv.found(offline).run(
            "pip", "compile", "requirements.in", "-c", "constraints.txt", *words, *where,
            cwd=folder,
        )  # fmt: skip


def _closure(names: list[str], pins: list[str]) -> list[str]:
    """The pins of packages and of what they need here."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    known = {canonicalize_name(line.partition("==")[0]): line for line in pins}
    found: dict[str, str] = {}
    waiting = [canonicalize_name(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in found or name not in known:
            continue
        found[name] = known[name]
        try:
            needs = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        for text in needs:
            one = Requirement(text)
            if one.marker is None or one.marker.evaluate({"extra": ""}):
                waiting.append(canonicalize_name(one.name))
    return [found[name] for name in sorted(found)]
