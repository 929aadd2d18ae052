"""Models: saved safely, registered in MLflow, pinned by digest.

Names are loaded when they are first used: finding a version then imports no scikit-learn.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_mlops.models.adopting import adopt
    from jupyter_mlops.models.aliases import move_alias
    from jupyter_mlops.models.approvals import Approval, approve
    from jupyter_mlops.models.freezing import FrozenModel, freeze
    from jupyter_mlops.models.onnx import OnnxClassifier, OnnxModel
    from jupyter_mlops.models.promotions import Promotion, promote, rollback
    from jupyter_mlops.models.pytorch import TorchClassifier, TorchModel
    from jupyter_mlops.models.registry import register
    from jupyter_mlops.models.versions import Models, ModelVersion, get, list_models, load

_HOMES = {
    "adopting": ("adopt",),
    "freezing": ("FrozenModel", "freeze"),
    "aliases": ("move_alias",),
    "approvals": ("Approval", "approve"),
    "promotions": ("Promotion", "promote", "rollback"),
    "onnx": ("OnnxClassifier", "OnnxModel"),
    "pytorch": ("TorchClassifier", "TorchModel"),
    "registry": ("register",),
    "versions": ("ModelVersion", "Models", "get", "list_models", "load"),
}
_WHERE = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Approval",
    "FrozenModel",
    "ModelVersion",
    "Models",
    "OnnxClassifier",
    "OnnxModel",
    "Promotion",
    "TorchClassifier",
    "TorchModel",
    "adopt",
    "approve",
    "freeze",
    "get",
    "list_models",
    "load",
    "move_alias",
    "promote",
    "register",
    "rollback",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
