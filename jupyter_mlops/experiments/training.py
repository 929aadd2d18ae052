"""Training: a cell is sealed, run, scored and recorded before its user hears that it is done."""

from __future__ import annotations

import secrets
import time
from types import TracebackType
from typing import Any

from jupyter_mlops import data as datasets
from jupyter_mlops.data import Table
from jupyter_mlops.experiments.body import Body
from jupyter_mlops.experiments.guarding import Mode, guard
from jupyter_mlops.experiments.outcome import Found, Freeze, Plan, gather
from jupyter_mlops.experiments.portrait import to_pandas
from jupyter_mlops.experiments.records import CellRecord, TrialRecord
from jupyter_mlops.experiments.sealing import keep_cell, labels_seal, seal
from jupyter_mlops.experiments.sending import send_later
from jupyter_mlops.experiments.surroundings import Checkout
from jupyter_mlops.experiments.trials import Run, process_name, settle
from jupyter_mlops.workspace import Invalid, MLOpsError, Workspace, check_name, closest
from jupyter_mlops.workspace.records import utcnow

__all__ = ["train"]


def train(
    ws: Workspace,
    name: str,
    body: str,
    *,
    freeze: Freeze,
    namespace: dict[str, Any] | None = None,
    data: Any = None,
    labels: Table | None = None,
    model: str = "model",
    target: str | None = None,
    valid: Any = None,
    seed: int | None = None,
    metrics: list[str] | None = None,
    contract: str | None = None,
    contract_mode: Mode = "fail",
    goals: tuple[str, ...] = (),
) -> Run:
    """Run a cell that trains a model; record all that its outcome depends on, and its outcome.

    The body sees `namespace` (it runs as an ordinary cell does) and, with `data`, that
    dataset as a pandas frame called ``data``; `labels` are one called ``labels``. It binds the
    fitted model to the variable `model` and may bind a dict ``metrics`` of numbers. `random`
    and NumPy's global generator are seeded before it runs.

    Parameters
    ----------
    ws : Workspace
    name : str
        What the runs of this cell are called.
    body : str
        Python.
    freeze : callable
        Turns a model into bytes that load safely; raises `Denied` for one that can't.
    namespace : dict, optional
        The notebook's names.
    data : dataset name, URI or frame, optional
    labels : Table, optional
        A version of a label set.
    model : str
        The variable that holds the model afterwards.
    target : str, optional
        The column to predict; needed with `valid`.
    valid : dataset name, URI, frame, or the name of a frame that the body binds, optional
        Held-out rows with the target; the model is scored on them.
    seed : int, optional
        0 to 2**32 - 1; drawn and recorded when not given.
    metrics : list of str, optional
        Which scores to compute; all of the task's when None.
    contract : str, optional
        A contract that `data` is checked against before the body runs.
    contract_mode : {"fail", "observe", "quarantine"}
        What happens when it is broken; see `guarding.guard`.
    goals : tuple of str
        Variables that the body sets and that are metrics, besides its dict ``metrics``.

    Returns
    -------
    Run
        Durable when this returns. MLflow hears of it a moment later.

    Raises
    ------
    Exception
        Whatever the body raises, once the run is recorded as failed.
    Invalid
        The body binds no model, `valid` lacks the target or a feature, and the like.
    """
    __tracebackhide__ = True
    check_name(name, "run")
    names = {} if namespace is None else namespace
    if seed is None:
        seed = secrets.randbelow(2**32)
    elif not 0 <= seed < 2**32:
        raise Invalid(f"--seed can't be {seed}", "NumPy takes 0 to 4294967295", code="E-TRAIN-002")
    parsed = Body.parse(body, name, names)
    checkout = Checkout(ws.root)
    plan = Plan(
        ws, name, names, model, target, valid, metrics, freeze, parsed, secrets.token_hex(16)
    )
    plan.goals = goals
    _check_early(plan)
    settle(ws)
    table = None if data is None else datasets.resolve(ws, data)
    taken = {"data": table, "labels": labels}
    before = {name: names[name] for name, one in taken.items() if one is not None and name in names}
    rows = None
    if contract is not None:
        plan.guard, rows = guard(ws, contract, table, contract_mode)
    if table is not None:
        plan.table, plan.data_ref = table, table.ref
        names["data"] = table.pandas() if rows is None else rows
    if labels is not None:
        plan.labels = labels
        names["labels"] = labels.pandas()
    try:
        _start(plan, table, seed, checkout)
        seconds = _run(plan, seed)
        try:
            found = gather(plan)
        except MLOpsError as error:
            _fail(plan, seconds, "failed", f"{error.what}: {error.why}".rstrip(": "))
            raise
        except Exception as error:
            _fail(plan, seconds, "failed", f"{type(error).__name__}: {error}")
            raise
        run = _finish(plan, seconds, found)
    finally:
        names.update(before)
    send_later(ws)
    return run


