"""The agent: one process a workspace, that makes endpoints as they were declared.

Names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_mlops.agent.lease import AgentState, interpreter, state
    from jupyter_mlops.agent.loop import run
    from jupyter_mlops.agent.starting import bring_down, bring_up, ensure

_WHERE = {
    "AgentState": "lease",
    "bring_down": "starting",
    "bring_up": "starting",
    "ensure": "starting",
    "interpreter": "lease",
    "run": "loop",
    "state": "lease",
}

__all__ = ["AgentState", "bring_down", "bring_up", "ensure", "interpreter", "run", "state"]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
