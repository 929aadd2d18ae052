"""What a cell's body left behind: its model, its metrics, its scores, each kept durably."""

from __future__ import annotations

import ast
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

from jupyter_mlops.experiments.body import Body
from jupyter_mlops.experiments.guarding import Guard, agree
from jupyter_mlops.experiments.metrics import numbers_of
from jupyter_mlops.experiments.plainmodels import plain
from jupyter_mlops.experiments.portrait import parameters, portray, to_pandas
from jupyter_mlops.experiments.scoring import Scores, score
from jupyter_mlops.experiments.sharing import shared_rows
from jupyter_mlops.workspace import Denied, Invalid, Workspace

if TYPE_CHECKING:
    from jupyter_mlops.data import Table

__all__ = ["Found", "Freeze", "Frozen", "Plan", "gather"]


class Frozen(Protocol):
    """A model as bytes, the format they are in, and what a file with them is called."""

    @property
    def content(self) -> bytes: ...

    @property
    def trusted(self) -> Sequence[str]: ...

    @property
    def format(self) -> str: ...

    @property
    def file(self) -> str: ...


Freeze = Callable[[Any], Frozen]


@dataclass
class Plan:
    """What was asked for, and what was found before the body ran."""

    ws: Workspace
    name: str
    namespace: dict[str, Any]
    variable: str
    target: str | None
    valid: Any
    metrics: list[str] | None
    freeze: Freeze
    body: Body
    run_id: str
    data_ref: str | None = None
    inputs: tuple[str, ...] = ()
    guard: Guard | None = None
    #: Variables of the cell that are metrics too.
    goals: tuple[str, ...] = ()
    table: Table | None = None
    labels: Table | None = None


@dataclass
class Found:
    """What the body left behind."""

    model: dict[str, Any]
    params: dict[str, Any]
    metrics: dict[str, float]
    validation: dict[str, Any]
    notes: list[str]


def gather(plan: Plan) -> Found:
    """Take the model and the metrics, score it, and store both durably."""
    estimator = plain(_take_model(plan))
    metrics, notes = _take_metrics(plan)
    valid, where = _validation_frame(plan)
    frames = _frames(plan, valid)
    model, missing = portray(estimator, frames, plan.target)
    model["variable"] = plan.variable
    notes += [f"The model can't be registered: {reason}." for reason in missing]
    if plan.guard is not None:
        model["contract"] = plan.guard.told()
        notes += [*plan.guard.notes, *agree(plan.guard.contract, model)]
    validation: dict[str, Any] = {}
    if valid is not None and plan.target is not None:
        wanted = [m for m in plan.metrics if m not in metrics] if plan.metrics else None
        keep = [where[role] for role in ("key", "time") if where.get(role)]
        scores = score(estimator, valid, plan.target, model.get("features"), wanted, keep)
        differing = [k for k, v in scores.metrics.items() if k in metrics and metrics[k] != v]
        if differing:
            notes.append(f"--valid gives another {', '.join(differing)} than the cell; it counts.")
        metrics.update(scores.metrics)
        model["task"] = scores.task
        validation = {**where, "rows": len(scores.rows), "file": _store_rows(plan, scores)}
        # As it was given: what is recorded says which split it is a part of.
        given = valid if isinstance(plan.valid, str) else plan.valid
        shared = shared_rows(plan.ws, plan.table, given)
        notes += [shared.note] if shared.note else []
        if shared.count:
            validation["shared"] = {"rows": shared.count, "by": shared.by}
    try:
        frozen = plan.freeze(estimator)
    except Denied as error:
        reason = "; ".join(part for part in (error.what, error.fix) if part)
        notes.append(f"The model isn't kept: {reason}.")
    else:
        key = f"runs/{plan.run_id}/{frozen.file}"
        plan.ws.artifacts.write_bytes(key, frozen.content)
        model["file"] = key
        model["sha256"] = hashlib.sha256(frozen.content).hexdigest()
        model["trusted"] = list(frozen.trusted)
        model["format"] = frozen.format
    return Found(model, parameters(estimator), metrics, validation, notes)


def _take_model(plan: Plan) -> Any:
    names, variable = plan.namespace, plan.variable
    # A model left over from an earlier cell isn't this one's.
    if variable in names and variable in plan.body.mentions:
        found = names[variable]
        if callable(getattr(found, "predict", None)) and not isinstance(found, type):
            return found
        network = any(one.__module__.startswith("torch.nn.") for one in type(found).__mro__)
        raise Invalid(
            f"`{variable}` can't predict",
            f"it is {_an(type(found).__name__)}",
            f"wrap it: jupyter_mlops.models.TorchModel({variable}, columns), or "
            f"TorchClassifier({variable}, columns, classes)"
            if network
            else "bind a fitted model to it, or name another variable with --model",
            code="E-TRAIN-006",
        )
    others = [
        one
        for one in sorted(plan.body.binds)
        if callable(getattr(names.get(one), "predict", None))
        and not isinstance(names.get(one), type)
    ]
    raise Invalid(
        f"the cell binds no model called `{variable}`",
        f"it binds {', '.join(others)}" if others else "",
        f"say --model {others[0]}" if others else f"end with `{variable} = …`, fitted",
        code="E-TRAIN-005",
    )


def _an(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def _take_metrics(plan: Plan) -> tuple[dict[str, float], list[str]]:
    """The numbers of the cell's own `metrics` dict."""
    found = plan.namespace.get("metrics") if "metrics" in plan.body.mentions else None
    # sklearn.metrics is often called so.
    named = dict(found) if isinstance(found, Mapping) else {}
    return numbers_of(
        named | {one: plan.namespace[one] for one in plan.goals if one in plan.namespace}
    )


def _validation_frame(plan: Plan) -> tuple[pd.DataFrame | None, dict[str, Any]]:
    valid = plan.valid
    if valid is None:
        return None, {}
    frame = to_pandas(plan.namespace.get(valid) if isinstance(valid, str) else valid)
    if frame is not None:
        # As it is: a round trip through a table would change its column types.
        return frame, {"ref": None, "digest": None, "key": None, "time": None}
    if isinstance(valid, str):
        raise Invalid(
            f"--valid {valid} isn't a data frame after the cell",
            fix="bind held-out rows, target included, to that name",
            code="E-TRAIN-007",
        )
    where = {"ref": valid.ref, "digest": valid.digest, "key": valid.key, "time": valid.time}
    return valid.pandas(), where


def _frames(plan: Plan, valid: pd.DataFrame | None) -> list[pd.DataFrame]:
    """Frames the model may have been fitted on: what the calls of `fit` name, then the rest."""
    named = [
        argument.id
        for node in ast.walk(plan.body.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr.startswith("fit")
        for argument in node.args
        if isinstance(argument, ast.Name)
    ]
    ordered = dict.fromkeys([*named, *sorted(plan.body.mentions)])
    frames = [to_pandas(plan.namespace.get(one)) for one in ordered if one in plan.namespace]
    return [frame for frame in [*frames, valid] if frame is not None]


def _store_rows(plan: Plan, scores: Scores) -> str:
    buffer = io.BytesIO()
    scores.rows.to_parquet(buffer, compression="zstd", index=False)
    key = f"runs/{plan.run_id}/predictions.parquet"
    plan.ws.artifacts.write_bytes(key, buffer.getvalue())
    return key
