"""Opening a model's folder, whatever format it is kept in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from jupyter_mlops.models.files import FILES, Format
from jupyter_mlops.models.ways import Way, unreviewed, way
from jupyter_mlops.workspace import Denied, Unavailable

__all__ = ["described", "format_of", "hazard", "open_exact", "open_folder", "open_payload"]


def _mlmodel(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = yaml.safe_load((folder / "MLmodel").read_bytes())
    return told


def described(folder: Path) -> dict[str, Any]:
    """What MLmodel says of the model: ``format``, ``class``, ``features``, ``classes`` …"""
    found: dict[str, Any] = (_mlmodel(folder).get("metadata") or {}).get("jupyter_mlops") or {}
    return found


def hazard(folder: Path) -> str:
    """Why loading the model of a folder may run any code, as a clause; empty where it can't."""
    found = way(_mlmodel(folder))
    if found.hazard:
        return found.hazard
    bad = unreviewed(folder, found)
    return f"it holds {', '.join(bad[:5])}, which nobody has reviewed" if bad else ""


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
    found = way(_mlmodel(folder))
    if found.exact:
        return open_exact(folder, found, pickles=pickles)
    return open_payload(folder, folder / found.file, pickles=pickles)


def open_exact(folder: Path, found: Way, *, pickles: bool = False) -> Any:
    """Load a folder through ``mlflow.pyfunc``; what comes is MLflow's ``PyFuncModel``.

    Parameters
    ----------
    folder : Path
        Its digest was verified.
    found : Way
    pickles : bool
        As for `open_folder`.

    Raises
    ------
    Denied
        Loading it may run any code, and this process may not.
    Unavailable
        MLflow's loader, or the library it needs, isn't installed.
    """
    why = found.hazard or ", ".join(unreviewed(folder, found))
    if why and not pickles:
        raise Denied(
            "loading the model may run any code",
            why,
            "record a waiver with `%mlops waive pickle`, and serve it: an endpoint's own process "
            "loads it then",
            code="E-MODEL-038",
        )
    import os

    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import pyfunc
    from mlflow.environment_variables import MLFLOW_ALLOW_PICKLE_DESERIALIZATION as PICKLES

    before = PICKLES.get_raw()
    # MLflow counts files of skops as pickles; theirs were looked through above.
    PICKLES.set(bool(why) or found.skops)
    try:
        return pyfunc.load_model(str(folder), suppress_warnings=True)
    except ImportError as error:
        raise Unavailable(
            "the model needs a package that isn't installed here",
            str(error).splitlines()[0][:200],
            f"install it beside the server, see {folder / 'requirements.txt'}",
            code="E-MODEL-039",
        ) from error
    finally:
        if before is None:
            PICKLES.unset()
        else:
            PICKLES.set(before)


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
