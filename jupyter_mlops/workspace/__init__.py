"""The ground floor: settings, store, artifacts, events, references, errors.

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_mlops.workspace.errors import (
        Conflict,
        Denied,
        Invalid,
        MLOpsError,
        NotFound,
        Unavailable,
        closest,
    )
    from jupyter_mlops.workspace.events import Audit, Event
    from jupyter_mlops.workspace.folders import Folder
    from jupyter_mlops.workspace.references import Reference, check_name
    from jupyter_mlops.workspace.results import Result
    from jupyter_mlops.workspace.settings import Settings
    from jupyter_mlops.workspace.store import Store, Transaction
    from jupyter_mlops.workspace.workspace import Workspace

_HOMES = {
    "errors": (
        "Conflict",
        "Denied",
        "Invalid",
        "MLOpsError",
        "NotFound",
        "Unavailable",
        "closest",
    ),
    "events": ("Audit", "Event"),
    "folders": ("Folder",),
    "references": ("Reference", "check_name"),
    "results": ("Result",),
    "settings": ("Settings",),
    "store": ("Store", "Transaction"),
    "workspace": ("Workspace",),
}
_WHERE = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Audit",
    "Conflict",
    "Denied",
    "Event",
    "Folder",
    "Invalid",
    "MLOpsError",
    "NotFound",
    "Reference",
    "Result",
    "Settings",
    "Store",
    "Transaction",
    "Unavailable",
    "Workspace",
    "check_name",
    "closest",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