def _check_early(plan: Plan) -> None:
    """Refuse what can be known to fail before an hour of training."""
    if not plan.variable.isidentifier():
        raise Invalid(f"{plan.variable!r} can't name a variable", code="E-TRAIN-003")
    valid = plan.valid
    if valid is None:
        return
    if plan.target is None:
        raise Invalid(
            "--valid needs to know which column is the truth",
            fix="name it with --target",
            code="E-TRAIN-004",
        )
    if isinstance(valid, str) and valid in plan.body.binds:
        return  # it exists once the body has run
    if to_pandas(valid) is None:
        plan.valid = datasets.resolve(plan.ws, valid)
        columns = list(plan.valid.schema)
    else:
        columns = [str(column) for column in valid.columns]
    if plan.target not in columns:
        raise Invalid(
            f"the validation rows have no target column {plan.target!r}",
            f"their columns are {', '.join(columns[:20])}",
            closest(plan.target, columns) or "name the column with --target",
            code="E-TRAIN-010",
        )


def _start(plan: Plan, table: Any, seed: int, checkout: Checkout) -> None:
    """Seal the cell and record that it runs."""
    cell, surroundings = seal(
        plan.body,
        plan.namespace,
        seed,
        checkout,
        table=table,
        more={**labels_seal(plan.labels), **(plan.guard.seal() if plan.guard else {})},
        skip=frozenset({"labels"} if plan.labels is not None else ()),
    )
    refs = [f"cell:{cell.id}", plan.data_ref, getattr(plan.valid, "ref", None)]
    refs += [plan.labels.ref] if plan.labels is not None else []
    refs += [plan.guard.contract.ref] if plan.guard else []
    plan.inputs = tuple(ref for ref in refs if ref)
    trial = TrialRecord(
        id=plan.run_id,
        name=plan.name,
        status="running",
        actor=plan.ws.user,
        process=process_name(),
        started_at=utcnow(),
        cell=cell.id,
    )
    with plan.ws.write() as tx:
        keep_cell(tx.session, cell, surroundings)
        tx.session.add(trial)
        tx.emit(
            "run.started",
            f"run:{plan.run_id}",
            payload={"name": plan.name},
            inputs=[*plan.inputs, f"env:{surroundings.digest}"],
        )


def _run(plan: Plan, seed: int) -> float:
    """Run the body; its own error reaches the user as it is, once it is recorded."""
    __tracebackhide__ = True
    started = time.perf_counter()
    try:
        plan.body.run(plan.namespace, seed)
    except BaseException as error:
        status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        line = _line_of(error.__traceback__, plan.body.filename)
        reason = f"{type(error).__name__}: {error}"[:2000] if str(error) else type(error).__name__
        _fail(plan, time.perf_counter() - started, status, reason + line)
        error.add_note(f"run:{plan.run_id[:8]} of {plan.name} is recorded as {status}.")
        raise
    return time.perf_counter() - started


def _line_of(trace: TracebackType | None, filename: str) -> str:
    found = ""
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == filename:
            found = f" (line {trace.tb_lineno} of the cell)"
        trace = trace.tb_next
    return found


def _finish(plan: Plan, seconds: float, found: Found) -> Run:
    with plan.ws.write() as tx:
        trial = tx.session.get_one(TrialRecord, plan.run_id)
        trial.status = "finished"
        trial.ended_at = utcnow()
        trial.seconds = seconds
        trial.model, trial.params, trial.metrics = found.model, found.params, found.metrics
        trial.validation, trial.notes = found.validation, found.notes
        tx.emit(
            "run.finished",
            f"run:{plan.run_id}",
            payload={"name": plan.name, "seconds": round(seconds, 3), "metrics": found.metrics},
            inputs=plan.inputs,
        )
        cell = tx.session.get_one(CellRecord, trial.cell)
        return Run.of(trial, cell)


def _fail(plan: Plan, seconds: float, status: str, reason: str) -> None:
    with plan.ws.write() as tx:
        trial = tx.session.get_one(TrialRecord, plan.run_id)
        trial.status = status
        trial.ended_at = utcnow()
        trial.seconds = seconds
        trial.error = reason
        tx.emit(
            "run.failed",
            f"run:{plan.run_id}",
            payload={"name": plan.name, "status": status, "reason": reason[:1000]},
            inputs=plan.inputs,
        )
    send_later(plan.ws)
