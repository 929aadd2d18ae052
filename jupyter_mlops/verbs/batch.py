"""The verb that sends a whole table through a model."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal

from jupyter_mlops.verbs.progress import drawer
from jupyter_mlops.verbs.table import Data, verb
from jupyter_mlops.workspace.errors import Invalid

if TYPE_CHECKING:
    from jupyter_mlops.serving.batch import BatchPrediction, BatchStep
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
) -> BatchPrediction:
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

    Examples
    --------
    >>> %mlops predict delay@champion flights --to scores --keep flight_id --probabilities
    """
    from jupyter_mlops import data as rows
    from jupyter_mlops import models
    from jupyter_mlops.experiments import clusters
    from jupyter_mlops.serving import batch

    if to is not None and not isinstance(to, str):
        raise Invalid(
            f"answers can't be written to a {type(to).__name__}",
            fix="name a folder or a URI",
            code="E-BATCH-053",
        )
    version = models.get(ws, model)
    table = rows.resolve(ws, data)
    found = None
    if cluster is not None:
        found = clusters.obtain(ws, cluster, announce=lambda text: print(text, file=sys.stderr))
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
        )
    except KeyboardInterrupt as stopped:
        if stopped.args:
            print(f"`predict` {stopped.args[0]}", file=sys.stderr)
        raise


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
