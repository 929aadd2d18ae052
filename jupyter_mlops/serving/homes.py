"""In which environment a version's model runs: the one it was trained in, or one that is named.

The gateway is always the agent's. A model's process is the interpreter's that the version was
trained with: of a managed environment when the run recorded one, else the agent's own, as long
as the packages that the model needs agree. What doesn't fit is said before anything starts.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from sqlalchemy import select

from jupyter_mlops.experiments import environments
from jupyter_mlops.experiments.environments.named import peek
from jupyter_mlops.experiments.environments.uv import surroundings_for
from jupyter_mlops.experiments.records import CellRecord, EnvironmentRecord, TrialRecord
from jupyter_mlops.experiments.surroundings import environment
from jupyter_mlops.serving.wire import WIRE
from jupyter_mlops.workspace import Conflict, Unavailable, Workspace
from jupyter_mlops.workspace.records import EventRecord

__all__ = ["AGENTS", "Home", "differences", "home_of"]

#: What a person writes for the agent's own environment.
AGENTS: Final = "off"
#: How many parts of a version must agree, of what a model's requirements name: scikit-learn
#: promises nothing between two releases, the boosters' and ONNX's files outlive theirs. What
#: isn't here must agree in two parts, and what a loaded model doesn't use in none.
_PARTS: Final[dict[str, int]] = {
    "cloudpickle": 1,
    "lightgbm": 1,
    "mlflow": 0,
    "mlflow-skinny": 0,
    "numpy": 1,
    "onnx": 1,
    "onnxruntime": 1,
    "pandas": 1,
    "scipy": 1,
    "skops": 0,
    "xgboost": 1,
    "xgboost-cpu": 1,
}
_PIN: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;]+)")
_ASK: Final = "from jupyter_mlops.serving.wire import WIRE; print(WIRE)"
_SECONDS: Final = 60.0
_SHOWN: Final = 3


class Version(Protocol):
    """What is needed of a registered version; `models.ModelVersion` is one."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def run_id(self) -> str: ...
    def path(self, ws: Workspace) -> Path: ...


@dataclass(frozen=True)
class Home:
    """Where a version's processes run.

    Attributes
    ----------
    environment, interpreter : str
        A managed environment and its Python; both empty for the agent's own.
    differs : tuple of str
        Packages that are others than the model was trained with, as somebody wants it.
    """

    environment: str = ""
    interpreter: str = ""
    differs: tuple[str, ...] = ()


def home_of(
    ws: Workspace, version: Version, env: str | None = None, own: Path | None = None
) -> Home:
    """Find the environment that a version is to run in.

    Parameters
    ----------
    ws : Workspace
    version : ModelVersion
    env : str, optional
        The environment that somebody names, whatever its packages are; ``off`` for the agent's
        own. The one that the version was trained in when not given.
    own : Path, optional
        The agent's interpreter; this process's when not given.

    Raises
    ------
    NotFound
        There is no environment of that name.
    Unavailable
        It is gone, or lacks jupyter-mlops, or its jupyter-mlops speaks another language.
    Conflict
        Its packages aren't those that the model was trained with.

    Examples
    --------
    >>> home_of(ws, models.get(ws, "delay@3")).environment   # doctest: +SKIP
    'old'
    """
    label = f"{version.name}@{version.version}"
    needs = _pins(version.path(ws))
    if env == AGENTS:
        return Home(differs=differences(needs, _packages(own)))
    if env is not None:
        name = environments.find(ws, env).name
        python = environments.interpreter(ws, name)
        _check_language(name, label, python)
        there = environments.surroundings_of(python).packages
        return Home(name, str(python), differences(needs, there))
    digest = _digest(ws, version.run_id)
    name = "" if digest is None else _named(ws, digest)
    if not name:
        told = differences(needs, _packages(own))
        if told:
            raise _unfit(ws, label, told, needs)
        return Home()
    if peek(ws, name) is None:
        raise Unavailable(
            f"{label} can't be served in the environment it was trained in",
            f"env:{name} was removed",
            f"make it again, or name another with --env (--env {AGENTS}: the agent's own)",
            code="E-SERVE-060",
        )
    python = environments.interpreter(ws, name)
    _check_language(name, label, python)
    told = differences(needs, environments.surroundings_of(python).packages)
    if told:
        raise Conflict(
            f"{label} can't be served in the environment it was trained in",
            f"env:{name} was changed since, {_listed(told)}",
            f"train it again, or serve it all the same with --env {name}",
            code="E-SERVE-061",
        )
    return Home(name, str(python))


