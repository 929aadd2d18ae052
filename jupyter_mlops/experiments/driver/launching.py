"""An experiment from a cell: checked, sealed, shipped and recorded, before anything runs."""

from __future__ import annotations

import builtins
import os
import secrets
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jupyter_mlops import data as datasets
from jupyter_mlops.data import Table
from jupyter_mlops.experiments.body import Body, is_machinery, plain_python
from jupyter_mlops.experiments.driver.checks import calling, check_code, check_search
from jupyter_mlops.experiments.driver.room import frame_of
from jupyter_mlops.experiments.driver.shipments import pack
from jupyter_mlops.experiments.driver.trial import CALL, PROVIDED, VALID
from jupyter_mlops.experiments.localcode import local_files
from jupyter_mlops.experiments.portrait import to_pandas
from jupyter_mlops.experiments.records import ExperimentRecord
from jupyter_mlops.experiments.sealing import keep_cell, labels_seal, seal
from jupyter_mlops.experiments.studies import Goal
from jupyter_mlops.experiments.surroundings import Checkout, Environment
from jupyter_mlops.experiments.trials import process_name
from jupyter_mlops.workspace import Invalid, Workspace, check_name, closest
from jupyter_mlops.workspace.records import utcnow
from jupyter_mlops.workspace.settings import SERVED

__all__ = ["Asked", "goals_of", "launch", "seconds_of", "shipments"]

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass
class Asked:
    """What a person asks for when a cell becomes an experiment.

    Attributes
    ----------
    metric : list of str
        Names that the cell sets; ``auc:max`` and ``loss:min`` say which way, else `maximize`.
    labels : Table or None
        A version of a label set, which the cell sees as ``labels``.
    timeout, trial_timeout, budget : str or None
        Wall time, that of each trial, and CPU seconds of all trials: ``90s``, ``10m``, ``2h``.
    patience : int or None
        Trials without a better value after which it ends.
    nested : int or None
        Outer folds of each `evaluate(...)`, by which the search as a whole is validated.
    keep : int
        How many of the best models are kept.
    gpus, gpu_memory : int, str or None
        Whole GPUs of each trial, or memory of one, such as ``8GB``.
    """

    metric: list[str]
    maximize: bool = False
    trials: int = 20
    data: Any = None
    labels: Table | None = None
    model: str | None = None
    target: str | None = None
    valid: Any = None
    metrics: list[str] | None = None
    sampler: str = "auto"
    pruner: str = "none"
    timeout: str | None = None
    trial_timeout: str | None = None
    budget: str | None = None
    patience: int | None = None
    constraints: list[str] | None = None
    nested: int | None = None
    seed: int | None = None
    keep: int = 1
    cluster: str = "auto"
    workers: int | None = None
    environment: str | None = None
    gpus: int = 0
    gpu_memory: str | None = None
    warm_start: str | None = None
    call: Callable[..., Any] | None = None
    detached: bool = False


def goals_of(metric: Sequence[str], maximize: bool) -> tuple[Goal, ...]:
    """Read ``log_loss`` or ``auc:max`` and the like.

    Examples
    --------
    >>> goals_of(["auc:max", "seconds"], False)
    (Goal(metric='auc', maximize=True), Goal(metric='seconds', maximize=False))
    """
    found = []
    for one in metric:
        name, colon, way = one.partition(":")
        if not name.isidentifier() or (colon and way not in {"min", "max"}):
            raise Invalid(
                f"--metric can't be {one!r}",
                "it takes the name of a variable that the cell sets, as it is or with :min or :max",
                "write for example log_loss, or auc:max",
                code="E-EXPERIMENT-030",
            )
        found.append(Goal(name, way == "max" if colon else maximize))
    if not found or len({one.metric for one in found}) < len(found):
        raise Invalid(
            "--metric names no metric" if not found else "--metric names one metric twice",
            fix="name the variable that the cell sets, for example --metric log_loss",
            code="E-EXPERIMENT-031",
        )
    return tuple(found)


