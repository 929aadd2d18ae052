"""Whether an environment still is what was recorded, and fits what runs here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jupyter_mlops.experiments.environments.fitting import check_fits, interpreter
from jupyter_mlops.experiments.environments.keeping import changes
from jupyter_mlops.experiments.environments.named import NamedEnvironment, find
from jupyter_mlops.experiments.environments.within import surroundings_of
from jupyter_mlops.workspace import Result, Workspace

__all__ = ["EnvironmentCheck", "check"]

_SHOWN = 5


@dataclass(frozen=True)
class EnvironmentCheck(Result):
    """What checking an environment found.

    Attributes
    ----------
    environment : NamedEnvironment
        As it was recorded.
    problems : tuple of str
        What isn't as recorded, in sentences with the way out.
    unfit : tuple of str
        What keeps it from working together with the process that checked; see `check_fits`.
    """

    environment: NamedEnvironment
    problems: tuple[str, ...]
    unfit: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether all is as recorded and fits."""
        return not self.problems and not self.unfit


def check(ws: Workspace, name: str) -> EnvironmentCheck:
    """Compare an environment with its record and with what runs here.

    Raises
    ------
    NotFound, Unavailable
        It can't be used at all; see `fitting.interpreter`.
    """
    python = interpreter(ws, name)
    recorded = find(ws, name)
    problems = []
    there = surroundings_of(python)
    differences = changes(recorded.packages, there.packages)
    if there.python != recorded.python:
        differences = (f"Python {recorded.python} → {there.python}", *differences)
    if differences:
        more = f" and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
        problems.append(
            f"It was changed after it was made ({', '.join(differences[:_SHOWN])}{more}):"
            f" `env lock {recorded.name}` makes it anew."
        )
    kernel = recorded.kernel_folder
    if kernel and not (Path(kernel) / "kernel.json").is_file():
        problems.append(
            f"Its kernel was removed from {kernel}: `env remove {recorded.name}` and make it again."
        )
    return EnvironmentCheck(recorded, tuple(problems), tuple(check_fits(ws, recorded.name)))
