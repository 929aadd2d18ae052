"""Versions scored on rows that none of them was trained on, as evidence for gates."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl

from jupyter_mlops.experiments.evidence import BESIDE, RunEvidence
from jupyter_mlops.experiments.scoring import GROUPING
from jupyter_mlops.experiments.trials import find_run
from jupyter_mlops.models import ModelVersion
from jupyter_mlops.retraining.labelled import TIME
from jupyter_mlops.serving.batch.job import Spec
from jupyter_mlops.serving.batch.scoring import Scorer
from jupyter_mlops.workspace import Invalid, Unavailable, Workspace

__all__ = ["HeldOut", "answers_of", "score"]


class HeldOut(RunEvidence):
    """Evidence from rows that were held back, in place of the runs' own validation rows.

    Parameters
    ----------
    ws : Workspace
    rows : polars.DataFrame
        The model's columns, the target and ``event_time``.
    folder : str
        Where the scored rows are kept among the artifacts.
    """

    def __init__(self, ws: Workspace, rows: pl.DataFrame, folder: str) -> None:
        super().__init__(ws)
        self.rows = rows
        self.folder = folder

    def take(self, version: ModelVersion) -> str:
        """Score a version on the rows and keep them; return the artifact's key.

        Raises
        ------
        Unavailable
            The model fails on too many of the rows.
        """
        scored = score(self.ws, version, self.rows)
        self._know(version, scored)
        key = f"{self.folder}/{version.version}.parquet"
        content = io.BytesIO()
        scored.to_parquet(content)
        self.ws.artifacts.write_bytes(key, content.getvalue())
        return key

    @classmethod
    def restored(cls, ws: Workspace, folder: str, versions: Iterable[ModelVersion]) -> HeldOut:
        """The evidence of a decision as it was kept."""
        made = cls(ws, pl.DataFrame(), folder)
        for version in versions:
            content = ws.artifacts.read_bytes(f"{folder}/{version.version}.parquet")
            made._know(version, pd.read_parquet(io.BytesIO(content)))
        return made

    def scored(self, version: ModelVersion) -> pd.DataFrame:
        """The answers of a version that was taken."""
        return self._runs[version.run_id][1]

    def _know(self, version: ModelVersion, scored: pd.DataFrame) -> None:
        run = find_run(self.ws, f"run:{version.run_id}")
        told = replace(run, validation={"key": None, "time": TIME, "rows": len(scored)})
        self._runs[version.run_id] = told, scored


def score(ws: Workspace, version: ModelVersion, rows: pl.DataFrame) -> pd.DataFrame:
    """A version's answers to rows with truth, as an endpoint would give them.

    Returns
    -------
    pandas.DataFrame
        ``truth``, ``prediction``, ``p_<i>`` for class i, and columns that can group rows as
        ``by.<column>``, ``by.event_time`` among them. A row each, in the order of `rows`.

    Raises
    ------
    Unavailable
        The model can't answer all of the rows.
    """
    spec = Spec(
        path=str(version.path(ws)),
        digest=version.digest,
        model=version.label,
        keep=(),
        probabilities=True,
        mode="off",
        job="",
    )
    scored = Scorer(spec).score(rows.select(version.features), 0)
    if scored.rejected.height:
        first = scored.rejected.row(0, named=True)
        raise Unavailable(
            f"{version.label} can't answer {scored.rejected.height:,} of {rows.height:,} rows "
            "that were held back",
            f"row {first['row']:,}: {first['reason']}",
            "mend the model, or the rows' columns",
            code="E-RETRAIN-011",
        )
    target = version.target
    if target is None or target not in rows.columns:
        raise Invalid(
            f"the rows have no truth for {version.label}",
            fix="train it with the same --target as the version that is served",
            code="E-RETRAIN-010",
        )
    found = pd.DataFrame({"truth": rows[target].to_numpy()})
    found["prediction"] = scored.answers["prediction"].to_numpy()
    if scored.classes is not None:
        found[[f"p_{n}" for n in range(len(scored.classes))]] = _chances(
            scored.answers["probability"], len(scored.classes)
        )
    for name, column in zip(rows.columns, rows.get_columns(), strict=True):
        if name == TIME or (name != target and _groups(column)):
            found[BESIDE + name] = column.to_pandas()
    return found


def answers_of(rows: pd.DataFrame, classes: Sequence[object] | None) -> pl.DataFrame:
    """Scored rows in the form that performance is measured in."""
    from jupyter_mlops.monitoring import validation_rows

    frame = pl.from_pandas(rows)
    return validation_rows(frame, list(classes) if classes else None, TIME)


def _chances(column: pl.Series, count: int) -> np.ndarray:
    if count == 2:
        second = column.to_numpy().astype(np.float64)
        return np.stack([1 - second, second], axis=1)
    return np.asarray(column.to_list(), dtype=np.float64).reshape(len(column), count)


def _groups(column: pl.Series) -> bool:
    """Whether a column may name groups of rows: anything but measurements."""
    return (
        not column.dtype.is_float()
        and not column.dtype.is_nested()
        and (column.n_unique() <= GROUPING)
    )