def seconds_of(text: str | float | None, flag: str) -> float | None:
    """Read ``90``, ``90s``, ``10m``, ``2h`` or ``1d`` as seconds."""
    if text is None:
        return None
    text = str(text)
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS else (text, "s")
    try:
        found = float(number) * _UNITS[unit]
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise Invalid(
            f"{flag} can't be {text!r}",
            fix="write for example 90s, 10m or 2h",
            code="E-EXPERIMENT-032",
        )
    return found


def shipments(ws: Workspace) -> Path:
    """Where experiments' variables are kept."""
    return ws.home / "shipments"


def launch(ws: Workspace, name: str, body: str, asked: Asked, namespace: dict[str, Any]) -> str:
    """Check, seal, ship and record an experiment; return its id. Nothing runs yet.

    Raises
    ------
    Invalid
        What was asked for can't work: a metric that the cell never sets, a variable that can't
        be sent to another process, validation rows without the target, ….
    """
    check_name(name, "experiment")
    goals = goals_of(asked.metric, asked.maximize)
    if asked.trials < 1:
        raise Invalid(f"--trials can't be {asked.trials}", "it takes 1 or more",
                      code="E-EXPERIMENT-033")  # fmt: skip
    if asked.seed is not None and not 0 <= asked.seed < 2**32:
        raise Invalid(f"--seed can't be {asked.seed}", "it takes 0 to 4294967295",
                      code="E-EXPERIMENT-034")  # fmt: skip
    if asked.nested is not None and asked.nested < 2:
        raise Invalid(f"--nested can't be {asked.nested}", "it takes 2 outer folds or more",
                      code="E-EXPERIMENT-044")  # fmt: skip
    seed = secrets.randbelow(2**32) if asked.seed is None else asked.seed
    timeout = seconds_of(asked.timeout, "--timeout")
    trial_timeout = seconds_of(asked.trial_timeout, "--trial-timeout")
    budget = seconds_of(asked.budget, "--budget")
    if asked.call is not None:
        body = calling(body, asked.call, goals)
        namespace = {**namespace, CALL: asked.call}
    check_search(ws, goals, asked, timeout, budget)
    parsed = Body.parse(body, name, namespace)
    code = plain_python(body, namespace)
    check_code(parsed, code, goals, asked)
    checkout = Checkout(ws.root)
    table = None if asked.data is None else datasets.resolve(ws, asked.data)
    names = _free(parsed, namespace)
    if table is not None:
        names["data"] = frame_of(table)
    if asked.labels is not None:
        names["labels"] = asked.labels.pandas()
    validation = _validation(ws, asked, parsed, namespace, names)
    cell, surroundings = seal(
        parsed,
        namespace,
        seed,
        checkout,
        table=table,
        more=labels_seal(asked.labels),
        skip=frozenset(PROVIDED) | ({"labels"} if asked.labels is not None else set()),
        surroundings=_surroundings(ws, asked.environment),
    )
    files = local_files(parsed.tree, {**namespace, **names})
    shipment = pack(shipments(ws), names, files, [surroundings.python])
    experiment = secrets.token_hex(16)
    plan = {
        "goals": [{"metric": one.metric, "maximize": one.maximize} for one in goals],
        "trials": asked.trials,
        "code": code,
        "variable": _variable(asked, parsed),
        "target": asked.target,
        "wanted": asked.metrics,
        "validation": validation,
        "keep_columns": [validation[role] for role in ("key", "time") if validation.get(role)],
        "sampler": asked.sampler,
        "pruner": asked.pruner,
        "timeout": timeout,
        "trial_timeout": trial_timeout,
        "budget": budget,
        "patience": asked.patience,
        "constraints": asked.constraints or [],
        "nested": asked.nested,
        "seed": seed,
        "keep": asked.keep,
        "cwd": _here(ws),
        "cluster": asked.cluster,
        "workers": asked.workers,
        "environment": asked.environment,
        # Whoever goes on with it gives the workers the same packages.
        "python": None if os.environ.get(SERVED) else sys.executable,
        "gpus": asked.gpus,
        "gpu_memory": asked.gpu_memory,
        "warm_start": asked.warm_start,
    }
    row = ExperimentRecord(
        id=experiment,
        name=name,
        status="waiting" if asked.detached else "running",
        actor=ws.user,
        process=process_name(),
        started_at=utcnow(),
        cell=cell.id,
        plan=plan,
        shipment=shipment.folder.name,
        detached=asked.detached,
    )
    with ws.write() as tx:
        keep_cell(tx.session, cell, surroundings)
        tx.session.add(row)
        inputs = [f"cell:{cell.id}", cell.data_ref, validation.get("ref")]
        inputs += [asked.labels.ref] if asked.labels is not None else []
        tx.emit(
            "experiment.started",
            f"experiment:{experiment}",
            payload={"name": name, "trials": asked.trials, "metric": goals[0].metric},
            inputs=[*(one for one in inputs if one), f"env:{surroundings.digest}"],
        )
    return experiment


