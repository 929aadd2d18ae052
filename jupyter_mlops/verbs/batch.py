"""The verb that sends a whole table through a model."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from jupyter_mlops.verbs.progress import drawer
from jupyter_mlops.verbs.table import Data, verb
from jupyter_mlops.workspace.errors import Invalid

if TYPE_CHECKING:
    from jupyter_mlops.serving.batch import BatchJob, BatchJobs, BatchPrediction, BatchStep
    from jupyter_mlops.workspace import Workspace

#: Seconds between two looks.
_PAUSE: Final = 0.3


@verb("predict", writes=True)
def predict(
    ws: Workspace,
    model: str,
    data: Data,
    *,
    to: Data = None,
    cluster: str | None = None,
    keep: list[str] | None = None,
    probabilities: bool = False,
    part_rows: int = 100_000,
    mode: Literal["observe", "enforce", "off"] = "observe",
    name: str | None = None,
    env: str | None = None,
    detach: bool = False,
) -> BatchPrediction | BatchJob:
    """Predict all rows of a table, as an endpoint of the model would answer them.

    The data may be larger than memory: they are read, answered and written part by part. After
    an interrupt or a kill the same line goes on where it stopped. Rows that don't fit the model
    are put aside, each with its reason, beside the answers.

    Parameters
    ----------
    model : str
        Such as delay@champion or delay@3.
    data : Data
        Rows with the model's columns.
    to : Data
        A folder or a URI (s3://…) for Parquet parts and a manifest; without it the answers come
        back in memory.
    cluster : str
        Let a Dask cluster answer: auto, the name of one, or tcp://… of a scheduler.
    keep : list of str
        Columns of the data that go along into the answers; the dataset's key always does.
    probabilities : bool
        Write the classes' probabilities too.
    part_rows : int
        Rows of a part.
    mode : str
        Rows that break the model's contract are counted (observe), end the job as rows that
        don't fit the signature then do (enforce), or aren't looked for (off).
    name : str
        Register the answers as a dataset.
    env : str
        The environment that the model runs in, as `env create` made it; `off` for this one. The
        one it was trained in if not given.
    detach : bool
        Go on under the agent, also after this process is gone.

    Examples
    --------
    >>> %mlops predict delay@champion flights --to scores --keep flight_id --probabilities
    >>> %mlops predict delay@champion flights --to s3://bucket/scores --detach
    """
    from jupyter_mlops import data as rows
    from jupyter_mlops import models
    from jupyter_mlops.experiments import clusters
    from jupyter_mlops.serving import batch
    from jupyter_mlops.serving.homes import home_of

    if to is not None and not isinstance(to, str):
        raise Invalid(
            f"answers can't be written to a {type(to).__name__}",
            fix="name a folder or a URI",
            code="E-BATCH-053",
        )
    version = models.get(ws, model)
    if detach:
        from jupyter_mlops import agent

        asked = batch.Options(tuple(keep or ()), probabilities, part_rows, mode, name, cluster, env)
        # Said here, and not in a log file, that the environment isn't there.
        home_of(ws, version, env, agent.interpreter(ws))
        left = batch.declare(ws, version, data, to, asked)
        agent.ensure(ws)
        return left
    home = home_of(ws, version, env)
    python = Path(home.interpreter) if home.interpreter else None
    table = rows.resolve(ws, data)
    found = None
    if cluster is not None:
        found = clusters.obtain(
            ws, cluster, interpreter=python, environment=home.environment,
            announce=lambda text: print(text, file=sys.stderr),
        )  # fmt: skip
    try:
        return batch.predict(
            ws,
            version,
            table,
            to=to,
            cluster=found,
            keep=tuple(keep or ()),
            probabilities=probabilities,
            part_rows=part_rows,
            mode=mode,
            name=name,
            progress=_teller(),
            interpreter=python,
        )
    except KeyboardInterrupt as stopped:
        if stopped.args:
            print(f"`predict` {stopped.args[0]}", file=sys.stderr)
        raise


@verb("predict resume", writes=True)
def predict_resume(ws: Workspace, name: str) -> BatchJob:
    """Have the agent go on with a prediction that ended, where it was.

    Parameters
    ----------
    name : str
        As `predictions` shows it, or the model's name, which means its latest.

    Examples
    --------
    >>> %mlops predict resume 1f3c09ab
    """
    from jupyter_mlops import agent
    from jupyter_mlops.serving import batch

    left = batch.resume(ws, name)
    agent.ensure(ws)
    return left


@verb("predict stop", writes=True)
def predict_stop(ws: Workspace, name: str) -> BatchJob:
    """End a prediction that was left to the agent; the parts that are done stay.

    Parameters
    ----------
    name : str
        As `predictions` shows it, or the model's name, which means its latest.

    Examples
    --------
    >>> %mlops predict stop 1f3c09ab
    """
    from jupyter_mlops.serving import batch

    return batch.stop(ws, name)


@verb("predictions")
def predictions(ws: Workspace, *, name: str | None = None) -> BatchJobs | BatchJob:
    """List the predictions that were left to the agent and how far they are, or show one.

    Parameters
    ----------
    name : str
        Show this one alone.

    Examples
    --------
    >>> %mlops predictions
    >>> %mlops predictions --name 1f3c09ab
    """
    from jupyter_mlops.serving import batch

    return batch.list_jobs(ws) if name is None else batch.get(ws, name)


def _teller() -> Callable[[BatchStep], None] | None:
    draw = drawer()
    if draw is None:
        return None
    from jupyter_mlops.views.batch import Predicting

    due = 0.0

    def tell(step: BatchStep) -> None:
        nonlocal due
        if time.perf_counter() >= due:
            draw(Predicting(step))
            due = time.perf_counter() + _PAUSE

    return tell
