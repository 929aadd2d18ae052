"""Exports: a registered model with all that serves it elsewhere, in one folder.

Names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_mlops.serving.exporting.exports import KINDS, Export, export

__all__ = ["KINDS", "Export", "export"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(f"{__name__}.exports"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