def _here(ws: Workspace) -> str:
    """The notebook's folder, by which relative paths in its cells go."""
    try:
        return os.getcwd()  # noqa: PTH109  as the kernel has it
    except FileNotFoundError:
        return str(ws.root)


def _surroundings(ws: Workspace, environment: str | None) -> Environment | None:
    """The packages of a named environment, once it is known to fit."""
    if environment is None:
        return None
    from jupyter_mlops.experiments import environments

    environments.refuse_unfit(ws, environment)
    return environments.surroundings_of(environments.interpreter(ws, environment))


def _variable(asked: Asked, parsed: Body) -> str | None:
    if asked.model is not None:
        return asked.model
    return "model" if "model" in parsed.binds else None


def _free(parsed: Body, namespace: dict[str, Any]) -> dict[str, Any]:
    """The notebook's values that the cell takes."""
    skip = {"suggest", "report"}
    return {
        name: namespace[name]
        for name in sorted(parsed.free)
        if name in namespace
        and name not in skip
        and not name.startswith("__")
        and not is_machinery(name)
        and namespace[name] is not getattr(builtins, name, _MISSING)
    }


_MISSING: Final = object()


def _validation(
    ws: Workspace,
    asked: Asked,
    parsed: Body,
    namespace: dict[str, Any],
    names: dict[str, Any],
) -> dict[str, Any]:
    """Put the validation rows among what travels; where they are from."""
    if asked.valid is None:
        return {}
    if asked.target is None:
        raise Invalid(
            "--valid needs to know which column is the truth",
            fix="name it with --target",
            code="E-EXPERIMENT-040",
        )
    if _variable(asked, parsed) is None:
        raise Invalid(
            "--valid needs a model to score, and the cell binds none called `model`",
            fix="name the variable with --model",
            code="E-EXPERIMENT-041",
        )
    given = asked.valid
    if isinstance(given, str) and to_pandas(namespace.get(given)) is not None:
        given = namespace[given]
    frame = to_pandas(given)
    where: dict[str, Any] = {"ref": None, "digest": None, "key": None, "time": None}
    if frame is None:
        table = datasets.resolve(ws, given)
        frame = frame_of(table)
        where = {
            "ref": table.ref, "digest": table.digest, "key": table.key, "time": table.time
        }  # fmt: skip
    columns = [str(column) for column in frame.columns]
    if asked.target not in columns:
        raise Invalid(
            f"the validation rows have no target column {asked.target!r}",
            f"their columns are {', '.join(columns[:20])}",
            closest(asked.target, columns) or "name the column with --target",
            code="E-EXPERIMENT-042",
        )
    names[VALID] = frame
    return where
