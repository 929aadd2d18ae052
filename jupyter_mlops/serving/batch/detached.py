"""Run a batch prediction that was left to the agent, in this process, and record how far it is."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from jupyter_mlops import models
from jupyter_mlops.data import resolve
from jupyter_mlops.experiments import clusters
from jupyter_mlops.experiments.trials import may_live, process_name
from jupyter_mlops.serving.batch.declared import BatchJob, get
from jupyter_mlops.serving.batch.results import BatchPrediction, BatchStep
from jupyter_mlops.serving.batch.running import predict
from jupyter_mlops.serving.homes import home_of
from jupyter_mlops.serving.records import BatchRecord
from jupyter_mlops.workspace import Conflict, MLOpsError, Unavailable, Workspace
from jupyter_mlops.workspace.records import utcnow

__all__ = ["run"]

#: Seconds between two notes in the store, and two looks whether it should end.
_NOTE: Final = 1.0


def run(ws: Workspace, name: str) -> BatchJob:
    """Run one to its end, or until somebody stops it.

    SIGTERM and an interrupt end it after the part that is under way: the agent begins it again.

    Parameters
    ----------
    ws : Workspace
    name : str

    Raises
    ------
    Conflict
        Another process runs it.
    MLOpsError
        Why it failed, which is recorded. What may pass, the agent tries again.
    """
    found = get(ws, name)
    _take(ws, found)
    stop = threading.Event()
    with _signals(stop), _Notes(ws, found, stop) as notes:
        try:
            done = _predict(ws, found, stop, notes)
        except KeyboardInterrupt:
            notes.interrupted()
        except BaseException as error:
            notes.failed(error)
            raise
        else:
            notes.finished(done)
    return get(ws, found.id)


def _predict(
    ws: Workspace, found: BatchJob, stop: threading.Event, notes: _Notes
) -> BatchPrediction:
    options = found.options
    version = models.get(ws, found.model)
    if version.digest != found.digest:
        raise Conflict(
            f"{found.model} is another model than when the prediction was asked for",
            "its digest has changed",
            "ask for it again",
            code="E-BATCH-065",
        )
    home = home_of(ws, version, options.env)
    python = Path(home.interpreter) if home.interpreter else None
    cluster = None
    if options.cluster is not None:
        cluster = clusters.obtain(
            ws, options.cluster, interpreter=python, environment=home.environment,
            announce=lambda text: print(text, file=sys.stderr),
        )  # fmt: skip
    return predict(
        ws,
        version,
        resolve(ws, found.data),
        to=found.to,
        cluster=cluster,
        keep=options.keep,
        probabilities=options.probabilities,
        part_rows=options.part_rows,
        mode=options.mode,
        name=options.name,
        progress=notes.tell,
        stop=stop,
        interpreter=python,
    )


def _take(ws: Workspace, found: BatchJob) -> None:
    with ws.write() as tx:
        row = tx.session.get_one(BatchRecord, found.id)
        if row.process and may_live(row.process):
            raise Conflict(
                f"the prediction {found.short} runs in another process", row.process,
                f"`%mlops predict stop {found.short}` ends it", code="E-BATCH-066",
            )  # fmt: skip
        row.state, row.process = "running", process_name()
        row.started_at, row.ended_at, row.error = utcnow(), None, None


class _Notes:
    """What the store is told now and then, and whether somebody wants it to end."""

    def __init__(self, ws: Workspace, found: BatchJob, stop: threading.Event) -> None:
        self.ws, self.found, self.stop = ws, found, stop
        self._step: BatchStep | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notes", daemon=True)

    def __enter__(self) -> _Notes:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def tell(self, step: BatchStep) -> None:
        """Take note of a part that is done."""
        self._step = step

    def _run(self) -> None:
        noted: BatchStep | None = None
        while not self._over.wait(_NOTE):
            try:
                with self.ws.read() as session:
                    if session.get_one(BatchRecord, self.found.id).desired != "running":
                        self.stop.set()
                step = self._step
                if step is not None and step is not noted:
                    with self.ws.write() as tx:
                        self._fill(tx.session.get_one(BatchRecord, self.found.id))
                    noted = step
            except Unavailable as error:
                # A store that is away for a moment stops no part.
                print(error, file=sys.stderr, flush=True)

    def _fill(self, row: BatchRecord) -> None:
        step = self._step
        if step is not None:
            row.done, row.total = step.before + step.done, step.before + step.total
            row.rejected, row.seconds = step.rejected, step.seconds

    def finished(self, done: BatchPrediction) -> None:
        """Record what came of it, of which `predict` has emitted the event."""
        with self.ws.write() as tx:
            row = tx.session.get_one(BatchRecord, self.found.id)
            row.done = row.total = done.rows + done.rejected
            row.rejected, row.seconds = done.rejected, done.seconds
            row.job, row.dataset = done.ref, done.dataset
            row.state, row.desired = "finished", "stopped"
            row.ended_at, row.process = utcnow(), None

    def interrupted(self) -> None:
        """Record that it ended before its end: for good, or until the agent begins it again."""
        with self.ws.write() as tx:
            row = tx.session.get_one(BatchRecord, self.found.id)
            self._fill(row)
            row.state = "waiting" if row.desired == "running" else "stopped"
            row.ended_at, row.process = utcnow(), None

    def failed(self, error: BaseException) -> None:
        """Record why; what isn't away for a while alone isn't tried again."""
        reason = str(error) if isinstance(error, MLOpsError) else f"{type(error).__name__}: {error}"
        again = not isinstance(error, MLOpsError) or isinstance(error, Unavailable)
        with self.ws.write() as tx:
            row = tx.session.get_one(BatchRecord, self.found.id)
            self._fill(row)
            row.error, row.ended_at, row.process = reason[:2000], utcnow(), None
            row.state = "waiting" if again and row.desired == "running" else "failed"
            if not again:
                row.desired = "stopped"
                code = error.code if isinstance(error, MLOpsError) else ""
                tx.emit("prediction.batch_failed", self.found.ref, payload={"code": code})


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    """Let SIGTERM ask for an end, as an interrupt does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
