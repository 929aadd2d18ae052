"""Nested validation of a search: in each outer fold it chooses without the rows it is scored on."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from jupyter_mlops.experiments.losses import Numbers, sampled
from jupyter_mlops.experiments.search.folds import Evaluated, Places, error_of_mean, interval
from jupyter_mlops.workspace import Invalid

__all__ = ["FILE", "Kept", "Nested", "kept", "nested", "unkept"]

#: Beside a trial's losses.
FILE: Final = "folds.npz"


@dataclass(frozen=True)
class Kept:
    """What is known of a trial's folds besides its losses; None where there is nothing.

    Attributes
    ----------
    groups : ndarray, shape (rows,), or None
    inner : ndarray, shape (outer folds,), or None
    outer : ndarray, shape (rows,), or None
    """

    groups: Places | None = None
    inner: Numbers | None = None
    outer: Places | None = None


@dataclass(frozen=True)
class Nested:
    """How well a search does on rows that neither fitted nor chose its winner.

    Attributes
    ----------
    value : float
        The mean loss of the outer folds' winners on those folds.
    low, high : float
        A 95 % interval, by the error of the rows or groups made larger for what the folds'
        models and choices have in common (Nadeau & Bengio 2003): without that 12 to 14 of 100
        intervals miss the truth where there is no signal, with it 2 to 5.
    winners : tuple of int
        The place among the trials of each outer fold's winner.
    """

    value: float
    low: float
    high: float
    winners: tuple[int, ...]


def kept(found: Evaluated) -> dict[str, bytes]:
    """The file that holds a cross-validation's groups and nested folds, by its name.

    Empty when it has neither. Rows are those whose losses are kept.
    """
    arrays: dict[str, Any] = {}
    if found.groups is not None:
        arrays["groups"] = sampled(found.groups).astype(np.int32)
    if found.outer is not None:
        arrays["inner"] = np.asarray(found.inner, dtype=np.float64)
        arrays["outer"] = sampled(found.outer).astype(np.int16)
    if not arrays:
        return {}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return {FILE: buffer.getvalue()}


def unkept(content: bytes) -> Kept:
    """Read what `kept` wrote."""
    with np.load(io.BytesIO(content), allow_pickle=False) as found:
        return Kept(**{name: found[name] for name in found.files})


def nested(losses: Numbers, inner: Numbers, outer: Places, groups: Any = None) -> Nested:
    """Score the choice that a search would have made in each outer fold.

    In each fold the trial with the least inner loss is the winner, and its losses on the rows
    that the fold held out count [1]_ [2]_. It is exact where which parameters are tried doesn't
    depend on the losses (random, grid, qmc); samplers that learn have seen values that outer
    rows are in.

    Parameters
    ----------
    losses : ndarray, shape (trials, rows)
        Of rows that outer folds held out, by models fitted without that fold.
    inner : ndarray, shape (trials, folds)
        Mean losses within the training rows of each outer fold.
    outer : ndarray, shape (rows,)
        The outer fold of each row, counted from 0.
    groups : array, shape (rows,), optional
        Rows that aren't independent.

    Raises
    ------
    Invalid
        Shapes don't fit, or numbers aren't finite.

    References
    ----------
    .. [1] Stone, Cross-validatory choice and assessment of statistical predictions, JRSS B, 1974.
    .. [2] Varma & Simon, Bias in error estimation when using cross-validation for model
       selection, BMC Bioinformatics 7, 2006.

    Examples
    --------
    >>> losses = np.array([[0.0, 1.0, 0.0, 1.0], [0.5, 0.5, 0.5, 0.5]])
    >>> nested(losses, np.array([[0.6, 0.2], [0.5, 0.5]]), np.array([0, 0, 1, 1])).winners
    (1, 0)
    """
    trials, rows = losses.shape
    folds = int(outer.max()) + 1
    if inner.shape != (trials, folds) or len(outer) != rows:
        raise Invalid(
            f"{trials} trials of {rows} rows in {folds} folds don't fit inner losses "
            f"of the shape {inner.shape}",
            fix="give one inner loss for each trial and outer fold",
            code="E-SEARCH-066",
        )
    if not (np.isfinite(losses).all() and np.isfinite(inner).all()):
        raise Invalid(
            "some losses are no finite numbers",
            fix="leave those trials out",
            code="E-SEARCH-067",
        )
    winners = np.argmin(inner, axis=0)
    chosen = losses[winners[outer], np.arange(rows)]
    units = np.arange(rows) if groups is None else np.asarray(groups)
    if len(np.unique(units)) < 2:
        raise Invalid(
            "all rows belong to one group",
            fix="give groups of which there are several",
            code="E-SEARCH-068",
        )
    value = float(chosen.mean())
    error, freedom = error_of_mean(chosen, units)
    # Folds of which one is tested by 1 / (folds - 1) of what the others teach.
    low, high = interval(value, error * float(np.sqrt(1 + folds / (folds - 1))), freedom)
    return Nested(value, low, high, tuple(int(one) for one in winners))