def differences(needs: Mapping[str, str], there: Sequence[str]) -> tuple[str, ...]:
    """What a model was trained with and an environment hasn't.

    Parameters
    ----------
    needs : mapping of str to str
        Versions by package.
    there : sequence of str
        ``name==version``.

    Examples
    --------
    >>> differences({"scikit-learn": "1.7.2", "numpy": "2.1"}, ["scikit-learn==1.8", "numpy==2.3"])
    ('scikit-learn is 1.8 there and was 1.7.2',)
    """
    have = {found[1]: found[2] for one in there if (found := _PIN.match(one))}
    told = []
    for name, wanted in needs.items():
        parts = _PARTS.get(name, 2)
        version = have.get(name)
        if parts and version is None:
            told.append(f"{name} isn't there and was {wanted}")
        elif version is not None and version.split(".")[:parts] != wanted.split(".")[:parts]:
            told.append(f"{name} is {version} there and was {wanted}")
    return tuple(told)


def _unfit(ws: Workspace, label: str, told: Sequence[str], needs: Mapping[str, str]) -> Conflict:
    """The agent's packages aren't the model's: name an environment whose are, or how to make it."""
    for one in environments.list_environments(ws):
        if not differences(needs, one.packages) and any(
            line.startswith("jupyter-mlops") for line in one.packages
        ):
            fix = f"serve it with --env {one.name}, whose packages fit"
            break
    else:
        changed = [one.partition(" ")[0] for one in told]
        pins = ",".join(f"{name}=={needs[name]}" for name in changed)
        fix = f'`env create NAME --add "{pins}"`, then serve it with --env NAME'
    return Conflict(
        f"{label} wasn't trained with the packages that the agent has",
        _listed(told),
        f"{fix}; --env {AGENTS} serves it here all the same",
        code="E-SERVE-062",
    )


def _listed(told: Sequence[str]) -> str:
    more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    return f"{', '.join(told[:_SHOWN])}{more}"


def _check_language(name: str, label: str, python: Path) -> None:
    """Whether the environment's jupyter-mlops is there, and can be talked to."""
    # Nothing that lies in the current folder may count as installed.
    with tempfile.TemporaryDirectory() as nowhere:
        try:
            done = subprocess.run(
                [str(python), "-c", _ASK],
                cwd=nowhere,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                env=surroundings_for({}),
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(
                f"{label} can't be served in env:{name}", f"{python} doesn't run: {error}",
                f"`env lock {name}` makes it anew", code="E-SERVE-063",
            ) from None  # fmt: skip
    told = done.stdout.strip()
    if told == str(WIRE):
        return
    lines = done.stderr.strip().splitlines()
    if "No module named 'jupyter_mlops'" in done.stderr:
        why, fix = "jupyter-mlops isn't in it", "make it again without --bare"
    elif told or "No module named 'jupyter_mlops." in done.stderr:
        why = f"its jupyter-mlops says {told or 'nothing'} where this one says {WIRE}"
        fix = f"`env lock {name}` brings it up to date"
    else:
        why, fix = lines[-1] if lines else "it doesn't answer", f"`env check {name}` says more"
    raise Unavailable(f"{label} can't be served in env:{name}", why, fix, code="E-SERVE-064")


def _pins(model: Path) -> dict[str, str]:
    """The versions that a model's own requirements hold."""
    file = model / "requirements.txt"
    lines = file.read_text("utf-8").splitlines() if file.is_file() else []
    found = (_PIN.match(line.strip()) for line in lines)
    return {re.sub(r"[-_.]+", "-", one[1]).lower(): one[2] for one in found if one}


def _packages(own: Path | None) -> Sequence[str]:
    if own is None or str(own) == sys.executable:
        return environment().packages
    return environments.surroundings_of(own).packages


def _digest(ws: Workspace, run_id: str) -> str | None:
    """The environment that a run recorded; None where the run isn't known here."""
    with ws.read() as session:
        return session.scalar(
            select(EnvironmentRecord.digest)
            .join(CellRecord, CellRecord.environment == EnvironmentRecord.digest)
            .join(TrialRecord, TrialRecord.cell == CellRecord.id)
            .where(TrialRecord.id == run_id)
        )


def _named(ws: Workspace, digest: str) -> str:
    """Which managed environment has, or had, that digest; empty for none."""
    for one in environments.list_environments(ws):
        if one.digest == digest:
            return one.name
    with ws.read() as session:
        query = select(EventRecord).where(EventRecord.kind.in_(("env.created", "env.locked")))
        for event in session.scalars(query.order_by(EventRecord.seq.desc())):
            if event.payload.get("digest") == digest:
                return event.subject.partition(":")[2]
    return ""
