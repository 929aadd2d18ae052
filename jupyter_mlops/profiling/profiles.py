"""Profiles of whole tables: made in one pass, merged, kept, shown."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl

from jupyter_mlops.data.sampling import RowSample
from jupyter_mlops.profiling.advice import Advice, advise
from jupyter_mlops.profiling.columns import ColumnProfile
from jupyter_mlops.profiling.engine import Scan, scan
from jupyter_mlops.profiling.semantics import infer
from jupyter_mlops.profiling.target import TargetAnalysis, analyse
from jupyter_mlops.workspace.errors import Invalid, NotFound, closest
from jupyter_mlops.workspace.records import utcnow
from jupyter_mlops.workspace.results import Result

__all__ = ["ENGINE", "Profile", "profile"]

#: Raised when profiles made by an older version can't be taken for new ones.
ENGINE = 1


@dataclass
class Profile(Result):
    """What is known of a table.

    Attributes
    ----------
    columns : dict of str to ColumnProfile
        In the table's order.
    rows : int
    target : str or None
    analysis : TargetAnalysis or None
        How each column relates to the target.
    advice : list of Advice
        The most pressing first.
    sample : polars.DataFrame or None
        Up to 20,000 rows; None for a profile read back from the workspace.
    seconds : float
        How long the pass took.
    """

    columns: dict[str, ColumnProfile]
    rows: int
    target: str | None = None
    analysis: TargetAnalysis | None = None
    advice: list[Advice] = field(default_factory=list)
    sample: pl.DataFrame | None = None
    seconds: float = 0.0
    label: str = ""
    data_ref: str | None = None
    digest: str = ""
    id: str = ""
    made_at: datetime = field(default_factory=utcnow)
    _scan: Scan | None = field(default=None, repr=False)

    def merge(self, *others: Profile) -> Profile:
        """Profile of the rows of this and other tables; none of them is changed.

        Counts, moments and extremes are those of one pass; quantiles stay within 1 % of rank
        and distinct within 2 %; target analysis and advice are derived anew.

        Raises
        ------
        Invalid
            The tables have different columns or targets.
        """
        size = min((p._scan.sample.size if p._scan else 0) for p in (self, *others))
        both = Scan(
            {name: ColumnProfile.from_dict(c.to_dict()) for name, c in self.columns.items()},
            self.target,
            RowSample(size),
        )
        for place, one in enumerate((self, *others)):
            if list(self.columns) != list(one.columns) or self.target != one.target:
                raise Invalid(
                    "the profiles are of different columns or targets",
                    fix="profile all tables with the same columns and --target",
                    code="E-PROFILE-002",
                )
            both.rows += one.rows
            if place:
                for name, column in one.columns.items():
                    both.columns[name].merge(column)
            # Without every part's rows the sample would not be one of the whole.
            if size and one._scan is not None:
                both.sample.merge(one._scan.sample)
        return _finish(both, self.seconds + sum(one.seconds for one in others))

    def to_dict(self) -> dict[str, Any]:
        """The profile as JSON, sketches included and the sample left out."""
        return {
            "engine": ENGINE,
            "label": self.label,
            "data_ref": self.data_ref,
            "digest": self.digest,
            "id": self.id,
            "rows": self.rows,
            "target": self.target,
            "seconds": self.seconds,
            "made_at": self.made_at.isoformat(),
            "columns": [column.to_dict() for column in self.columns.values()],
            "analysis": self.analysis.to_dict() if self.analysis else None,
            "advice": [one.to_dict() for one in self.advice],
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Profile:
        """The profile back from JSON."""
        columns = [ColumnProfile.from_dict(one) for one in state["columns"]]
        analysis = state["analysis"]
        return cls(
            {column.name: column for column in columns},
            state["rows"],
            state["target"],
            TargetAnalysis.from_dict(analysis) if analysis else None,
            [Advice(**one) for one in state["advice"]],
            None,
            state["seconds"],
            state["label"],
            state["data_ref"],
            state["digest"],
            state["id"],
            datetime.fromisoformat(state["made_at"]),
        )

    def __repr__(self) -> str:
        return (
            f"<Profile {self.label}: {self.rows:,} rows × {len(self.columns)} columns, "
            f"{len(self.advice)} findings>"
        )


def profile(
    frame: pl.LazyFrame,
    *,
    target: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Profile:
    """Profile a table in one streaming pass.

    Parameters
    ----------
    frame : polars.LazyFrame
    target : str, optional
        The column to predict: every other is related to it, and leakage is looked for.
    progress : callable, optional
        Called with the rows seen so far.

    Returns
    -------
    Profile

    Raises
    ------
    NotFound
        No column is called `target`; names the closest.
    Invalid
        The table has no columns or no rows.

    Examples
    --------
    >>> made = profile(pl.LazyFrame({"x": [1, 2, None]}))
    >>> made.columns["x"].missing, made.columns["x"].moments.mean
    (1, 1.5)
    """
    started = time.perf_counter()
    names = frame.collect_schema().names()
    if not names:
        raise Invalid("the table has no columns", fix="check the source", code="E-PROFILE-003")
    if target is not None and target not in names:
        raise NotFound(
            f"there is no column {target!r} to be the target",
            f"the columns are {', '.join(names[:12])}{' …' if len(names) > 12 else ''}",
            closest(target, names),
            code="E-PROFILE-004",
        )
    seen = scan(frame, target, progress)
    if not seen.rows:
        raise Invalid(
            "the table has columns but no rows", fix="check the source", code="E-PROFILE-005"
        )
    return _finish(seen, 0.0, started)


def _finish(seen: Scan, seconds: float, started: float | None = None) -> Profile:
    sample = seen.sample.frame()
    for name, column in seen.columns.items():
        values = sample[name] if name in sample.columns else pl.Series(name, [], pl.String)
        column.semantic = infer(column, values)
    made = Profile(
        seen.columns,
        seen.rows,
        seen.target,
        analyse(seen) if sample.width else None,
        sample=sample if sample.width else None,
        _scan=seen,
    )
    made.advice = advise(made)
    made.seconds = seconds if started is None else time.perf_counter() - started
    return made
