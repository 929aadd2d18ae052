"""Training rows through the endpoint, beside the model's own answers to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from jupyter_mlops.monitoring.truth import Floats, as_label
from jupyter_mlops.workspace import Invalid

__all__ = ["Replay", "replay"]

SHOWN = 5
RELATIVE = 1e-6


@dataclass(frozen=True)
class Replay:
    """What became of training rows that were sent through the endpoint.

    Attributes
    ----------
    rows, differing : int
        Rows that were sent, and those with another prediction or another probability.
    largest : float
        The largest difference of a number or a probability.
    pairs : list of (int, str, str)
        Some differing rows: number of the row, the model's own answer, the endpoint's.
    """

    rows: int
    differing: int
    largest: float
    pairs: list[tuple[int, str, str]]

    @property
    def sentence(self) -> str:
        """The result in a few words."""
        if not self.differing:
            return f"all {self.rows:,} training rows were answered as the model answers itself"
        return (
            f"{self.differing:,} of {self.rows:,} training rows were answered otherwise than the "
            f"model does itself, by up to {self.largest:.3g}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe mapping; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Replay:
        """Read what `to_dict` wrote."""
        return cls(**{**stored, "pairs": [(n, a, b) for n, a, b in stored["pairs"]]})


def replay(
    frame: pl.DataFrame,
    ask: Callable[[pl.DataFrame], pl.DataFrame],
    own: Callable[[pl.DataFrame], pl.DataFrame],
    *,
    rows: int,
    seed: int = 0,
) -> Replay:
    """Ask both the endpoint and the model itself about the same training rows.

    Parameters
    ----------
    frame : polars.DataFrame
        Training rows as the model was fitted on them.
    ask, own : callable
        Give ``prediction`` and, if there are any, ``probability`` for rows, in their order: the
        endpoint through its door, and the model without it.
    rows : int
        How many rows are drawn.
    seed : int

    Raises
    ------
    Invalid
        ``E-MONITORING-026``: fewer than one row is asked for.
    """
    if rows < 1 or frame.height == 0:
        raise Invalid(
            f"{min(rows, frame.height):,} rows can't be replayed",
            fix="give --replay 200, or leave it out",
            code="E-MONITORING-026",
        )
    drawn = frame.sample(min(rows, frame.height), seed=seed)
    served, trained = ask(drawn), own(drawn)
    differ = ~_same(trained["prediction"], served["prediction"])
    gap = _gap(trained["prediction"], served["prediction"])
    if "probability" in served.columns and "probability" in trained.columns:
        apart = _gap(trained["probability"], served["probability"])
        differ |= apart > RELATIVE
        gap = apart
    places = np.flatnonzero(differ)
    return Replay(
        rows=drawn.height,
        differing=int(places.size),
        largest=float(gap[places].max()) if places.size else 0.0,
        pairs=[(int(at), _said(trained, int(at)), _said(served, int(at))) for at in places[:SHOWN]],
    )


def _same(first: pl.Series, second: pl.Series) -> np.ndarray[Any, np.dtype[np.bool_]]:
    if first.dtype.is_float() or second.dtype.is_float():
        a, b = (one.cast(pl.Float64, strict=False).to_numpy() for one in (first, second))
        return np.asarray(np.isclose(a, b, rtol=RELATIVE, atol=1e-9, equal_nan=True))
    pairs = zip(first.to_list(), second.to_list(), strict=True)
    return np.array([as_label(a) == as_label(b) for a, b in pairs], dtype=bool)


def _gap(first: pl.Series, second: pl.Series) -> Floats:
    """The largest difference in each row, shape (n,); 1 where labels differ."""
    if first.dtype.is_nested() or second.dtype.is_nested():
        a, b = (np.asarray(one.to_list(), dtype=float) for one in (first, second))
        return _apart(a, b).max(axis=1)  # type: ignore[no-any-return]
    if first.dtype.is_float() or second.dtype.is_float():
        a, b = (one.cast(pl.Float64, strict=False).to_numpy() for one in (first, second))
        return _apart(a, b)
    return 1.0 - _same(first, second).astype(float)


def _apart(a: Floats, b: Floats) -> Floats:
    """How far numbers are apart; 1 where only one side has one."""
    gap = np.nan_to_num(np.abs(a - b), nan=0.0)
    return np.asarray(np.where(np.isnan(a) != np.isnan(b), 1.0, gap))


def _said(frame: pl.DataFrame, at: int) -> str:
    said = str(frame["prediction"][at])
    if "probability" not in frame.columns:
        return said
    chance = frame["probability"][at]
    return f"{said} ({chance:.6g})" if isinstance(chance, float) else said
