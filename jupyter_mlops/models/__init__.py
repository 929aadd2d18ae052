"""Models: saved safely, registered in MLflow, pinned by digest."""

from __future__ import annotations

from jupyter_mlops.models.freezing import FrozenModel, freeze
from jupyter_mlops.models.registry import move_alias, register
from jupyter_mlops.models.versions import Models, ModelVersion, get, list_models, load

__all__ = [
    "FrozenModel",
    "ModelVersion",
    "Models",
    "freeze",
    "get",
    "list_models",
    "load",
    "move_alias",
    "register",
]
