"""Fit how strange rows are when a model is registered, and put it among the model's files."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, Protocol

import polars as pl
from sqlalchemy import select

from jupyter_mlops import data
from jupyter_mlops.models.outliers.files import FILE, as_bytes
from jupyter_mlops.models.outliers.fitting import MOST, arrays, fit
from jupyter_mlops.models.outliers.scoring import THRESHOLD, Scorer
from jupyter_mlops.models.records import ModelVersionRecord
from jupyter_mlops.workspace import Invalid, MLOpsError, Workspace
from jupyter_mlops.workspace.tracking import explained

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["add_scorer"]

#: Rows up to which a table is gone through, and pieces that are read of a larger one.
WHOLE: Final = 2_000_000
_PIECES: Final = 40
_TEXTS: Final = ("string",)
_NUMBERS: Final = ("boolean", "integer", "long", "float", "double")


class _Trained(Protocol):
    @property
    def data_ref(self) -> str | None: ...
    @property
    def model(self) -> dict[str, Any]: ...
    @property
    def mlflow_model_id(self) -> str | None: ...


def add_scorer(ws: Workspace, client: MlflowClient, run: _Trained) -> dict[str, Any]:
    """Put a scorer beside the model that MLflow keeps of a run, unless that isn't possible.

    It is one of the model's files from then on: it goes where they go, and their digest holds
    for it. Files that a version was registered with before stay as they are.

    Returns
    -------
    dict
        ``rows`` it was fitted to and the ``columns`` it looks at; or ``missing``, why there is
        none. Empty where the model was registered before.
    """
    source = f"models:/{run.mlflow_model_id}"
    with ws.read() as session:
        query = select(ModelVersionRecord.version).where(ModelVersionRecord.source == source)
        if session.scalar(query.limit(1)) is not None:
            return {}
    try:
        scorer = _fitted(ws, run)
    except MLOpsError as error:
        return {"missing": error.what}
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        # A model is registered whatever has become of the data it was trained on.
        return {"missing": f"{run.data_ref} can't be read: {type(error).__name__}"}
    with explained(ws), TemporaryDirectory(prefix="jupyter-mlops-") as folder:
        (Path(folder) / FILE).write_bytes(as_bytes(scorer))
        client.log_model_artifacts(str(run.mlflow_model_id), folder)
    return {"rows": scorer.rows, "columns": len(scorer.names)}


def _fitted(ws: Workspace, run: _Trained) -> Scorer:
    if run.data_ref is None:
        raise Invalid("it was trained without --data", code="E-MODEL-091")
    table = data.resolve(ws, run.data_ref)
    names = [
        str(one["name"])
        for one in run.model["signature"]["inputs"]
        if _alike(str(one.get("type")), table.schema.get(str(one["name"])))
    ]
    if not names:
        raise Invalid(f"{run.data_ref} has none of its columns", code="E-MODEL-093")
    scorer = fit(_sample(table.scan().select(names), table.rows))
    _check_example(scorer, run.model.get("example") or {}, str(run.data_ref))
    return scorer


def _sample(rows: pl.LazyFrame, count: int) -> pl.DataFrame:
    """Rows drawn evenly, the same each time; of a very large table in pieces, to read few."""
    if count <= WHOLE:
        return rows.gather_every(max(1, -(-count // MOST))).collect(engine="streaming")
    length = MOST // _PIECES
    step = (count - length) / (_PIECES - 1)
    pieces = [rows.slice(int(piece * step), length) for piece in range(_PIECES)]
    return pl.concat(pieces).collect()


def _alike(kind: str, logical: str | None) -> bool:
    """Whether a column of the data may be the one the model takes."""
    if logical is None:
        return False
    if kind in _TEXTS:
        return logical == "text"
    return kind in _NUMBERS and logical in ("integer", "float", "boolean", "decimal")


def _check_example(scorer: Scorer, example: dict[str, Any], ref: str) -> None:
    """Refuse a scorer for which the model's own example is strange: the cell made other columns."""
    rows = example.get("data") or []
    if not rows:
        return
    frame = pl.DataFrame(rows, schema=example["columns"], orient="row", strict=False)
    try:
        p = scorer(arrays(frame.select(scorer.names))).p
    except (pl.exceptions.PolarsError, ValueError, TypeError):
        p = None
    if p is None or (p <= THRESHOLD).all():
        raise Invalid(f"the model's example rows aren't like those of {ref}", code="E-MODEL-094")
