"""What stored predictions say of a run: its metrics with intervals, by slice, against another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jupyter_mlops.experiments.comparison import (
    CONFIDENCE,
    groups_of,
    matched,
    paired_difference,
    validation_rows,
)
from jupyter_mlops.experiments.guarding import agree
from jupyter_mlops.experiments.influence import METRICS_OF_ROWS, influence
from jupyter_mlops.experiments.losses import Numbers
from jupyter_mlops.experiments.trials import Run, find_run
from jupyter_mlops.workspace import Invalid, Workspace, closest

if TYPE_CHECKING:
    from jupyter_mlops.profiling.contracts import Contract

__all__ = ["Difference", "Estimate", "RunEvidence", "Slice"]

#: A column with more values than this names things rather than kinds of them.
MOST_SLICES = 50
#: Below this many rows a slice's metric is chance.
FEWEST_ROWS = 30
BESIDE = "by."


@dataclass(frozen=True)
class Estimate:
    """A number and its interval: over how many rows, in how many groups, by which columns."""

    value: float
    low: float
    high: float
    rows: int
    groups: int
    by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Difference:
    """A run's metric, another's on the same rows, and the difference of the two."""

    value: float
    other: float
    estimate: Estimate


@dataclass(frozen=True)
class Slice:
    """The rows in which a column has one value."""

    column: str
    label: str
    estimate: Estimate


class RunEvidence:
    """Evidence about runs, for whoever judges a model by it.

    Examples
    --------
    >>> RunEvidence(ws).metric("1f3c", "auc").low  # doctest: +SKIP
    0.83
    """

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws

    @cached_property
    def _runs(self) -> dict[str, tuple[Run, pd.DataFrame]]:
        return {}

    def _found(self, run_id: str) -> tuple[Run, pd.DataFrame]:
        if not run_id:
            raise Invalid(
                "the model was trained elsewhere, so no validation rows are kept here",
                fix="train it with `%%mlops train … --valid DATA`",
                code="E-COMPARE-012",
            )
        if run_id not in self._runs:
            run = find_run(self.ws, f"run:{run_id}")
            self._runs[run_id] = run, validation_rows(self.ws, run)
        return self._runs[run_id]

    def metric(
        self, run_id: str, metric: str, by: Sequence[str] = (), confidence: float = CONFIDENCE
    ) -> Estimate:
        """A metric on the run's validation rows.

        Raises
        ------
        Invalid
            The run kept no such rows, the metric isn't defined on them, or a column to group
            by is unknown.
        """
        run, rows = self._found(run_id)
        groups = groups_of(run, rows, by) if by else None
        return _estimate(_values(run, rows, metric), groups, by, confidence)

    def difference(
        self,
        run_id: str,
        other_id: str,
        metric: str,
        factor: float = 1.0,
        by: Sequence[str] = (),
        confidence: float = CONFIDENCE,
    ) -> Difference:
        """A run's metric less `factor` times another's, on the rows both were scored on.

        Raises
        ------
        Invalid
            As for `metric`, or the two weren't scored on the same rows.
        """
        run, rows = self._found(run_id)
        other, others = self._found(other_id)
        rows, others = matched(run, other, rows, others)
        groups = groups_of(run, rows, by) if by else None
        mine, theirs = _values(run, rows, metric), _values(other, others, metric)
        estimate = _estimate(mine - factor * theirs, groups, by, confidence)
        return Difference(float(mine.mean()), float(theirs.mean()), estimate)

    def slices(
        self,
        run_id: str,
        metric: str,
        column: str | None = None,
        by: Sequence[str] = (),
        confidence: float = CONFIDENCE,
    ) -> list[Slice]:
        """The metric in each slice of the validation rows that has enough of them.

        Parameters
        ----------
        column : str, optional
            What tells slices apart; without it each column kept beside the predictions that
            has 2 to 50 values and is neither the key nor the time.

        Raises
        ------
        Invalid
            There is no such column, or none at all.
        """
        run, rows = self._found(run_id)
        groups = groups_of(run, rows, by) if by else None
        found = []
        columns = [column] if column else _categorical(run, rows)
        for name in columns:
            for label, chosen in _parts(rows, name):
                try:
                    values = _values(run, rows[chosen], metric)
                    inside = None if groups is None else groups[chosen]
                    estimate = _estimate(values, inside, by, confidence)
                except Invalid:
                    continue  # one class only, or one group: no metric of this slice
                found.append(Slice(name, label, estimate))
        if not found:
            raise Invalid(
                f"no slice of the validation rows has {metric}",
                f"a slice needs {FEWEST_ROWS} rows at least, and all classes for auc"
                if columns
                else f"none of their columns has 2 to {MOST_SLICES} values",
                "name a column with `by=`, or validate on more rows",
                code="E-COMPARE-009",
            )
        return found

    def trainer(self, run_id: str) -> str:
        """Who trained the run; empty for a model that was trained elsewhere."""
        return "" if not run_id else find_run(self.ws, f"run:{run_id}").actor

    def disagreements(self, contract: Contract, signature: Mapping[str, Any]) -> list[str]:
        """Where a model's signature and a contract say different things, a sentence each."""
        return agree(contract, {"signature": deepcopy(dict(signature))})

    def origin(self, run_id: str) -> dict[str, str]:
        """What the run was made of: digests of data, validation rows, cell, environment."""
        if not run_id:
            return {}
        run = find_run(self.ws, f"run:{run_id}")
        told = {
            "data": run.data_ref or "",
            "validation": str(run.validation.get("ref") or ""),
            "validation_digest": str(run.validation.get("digest") or ""),
            "validation_rows": str(run.validation.get("rows") or ""),
            "cell": run.cell,
            "seed": str(run.seed),
            "environment": run.environment,
            "trained_by": run.actor,
            "class": str(run.model.get("class") or ""),
        }
        for name, value in run.variables.items():
            digest = value.get("digest") if isinstance(value, Mapping) else None
            if digest:
                told[f"variable {name}"] = str(digest)
        return {key: value for key, value in told.items() if value}

    def metrics(self, run_id: str) -> tuple[str, ...]:
        """The metrics that can be computed anew from the run's rows."""
        if not run_id:
            return ()
        return METRICS_OF_ROWS.get(find_run(self.ws, f"run:{run_id}").task or "", ())


