"""Serving: endpoints, what they were asked and answered, and the truth that came later.

Names are loaded when they are first used: the endpoint's own process needs few of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_mlops.serving import feedback, traffic
    from jupyter_mlops.serving.calling import Predictions, call
    from jupyter_mlops.serving.declarations import contract_mode
    from jupyter_mlops.serving.declaring import declare
    from jupyter_mlops.serving.endpoints import (
        Endpoint,
        Endpoints,
        get,
        list_endpoints,
        retire,
    )
    from jupyter_mlops.serving.feedback import Feedback
    from jupyter_mlops.serving.succeeding import check_successor

_WHERE = {
    "Endpoint": "endpoints",
    "Endpoints": "endpoints",
    "Feedback": "feedback",
    "Predictions": "calling",
    "call": "calling",
    "check_successor": "succeeding",
    "contract_mode": "declarations",
    "declare": "declaring",
    "get": "endpoints",
    "list_endpoints": "endpoints",
    "retire": "endpoints",
}

__all__ = [
    "Endpoint",
    "Endpoints",
    "Feedback",
    "Predictions",
    "call",
    "check_successor",
    "contract_mode",
    "declare",
    "feedback",
    "get",
    "list_endpoints",
    "retire",
    "traffic",
]


def __getattr__(name: str) -> Any:
    if name in ("feedback", "traffic"):
        return import_module(f"{__name__}.{name}")
    if name in _WHERE:
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
