"""Check what an endpoint serves: its traffic, its model, its truth, put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from jupyter_mlops import data, experiments, models, serving
from jupyter_mlops.experiments import Run
from jupyter_mlops.monitoring.checks import Drift
from jupyter_mlops.monitoring.drift import drift
from jupyter_mlops.monitoring.limits import Limits
from jupyter_mlops.monitoring.truth import validation_rows
from jupyter_mlops.monitoring.windows import Window
from jupyter_mlops.profiling.contracts import Contract
from jupyter_mlops.serving import Endpoint
from jupyter_mlops.workspace import Invalid, Workspace

__all__ = ["check_served", "logged_of", "model_of", "reference_of"]


def check_served(
    ws: Workspace,
    endpoint: str,
    *,
    against: Any = None,
    window: Window | None = None,
    length: str | None = None,
    stricter: Callable[[Limits], Limits] | None = None,
) -> Drift:
    """Check an endpoint's traffic as `drift` does, with all that is known of its model.

    Parameters
    ----------
    ws : Workspace
    endpoint : str
    against : Data, optional
        What to compare with; the model's training data when None.
    window, length
        As `drift` takes them.
    stricter : callable, optional
        Makes the limits of this check from those of the model's contract.

    Raises
    ------
    Invalid
        ``E-MONITORING-009``: the training data aren't a recorded dataset.
    """
    served = serving.get(ws, endpoint)
    known = logged_of(ws, served, model_of(ws, served))
    if stricter is not None:
        known["limits"] = stricter(known["limits"])
    return drift(
        ws,
        reference_of(ws, served, against),
        serving.traffic.read(ws, served.name),
        serving.feedback.read(ws, served.name),
        endpoint=served.name,
        window=window,
        length=length,
        **known,
    )


def reference_of(ws: Workspace, served: Endpoint, against: Any) -> Any:
    """What traffic is compared with: `against`, or else the model's training data.

    Raises
    ------
    Invalid
        ``E-MONITORING-009``: the training data aren't a recorded dataset.
    """
    if against is not None:
        return data.resolve(ws, against)
    version = models.get(ws, served.model_ref)
    if version.data_ref is None:
        raise Invalid(
            f"the training data of {version.label} isn't a recorded dataset",
            fix="say what to compare with: --against DATA",
            code="E-MONITORING-009",
        )
    return data.resolve(ws, version.data_ref)


def model_of(ws: Workspace, served: Endpoint) -> dict[str, Any]:
    """What a check needs to know of the served model and of its validation.

    Raises
    ------
    Invalid
        ``E-MONITORING-018``: the model was trained elsewhere.
    """
    version = models.get(ws, served.model_ref)
    if not version.run_id:
        raise Invalid(
            f"{version.label} was trained elsewhere, so nothing is known of its validation",
            fix="train it with `%%mlops train`, or compare data with `%mlops profile --against`",
            code="E-MONITORING-018",
        )
    run = experiments.find_run(ws, version.run_id)
    classes, file = run.model.get("classes"), run.validation.get("file")
    validation = None
    if file and ws.artifacts.exists(file):
        with ws.artifacts.open(file) as stream:
            stored = pl.read_parquet(stream)
        validation = validation_rows(stored, classes, run.validation.get("time"))
    return {
        "features": version.features,
        "model": version.label,
        "version": str(version.version),
        "task": version.task,
        "validation": validation,
        "metrics": version.metrics,
        "classes": classes,
        "limits": Limits.of_contract(_contract(ws, run)),
    }


def logged_of(ws: Workspace, served: Endpoint, model: dict[str, Any]) -> dict[str, Any]:
    """Leave out features of which the log has no values, and say so."""
    hidden = serving.traffic.hidden(ws, served.name)
    left_out = [name for name in model["features"] or () if name in hidden]
    notices = []
    if left_out:
        model["features"] = [name for name in model["features"] if name not in hidden]
        notices.append(
            f"{', '.join(left_out)} can't be compared: the endpoint's log redacts "
            f"{'it' if len(left_out) == 1 else 'them'}"
        )
    if served.log.mode == "off":
        notices.append("the endpoint logs nothing now (--log off)")
    return {**model, "notices": notices}


def _contract(ws: Workspace, run: Run) -> Contract | None:
    """The newest version of the contract a run was trained under.

    How far a feature may drift is for those who watch it; that takes no new model.
    """
    told = run.model.get("contract")
    if not told:
        return None
    from jupyter_mlops.profiling import contracts

    return contracts.get(ws, told["ref"].partition("@")[0])
