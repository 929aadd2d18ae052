"""Models as files that load without running anybody's code.

What writes each format is loaded with the first model: skops alone imports all of scikit-learn,
and whoever only hands `freeze` on to the processes that fit models needs none of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from jupyter_mlops.models.files import FILES, Format
from jupyter_mlops.workspace.errors import Denied

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["FrozenModel", "freeze", "freezer", "thaw"]


@dataclass(frozen=True)
class FrozenModel:
    """A model's bytes, the reviewed types among its contents, and the format they are in."""

    content: bytes
    trusted: tuple[str, ...] = ()
    format: Format = "skops"

    @property
    def file(self) -> str:
        """What a file with these bytes is called."""
        return FILES[self.format]


def freeze(model: Any) -> FrozenModel:
    """Turn a fitted model into bytes that load safely.

    scikit-learn's are written by skops, those of XGBoost and LightGBM in their own formats,
    a `TorchModel` as ONNX, and an `OnnxModel` is ONNX already.

    Raises
    ------
    Denied
        The model holds something that isn't reviewed, or that has no safe form.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> freeze(LinearRegression().fit([[0], [1]], [0, 1])).trusted
    ()
    """
    from jupyter_mlops.models import boosters, onnx, pytorch

    native = boosters.freeze(model) or onnx.freeze(model) or pytorch.freeze(model)
    if native is not None:
        return FrozenModel(native[1], format=native[0])
    content, held = _policy().write(model)
    return FrozenModel(content, held)


def freezer(ws: Workspace, name: str) -> Callable[[Any], FrozenModel]:
    """How models that are trained under a name are kept: as pickles too, if that was waived.

    Examples
    --------
    >>> freezer(ws, "delay")(model).format  # doctest: +SKIP
    'skops'
    """
    from jupyter_mlops.models.waivers import waived

    return freeze if waived(ws, name) is None else _freeze_anyhow


def _freeze_anyhow(model: Any) -> FrozenModel:
    """What has no safe format becomes a pickle, with the notebook's own classes inside."""
    try:
        return freeze(model)
    except Denied:
        import cloudpickle

        try:
            return FrozenModel(cloudpickle.dumps(model), format="pickle")
        except Exception as error:  # open files, locks and sockets raise anything
            raise Denied(
                f"the {type(model).__name__} can't be pickled either",
                f"{type(error).__name__}: {error}",
                "keep what can't be copied out of its attributes",
                code="E-MODEL-027",
            ) from error


def thaw(path: Path) -> Any:
    """Load a model file of skops; only its own and our reviewed types are let in.

    What the model folder says about trust is not asked: whoever can change the model can
    change that too.

    Raises
    ------
    Denied
        The file holds another type.
    Unavailable
        The file can't be read.
    """
    return _policy().read(path)


def _policy() -> ModuleType:
    """skops, without what it needs least.

    It asks each module of scikit-learn for estimators, and one of them loads all of Dask's arrays
    only to adapt them: a third of the time of it all.
    """
    adapter = "sklearn.externals.array_api_compat.dask"
    hidden = adapter not in sys.modules
    if hidden:
        # Not a package, so nothing is looked for in it.
        sys.modules[adapter] = ModuleType(adapter)
    try:
        return import_module("jupyter_mlops.models.skops_policy")
    finally:
        if hidden:
            del sys.modules[adapter]
