"""The search: which parameters to try next, when to stop, and what the trials told.

Trials run elsewhere and ask for parameters in their body (`suggesting`, light); the search lives
in the process that drives them. Names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_mlops.experiments.search.planning import Asked, Plan, Told
    from jupyter_mlops.experiments.search.searching import Search
    from jupyter_mlops.experiments.search.suggesting import Suggest

_HOMES = {
    "planning": ("Asked", "Plan", "Told"),
    "searching": ("Search",),
    "suggesting": ("Suggest",),
}
_WHERE = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["Asked", "Plan", "Search", "Suggest", "Told"]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