def _values(run: Run, rows: pd.DataFrame, metric: str) -> Numbers:
    known = METRICS_OF_ROWS.get(run.task or "", ())
    if metric not in known:
        raise Invalid(
            f"{metric} can't be computed from the rows of a {run.task} model",
            f"there are {', '.join(known)}",
            closest(metric, known),
            code="E-COMPARE-010",
        )
    return influence(rows, metric, run.model.get("classes") or [])


def _estimate(
    values: Numbers, groups: np.ndarray[Any, Any] | None, by: Sequence[str], confidence: float
) -> Estimate:
    mean, low, high, count = paired_difference(np.zeros_like(values), values, groups, confidence)
    return Estimate(mean, low, high, len(values), count, tuple(by))


def _categorical(run: Run, rows: pd.DataFrame) -> list[str]:
    """The columns whose values are kinds of rows."""
    special = {run.validation.get("key"), run.validation.get("time")}
    names = [str(name)[len(BESIDE) :] for name in rows.columns if str(name).startswith(BESIDE)]
    return [
        name
        for name in names
        if name not in special
        and not pd.api.types.is_datetime64_any_dtype(rows[BESIDE + name])
        and 2 <= rows[BESIDE + name].nunique() <= MOST_SLICES
    ]


def _parts(rows: pd.DataFrame, name: str) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    column = BESIDE + name
    if column not in rows:
        known = [str(one)[len(BESIDE) :] for one in rows.columns if str(one).startswith(BESIDE)]
        raise Invalid(
            f"the validation rows have no column {name!r} to slice by",
            f"they have {', '.join(known[:20])}" if known else "they keep no such column",
            closest(name, known),
            code="E-COMPARE-011",
        )
    codes, labels = pd.factorize(rows[column], use_na_sentinel=False)
    for code in np.flatnonzero(np.bincount(codes) >= FEWEST_ROWS):
        yield str(labels[int(code)]), codes == code
