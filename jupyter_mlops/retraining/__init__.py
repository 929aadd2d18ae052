"""Re-training: policies, the decisions they come to, and the way back.

Names are loaded when they are first used: asking for a policy imports no scikit-learn.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_mlops.retraining.deciding import decide
    from jupyter_mlops.retraining.decisions import (
        Decision,
        Decisions,
        begin,
        decision,
        due,
        list_decisions,
    )
    from jupyter_mlops.retraining.policies import (
        Policies,
        Policy,
        list_policies,
        pause,
        policy,
        remove,
        set_policy,
    )
    from jupyter_mlops.retraining.terms import Terms

_HOMES = {
    "deciding": ("decide",),
    "decisions": ("Decision", "Decisions", "begin", "decision", "due", "list_decisions"),
    "policies": (
        "Policies",
        "Policy",
        "list_policies",
        "pause",
        "policy",
        "remove",
        "set_policy",
    ),
    "terms": ("Terms",),
}
_WHERE = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Decision",
    "Decisions",
    "Policies",
    "Policy",
    "Terms",
    "begin",
    "decide",
    "decision",
    "due",
    "list_decisions",
    "list_policies",
    "pause",
    "policy",
    "remove",
    "set_policy",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
