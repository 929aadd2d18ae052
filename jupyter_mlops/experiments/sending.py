"""The way to MLflow: runs are durable in the workspace first, and follow there in one writer.

A trial whose `sent_at` is empty is in the outbox. Any process may send it; a claim of two
minutes keeps two from doing so at once, and a tag on the MLflow run makes sending it again
after a crash find the run that is there.
"""

from __future__ import annotations

import atexit
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from jupyter_mlops.experiments.outbox import (
    CLAIM,
    Delivered,
    Parcel,
    claim,
    is_sent,
    pending,
    settle,
)
from jupyter_mlops.experiments.parents import TAG as EXPERIMENT_TAG
from jupyter_mlops.experiments.parents import close_ended, data_tags, parent_of, unclosed
from jupyter_mlops.experiments.records import CellRecord, TrialRecord
from jupyter_mlops.workspace import Conflict, MLOpsError, Workspace
from jupyter_mlops.workspace.records import utcnow
from jupyter_mlops.workspace.tracking import artifact_root, explained, tracking_client

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

__all__ = ["TAG", "pending", "send", "send_all", "send_later", "send_overdue", "wait_until_sent"]

TAG = "jupyter_mlops.run"
EXIT_SECONDS = 20.0
WAIT_SECONDS = 150.0
WAIT_STEP = 0.1
STATUS = {"finished": "FINISHED", "pruned": "FINISHED", "failed": "FAILED"}
#: MLflow takes so many numbers at once.
BATCH = 1000
#: So many runs are claimed, sent and recorded together, unless that takes too long.
TOGETHER = 50
TOGETHER_SECONDS = CLAIM.total_seconds() / 4

_log = logging.getLogger(__name__)
_lock = threading.Lock()
_threads: dict[str, threading.Thread] = {}
_again: set[str] = set()


def send(ws: Workspace, run_id: str, announce: Callable[[str], None] | None = None) -> None:
    """Bring one run to MLflow now; nothing happens when it is there already.

    `announce` is told in one sentence when it takes longer than usual.

    Raises
    ------
    Unavailable
        MLflow doesn't answer. The run stays in the outbox.
    Conflict
        Another process is sending it and doesn't get done.
    """
    client = tracking_client(ws, announce)
    pause = threading.Event()
    for _ in range(int(WAIT_SECONDS / WAIT_STEP)):
        if _send(ws, client, [run_id]) or is_sent(ws, run_id):
            return
        pause.wait(WAIT_STEP)
    raise Conflict(
        f"run {run_id[:8]} is being sent to MLflow by another process",
        fix="try again in two minutes",
        code="E-RUN-003",
    )


def send_all(ws: Workspace) -> int:
    """Send what waits and nobody else is sending; stop at the first failure. Return how many.

    A failure is kept with its run, which tells it.
    """
    waiting = pending(ws)
    if not waiting and not unclosed(ws):
        return 0
    client = tracking_client(ws)
    sent = 0
    while waiting:
        now = sum(
            _send(ws, client, waiting[start : start + TOGETHER])
            for start in range(0, len(waiting), TOGETHER)
        )
        sent += now
        waiting = pending(ws) if now else []
    close_ended(ws, client)
    return sent


def send_later(ws: Workspace) -> None:
    """Send what waits in the background; a process that ends waits for it a while."""
    # Imported by MLflow in the thread otherwise, where its warning about SOCKS lands in the
    # user's cell: filters of warnings are set for all threads at once.
    import requests  # noqa: F401

    place = ws.store.place
    with _lock:
        _again.add(place)
        thread = _threads.get(place)
        if thread is None or not thread.is_alive():
            thread = threading.Thread(
                target=_work, args=(ws, place), name="jupyter-mlops-sender", daemon=True
            )
            _threads[place] = thread
            thread.start()


def send_overdue(ws: Workspace) -> None:
    """Send in the background what a process left behind, if any did.

    For readers, such as a server that shows runs: they needn't import MLflow for a run that
    its own kernel is just sending.
    """
    if pending(ws, 1, overdue=True):
        send_later(ws)


def wait_until_sent(seconds: float = EXIT_SECONDS) -> None:
    """Wait for this process's background sending, at most so long."""
    with _lock:
        threads = list(_threads.values())
    for thread in threads:
        thread.join(seconds)


# What isn't sent by then stays in the outbox for the next process.
atexit.register(wait_until_sent)


def _work(ws: Workspace, place: str) -> None:
    while True:
        with _lock:
            if place not in _again:
                # Left within the lock, so that no wake-up falls between this and the end.
                _threads.pop(place, None)
                return
            _again.discard(place)
        try:
            send_all(ws)
        except MLOpsError as error:
            # Recorded with the run and shown with it; the next reader or run tries again.
            _log.info("MLflow: %s", error)
        except Exception:
            _log.exception("a run can't be sent to MLflow; it is kept and tried again")


def _send(ws: Workspace, client: MlflowClient, runs: Sequence[str]) -> int:
    """Send those of the runs that nobody else is at; return how many."""
    parcels = claim(ws, runs)
    delivered: list[Delivered] = []
    places: dict[str, str] = {}
    until, error = time.monotonic() + TOGETHER_SECONDS, ""
    try:
        for one in parcels:
            if time.monotonic() > until:
                break  # the claim on the others would end before they are sent
            with explained(ws):
                if one.trial.name not in places:
                    places[one.trial.name] = _experiment(ws, client, one.trial.name)
                delivered.append(_deliver(ws, client, one, places[one.trial.name]))
    except Exception as raised:
        error = str(raised)
        raise
    finally:
        if parcels:
            settle(ws, parcels, delivered, error)
    return len(delivered)


