"""The strangest rows that an endpoint was asked about, and whether there are too many of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import polars as pl
from scipy import stats

from jupyter_mlops import serving
from jupyter_mlops.data import numpy_pandas
from jupyter_mlops.models.outliers import THRESHOLD
from jupyter_mlops.monitoring.sides import within
from jupyter_mlops.monitoring.windows import Window
from jupyter_mlops.workspace import Invalid, Result, Workspace

if TYPE_CHECKING:
    import pandas as pd

    from jupyter_mlops.serving import Endpoint

__all__ = ["SCORE", "Outliers", "scored_rows", "strangest"]

SCORE: Final = "outlier"
_COLUMNS: Final = "outlier_columns"
#: The rate is known from held-out training rows, never exactly.
_TOLERANCE: Final = 2.0
_ALPHA: Final = 0.001
_MOST: Final = 10_000


@dataclass(frozen=True)
class Outliers(Result):
    """The strangest rows of an endpoint's traffic.

    Attributes
    ----------
    endpoint, model : str
        ``model`` is what it serves now, such as ``delay@3``.
    window : Window
    scored, rows : int
        Rows of which it is known how strange they are, and all that are logged.
    outliers : int
        Those of them as strange as one training row in a thousand.
    threshold : float
        That share.
    p_value : float
        The chance of so many if no more than twice that share of all rows were so.
    rows_found : polars.DataFrame
        The strangest, the strangest first: what the log has of them, ``outlier`` (the share of
        training rows at least as strange) and ``outlier_columns`` (what makes them so).
    columns : dict of str to int
        Of how many outliers each column is a reason.
    """

    endpoint: str
    model: str
    window: Window
    scored: int
    rows: int
    outliers: int
    threshold: float
    p_value: float
    rows_found: pl.DataFrame
    columns: dict[str, int]

    @property
    def too_many(self) -> bool:
        """Whether there are more than chance explains."""
        return self.p_value < _ALPHA

    @property
    def sentence(self) -> str:
        """What was found, in a sentence."""
        share = self.outliers / self.scored
        says = "more than chance explains" if self.too_many else "no more than chance explains"
        return (
            f"{self.outliers:,} of {self.scored:,} rows ({share:.2%}) are as strange as one "
            f"training row in {round(1 / self.threshold):,}: {says}."
        )

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The strangest rows as a pandas frame."""
        return numpy_pandas(self.rows_found)

    def __len__(self) -> int:
        return self.rows_found.height


def strangest(
    ws: Workspace, endpoint: str, window: Window | None = None, count: int = 50
) -> Outliers:
    """Find the rows that are least like those that the model was trained on.

    Parameters
    ----------
    ws : Workspace
    endpoint : str
    window : Window, optional
        By event time; all that is logged when None.
    count : int
        So many rows.

    Raises
    ------
    NotFound
        There is no such endpoint.
    Invalid
        ``E-MONITORING-060``: it isn't known of any row; says why.
        ``E-MONITORING-061``: the count makes no sense.

    Examples
    --------
    >>> strangest(ws, "delay", count=3).rows_found["prediction_id"]  # doctest: +SKIP
    """
    if not 1 <= count <= _MOST:
        raise Invalid(
            f"{count:,} rows can't be shown",
            fix=f"ask for 1 to {_MOST:,}",
            code="E-MONITORING-061",
        )
    served, rows = scored_rows(ws, endpoint, window)
    flagged = pl.col(SCORE) <= THRESHOLD
    # What the sample left out counts, too.
    told = rows.select(rows=pl.len(), scored=pl.col(SCORE).count(), outliers=flagged.sum()).collect(
        engine="streaming"
    )
    total, scored, outliers = (int(told.item(0, name)) for name in ("rows", "scored", "outliers"))
    if scored == 0:
        raise unscored(ws, served, total)
    found = rows.filter(pl.col(SCORE).is_not_null()).bottom_k(count, by=SCORE)
    reasons = (
        rows.filter(flagged)
        .select(pl.col(_COLUMNS).explode().drop_nulls().value_counts(sort=True))
        .collect(engine="streaming")
        .unnest(_COLUMNS)
    )
    beyond = stats.binom.sf(outliers - 1, scored, _TOLERANCE * THRESHOLD)
    return Outliers(
        endpoint=served.name,
        model=f"{served.model}@{served.serves or served.version}",
        window=window or Window(),
        scored=scored,
        rows=total,
        outliers=outliers,
        threshold=THRESHOLD,
        p_value=float(beyond),
        rows_found=found.collect(engine="streaming").sort(SCORE, "prediction_id"),
        columns=dict(reasons.rows()),
    )


def scored_rows(
    ws: Workspace, endpoint: str, window: Window | None
) -> tuple[Endpoint, pl.LazyFrame]:
    """An endpoint, and its log with the columns that tell how strange rows are.

    Raises
    ------
    Invalid
        ``E-MONITORING-060``: nothing of the log has them; says why.
    """
    served = serving.get(ws, endpoint)
    rows = within(serving.traffic.read(ws, served.name), window or Window())
    if SCORE not in rows.collect_schema():
        raise unscored(ws, served, int(rows.select(pl.len()).collect().item()))
    return served, rows


def unscored(ws: Workspace, served: Endpoint, rows: int) -> Invalid:
    """Why it isn't known of any row how strange it is."""
    why = "nothing is logged in that time" if rows == 0 else _missing(ws, served)
    fix = "" if rows == 0 else "train with --data, register the run and serve that version"
    return Invalid(
        f"it isn't known how strange the rows of {served.name} are",
        why,
        fix,
        code="E-MONITORING-060",
    )


def _missing(ws: Workspace, served: Endpoint) -> str:
    version = f"{served.model}@{served.serves or served.version}"
    for event in ws.events(kind="model.registered", subject=f"model:{version}", limit=1):
        told = event.payload.get("outliers", {}).get("missing")
        if told:
            return f"{version} can't tell: {told}"
    return f"the versions that answered have nothing to tell it by; {version} serves now"
