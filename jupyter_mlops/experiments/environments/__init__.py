"""Environments of a data scientist's own: locked, made by uv, and offered as kernels.

Names are loaded when they are first used, so that listing environments starts nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_mlops.experiments.environments.checking import EnvironmentCheck, check
    from jupyter_mlops.experiments.environments.fitting import (
        check_fits,
        interpreter,
        needs_here,
        refuse_unfit,
    )
    from jupyter_mlops.experiments.environments.keeping import create, lock, remove
    from jupyter_mlops.experiments.environments.named import (
        NamedEnvironment,
        NamedEnvironments,
        RemovedEnvironment,
        find,
        list_environments,
    )
    from jupyter_mlops.experiments.environments.within import digest_of, surroundings_of

_HOMES = {
    "checking": ("EnvironmentCheck", "check"),
    "fitting": ("check_fits", "interpreter", "needs_here", "refuse_unfit"),
    "keeping": ("create", "lock", "remove"),
    "named": (
        "NamedEnvironment",
        "NamedEnvironments",
        "RemovedEnvironment",
        "find",
        "list_environments",
    ),
    "within": ("digest_of", "surroundings_of"),
}
_WHERE = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "EnvironmentCheck",
    "NamedEnvironment",
    "NamedEnvironments",
    "RemovedEnvironment",
    "check",
    "check_fits",
    "create",
    "digest_of",
    "find",
    "interpreter",
    "list_environments",
    "lock",
    "needs_here",
    "refuse_unfit",
    "remove",
    "surroundings_of",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
