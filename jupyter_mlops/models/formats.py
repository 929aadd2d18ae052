"""Opening a model's folder, whatever format it is kept in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from jupyter_mlops.models.files import FILES, Format
from jupyter_mlops.workspace import Denied, Unavailable

__all__ = ["described", "format_of", "open_folder", "open_payload"]


def described(folder: Path) -> dict[str, Any]:
    """What MLmodel says of the model: ``format``, ``class``, ``features``, ``classes`` …"""
    told = yaml.safe_load((folder / "MLmodel").read_bytes())
    found: dict[str, Any] = (told.get("metadata") or {}).get("jupyter_mlops") or {}
    return found


def format_of(folder: Path) -> Format:
    """The format of the model in a folder.

    Raises
    ------
    Unavailable
        It is none that is known here.
    """
    found = described(folder).get("format", "skops")
    if found not in FILES:
        raise Unavailable(
            f"the model is kept in the format {found!r}, which isn't known here",
            fix="install the version of the package that registered it",
            code="E-MODEL-036",
        )
    known: Format = found
    return known


def open_folder(folder: Path, *, pickles: bool = False) -> Any:
    """Load the model of a folder whose digest was verified.

    Parameters
    ----------
    folder : Path
    pickles : bool
        Whether this process may run what a pickle holds: an endpoint's own may, if its model's
        waiver was looked at when the endpoint was declared.

    Raises
    ------
    Denied
        The file holds what isn't allowed, or is a pickle.
    Unavailable
        It can't be read, or its library isn't installed.
    """
    return open_payload(folder, folder / FILES[format_of(folder)], pickles=pickles)


def open_payload(folder: Path, path: Path, *, pickles: bool = False) -> Any:
    """As `open_folder`, where MLmodel was read before and names the file."""
    kind = format_of(folder)
    if kind == "skops":
        from jupyter_mlops.models.freezing import thaw

        return thaw(path)
    if kind == "xgboost":
        from jupyter_mlops.models.boosters import thaw_xgboost

        return thaw_xgboost(path, described(folder))
    if kind == "lightgbm":
        from jupyter_mlops.models.boosters import thaw_lightgbm

        return thaw_lightgbm(path, described(folder))
    if kind == "onnx":
        from jupyter_mlops.models.onnx import thaw as thaw_onnx

        return thaw_onnx(path, described(folder))
    if not pickles:
        raise Denied(
            "the model is a pickle, which runs any code when it is loaded",
            "it is loaded in an endpoint's own process only",
            "serve it, and ask the endpoint",
            code="E-MODEL-037",
        )
    import cloudpickle

    with path.open("rb") as stream:
        return cloudpickle.load(stream)
