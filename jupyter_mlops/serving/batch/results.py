"""What a batch prediction tells: how far it is, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from jupyter_mlops.data import Table, numpy_pandas
from jupyter_mlops.serving.expectations import Mode
from jupyter_mlops.workspace import Result

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BatchPrediction", "BatchStep"]


@dataclass(frozen=True)
class BatchStep:
    """How far a batch prediction is.

    Attributes
    ----------
    done, total : int
        Rows of this run; those that were done before are `before`.
    rejected : int
    seconds : float
    """

    model: str
    done: int
    total: int
    before: int
    rejected: int
    seconds: float


@dataclass(frozen=True)
class BatchPrediction(Result):
    """What came of a batch prediction.

    Attributes
    ----------
    job : str
        Its fingerprint; the same model on the same rows cut the same way has the same one.
    model : str
        ``name@version``.
    digest : str
        Of the model's files.
    data : str
    to : str or None
        The folder of the parts.
    rows, rejected : int
        Answered, and put aside with a reason.
    parts, reused : int
        All parts, and those of them that were there already.
    violations : dict of str to int
        Rows that break a rule of the model's contract, by ``column rule``.
    classes : tuple, optional
        Class labels; `probability` is of the second of two, or a list of all.
    dataset : str or None
        The reference under which the answers were registered.
    head, reasons : polars.DataFrame
        The first answers, and the first rows that were put aside.
    table : Table or None
        All answers; None when there are none.
    """

    job: str
    model: str
    digest: str
    data: str
    to: str | None
    rows: int
    rejected: int
    parts: int
    reused: int
    seconds: float
    mode: Mode
    violations: dict[str, int]
    classes: tuple[Any, ...] | None
    dataset: str | None
    head: pl.DataFrame
    reasons: pl.DataFrame
    table: Table | None

    @property
    def ref(self) -> str:
        """``prediction:`` and the job's first 16 digits."""
        return f"prediction:{self.job[:16]}"

    @cached_property
    def frame(self) -> pd.DataFrame:
        """All answers as a pandas frame."""
        return numpy_pandas(self.head) if self.table is None else self.table.pandas()

    def __len__(self) -> int:
        return self.rows