def _deliver(ws: Workspace, client: MlflowClient, parcel: Parcel, experiment: str) -> Delivered:
    from mlflow.entities import Metric, Param, RunTag

    trial, cell = parcel.trial, parcel.cell
    # Only an earlier attempt can have left a run there.
    run = _already_there(client, experiment, trial.id) if trial.send_attempts else None
    started = int(trial.started_at.timestamp() * 1000)
    ended = int((trial.ended_at or utcnow()).timestamp() * 1000)
    tags = {key: value for key, value in _tags(trial, cell).items() if value}
    if trial.experiment is not None:
        tags["mlflow.parentRunId"] = parent_of(ws, client, trial.experiment, experiment)
    if run is None:
        run = client.create_run(
            experiment, start_time=started, tags={TAG: trial.id, **tags}, run_name=_name(trial)
        )
        tags = {}
    run_id = run.info.run_id
    model_id = None
    if trial.model.get("sha256"):
        model_id = _deliver_model(ws, client, trial, run, experiment, parcel.packages)
    numbers = [
        Metric(key, value, ended, 0, model_id=model_id, run_id=run_id)
        for key, value in trial.metrics.items()
    ]
    numbers += [Metric(f"usage/{key}", value, ended, 0) for key, value in trial.usage.items()]
    numbers += [Metric("reported", value, ended, int(step)) for step, value in trial.curve]
    client.log_batch(
        run_id,
        metrics=numbers[:BATCH],
        params=[Param(key, str(value)) for key, value in trial.params.items()],
        tags=[RunTag(key, value) for key, value in tags.items()],
    )
    for start in range(BATCH, len(numbers), BATCH):
        client.log_batch(run_id, metrics=numbers[start : start + BATCH])
    client.set_terminated(run_id, STATUS.get(trial.status, "KILLED"), ended)
    return Delivered(trial.id, run_id, model_id)


def _name(trial: TrialRecord) -> str:
    if trial.number is None:
        return f"{trial.name}-{trial.id[:8]}"
    return f"{trial.name}-{(trial.experiment or '')[:8]}-{trial.number}"


def _tags(trial: TrialRecord, cell: CellRecord) -> dict[str, str]:
    return {
        "mlflow.user": trial.actor,
        "mlflow.source.type": "NOTEBOOK",
        "mlflow.source.git.commit": str(cell.git.get("commit", "")),
        "jupyter_mlops.cell": cell.id,
        **data_tags(cell),
        "jupyter_mlops.environment": cell.environment,
        "jupyter_mlops.seed": str(cell.seed if trial.seed is None else trial.seed),
        EXPERIMENT_TAG: trial.experiment or "",
        "jupyter_mlops.trial": "" if trial.number is None else str(trial.number),
        "jupyter_mlops.status": "pruned" if trial.status == "pruned" else "",
        "jupyter_mlops.shared_rows": _shared(trial),
        "jupyter_mlops.error": trial.error[:500],
    }


def _shared(trial: TrialRecord) -> str:
    """How many of the validation rows the training data has too."""
    shared = (trial.validation or {}).get("shared")
    return f"{shared['rows']} of {trial.validation['rows']}" if shared else ""


def _experiment(ws: Workspace, client: MlflowClient, name: str) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_root(ws, name)))
        except MlflowException:
            found = client.get_experiment_by_name(name)  # somebody else was quicker
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _already_there(client: MlflowClient, experiment: str, run_id: str) -> MlflowRun | None:
    found = client.search_runs([experiment], f"tags.`{TAG}` = '{run_id}'", max_results=1)
    return found[0] if found else None


def _deliver_model(
    ws: Workspace,
    client: MlflowClient,
    trial: TrialRecord,
    run: MlflowRun,
    experiment: str,
    packages: list[str],
) -> str:
    from mlflow.entities import LoggedModelOutput

    from jupyter_mlops.experiments.bundle import write_model  # imports MLflow

    content = ws.artifacts.read_bytes(trial.model["file"])
    _check(content, trial)
    earlier = run.outputs.model_outputs if run.outputs else []
    if earlier:
        model_id = str(earlier[0].model_id)
    else:
        logged = client.create_logged_model(
            experiment, name="model", source_run_id=run.info.run_id, tags={TAG: trial.id}
        )
        model_id = str(logged.model_id)
        client.log_outputs(run.info.run_id, [LoggedModelOutput(model_id, 0)])
    with TemporaryDirectory(prefix="jupyter-mlops-") as folder:
        place = Path(folder) / "model"
        write_model(place, content, trial.model, trial.id, run.info.run_id, model_id, packages)
        _write_contract(ws, place, trial)
        client.log_model_artifacts(model_id, str(place))
    client.finalize_logged_model(model_id, "READY")
    return model_id


def _write_contract(ws: Workspace, folder: Path, trial: TrialRecord) -> None:
    """Put the contract that the training data kept beside the model, which lives by it."""
    told = trial.model.get("contract")
    if not told:
        return
    from jupyter_mlops.profiling import contracts

    text = contracts.get(ws, told["ref"]).text()
    (folder / "contract.json").write_text(text, "utf-8", "surrogatepass")


def _check(content: bytes, trial: TrialRecord) -> None:
    if hashlib.sha256(content).hexdigest() != trial.model["sha256"]:
        raise Conflict(
            f"the model of run {trial.id[:8]} was changed after it was recorded",
            f"its file is {trial.model['file']}",
            "train it again",
            code="E-RUN-004",
        )
