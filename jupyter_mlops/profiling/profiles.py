"""Profiles of whole tables: made in one pass, merged, kept, shown."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Event
from time import perf_counter
from typing import Any

import polars as pl

from jupyter_mlops.data.sampling import RowSample
from jupyter_mlops.profiling.advice import Advice, advise
from jupyter_mlops.profiling.associations import Associations, associate
from jupyter_mlops.profiling.columns import ColumnProfile
from jupyter_mlops.profiling.distinct import Distinct
from jupyter_mlops.profiling.engine import Scan, scan
from jupyter_mlops.profiling.semantics import name_all
from jupyter_mlops.profiling.target import TargetAnalysis, analyse
from jupyter_mlops.workspace.errors import Invalid, NotFound, closest
from jupyter_mlops.workspace.records import utcnow
from jupyter_mlops.workspace.results import Result

__all__ = ["ENGINE", "Profile", "Progress", "profile"]

#: Raised when profiles made by an older version can't be taken for new ones.
ENGINE = 4


@dataclass
class Profile(Result):
    """What is known of a table.

    Attributes
    ----------
    columns : dict of str to ColumnProfile
        In the table's order.
    rows : int
    target : str or None
    key, time : str or None
        The columns declared to identify a row and to say when it happened, if any.
    analysis : TargetAnalysis or None
        How each column relates to the target.
    advice : list of Advice
        The most pressing first.
    sample : polars.DataFrame or None
        Up to 20,000 rows; None for a profile read back from the workspace.
    seconds : float
        How long the pass took.
    associations : Associations or None
        How the columns go together; None for a merge of profiles without their samples.
    distinct_rows : int or None
        About how many different rows there are (within 2 %); exact while there are few.
    complete : bool
        False when the pass was stopped: then `rows` says how far it came.
    counted_by : str
        The database that did the counting, where the rows weren't read.
    sampled : int
        Rows of the sample that pairs of columns, whole rows and the target were looked at in.
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
    associations: Associations | None = None
    distinct_rows: int | None = None
    complete: bool = True
    key: str | None = None
    time: str | None = None
    counted_by: str = ""
    sampled: int = 0
    _distinct: Distinct | None = field(default=None, repr=False)
    _scan: Scan | None = field(default=None, repr=False)

    @property
    def content(self) -> str | None:
        """The digest of the rows that were read, where this profile was made of them."""
        seen = self._scan
        return seen.digest.hexdigest() if seen is not None and seen.digest is not None else None

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
            distinct=Distinct(),
            key=self.key,
            time=self.time,
        )
        for place, one in enumerate((self, *others)):
            if list(self.columns) != list(one.columns) or self.target != one.target:
                raise Invalid(
                    "the profiles are of different columns or targets",
                    fix="profile all tables with the same columns and --target",
                    code="E-PROFILE-002",
                )
            both.rows += one.rows
            both.complete &= one.complete
            if one._distinct is not None:
                both.distinct.merge(one._distinct)
            if place:
                for name, column in one.columns.items():
                    both.columns[name].merge(column)
            # Without every part's rows the sample would not be one of the whole.
            if size and one._scan is not None:
                both.sample.merge(one._scan.sample)
        made = _finish(both, self.seconds + sum(one.seconds for one in others))
        if any(one._distinct is None for one in (self, *others)):
            made.distinct_rows, made._distinct = None, None
        return made

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
            "associations": self.associations.to_dict() if self.associations else None,
            "distinct_rows": self.distinct_rows,
            "distinct": self._distinct.to_text() if self._distinct else None,
            "complete": self.complete,
            "key": self.key,
            "time": self.time,
            "counted_by": self.counted_by,
            "sampled": self.sampled,
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Profile:
        """The profile back from JSON."""
        columns = [ColumnProfile.from_dict(one) for one in state["columns"]]
        analysis = state["analysis"]
        associations, distinct = state["associations"], state["distinct"]
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
            Associations.from_dict(associations) if associations else None,
            state["distinct_rows"],
            state["complete"],
            state["key"],
            state["time"],
            state["counted_by"],
            state["sampled"],
            Distinct.from_text(distinct) if distinct else None,
        )

    def __repr__(self) -> str:
        return (
            f"<Profile {self.label}: {self.rows:,} rows × {len(self.columns)} columns, "
            f"{len(self.advice)} findings>"
        )


@dataclass
class Progress:
    """How far a pass has come.

    Attributes
    ----------
    rows : int
    total : int or None
        Rows of the whole table, where they are known beforehand.
    seconds : float
    due : bool
        Whether it is time to show what is known: after the first rows, and then at growing
        intervals that keep showing to a tenth of the time.
    """

    rows: int
    total: int | None
    seconds: float
    due: bool
    _scan: Scan = field(repr=False)

    def profile(self) -> Profile:
        """The profile of the rows seen so far; it doesn't change when more are seen."""
        seen = replace(self._scan, columns=copy.deepcopy(self._scan.columns), complete=False)
        made = _finish(seen, self.seconds)
        # What it was made from goes on growing, so it can't be merged.
        made._scan, made._distinct = None, None
        return made


def profile(
    frame: Any,
    *,
    target: str | None = None,
    key: str | None = None,
    time: str | None = None,
    progress: Callable[[Progress], None] | None = None,
    cancel: Event | None = None,
) -> Profile:
    """Profile a table in one streaming pass.

    An interrupt stops the pass and keeps what is known: the profile is then not `complete`.

    Parameters
    ----------
    frame : polars.LazyFrame or dask.dataframe.DataFrame
        A Dask frame is profiled where its partitions are.
    target : str, optional
        The column to predict: every other is related to it, and leakage is looked for.
    key : str, optional
        The column that identifies a row: it is no feature, and nothing has to be said of that.
    time : str, optional
        The column that says when a row happened: what comes later is looked for from there.
    progress : callable, optional
        Called with a `Progress` after the first rows and then after each batch.
    cancel : threading.Event, optional
        Stops the pass once set, from any thread.

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
    if not isinstance(frame, pl.LazyFrame):
        from jupyter_mlops.profiling.partitions import profile_dask

        return profile_dask(frame, target=target, key=key, time=time)
    started = perf_counter()
    check_target(frame.collect_schema().names(), target, key=key, time=time)
    tell = _teller(progress, started) if progress is not None else None
    seen = scan(frame, target, tell, cancel, key=key, time=time)
    return finished(seen, started)


def check_target(names: list[str], target: str | None, **roles: str | None) -> None:
    """Raise unless a table has columns, the target and those of other roles among them."""
    if not names:
        raise Invalid("the table has no columns", fix="check the source", code="E-PROFILE-003")
    for role, name in {"target": target, **roles}.items():
        if name is not None and name not in names:
            raise NotFound(
                f"there is no column {name!r} to be the {role}",
                f"the columns are {', '.join(names[:12])}{' …' if len(names) > 12 else ''}",
                closest(name, names),
                code="E-PROFILE-004",
            )


def finished(seen: Scan, started: float | None = None) -> Profile:
    """The profile of what a pass has seen."""
    if not seen.rows:
        raise Invalid(
            "the table has columns but no rows", fix="check the source", code="E-PROFILE-005"
        )
    return _finish(seen, 0.0, started)


def _teller(
    progress: Callable[[Progress], None], started: float
) -> Callable[[Scan, int | None], None]:
    due, pause = 0.0, 0.5

    def tell(seen: Scan, total: int | None) -> None:
        nonlocal due, pause
        now = perf_counter()
        showing = now >= due
        progress(Progress(seen.rows, total, now - started, showing, seen))
        if showing:
            pause = min(2 * pause, 8.0)
            took = perf_counter() - now
            due = now + took + max(pause, 9 * took)

    return tell


def _finish(seen: Scan, seconds: float, started: float | None = None) -> Profile:
    # Of a column with a fault there is nothing to be said but that.
    sound = {name: column for name, column in seen.columns.items() if not column.fault}
    sample = seen.sample.frame()
    held = set(sample.columns)
    sample = sample.select([name for name in sound if name in held])
    name_all(sound, sample)
    known = sample.width and (seen.target is None or seen.target in sound)
    made = Profile(
        seen.columns,
        seen.rows,
        seen.target,
        analyse(replace(seen, columns=sound)) if known else None,
        sample=sample if sample.width else None,
        associations=associate(sound, sample, seen.target) if sample.width else None,
        distinct_rows=min(seen.distinct.estimate(), seen.rows),
        complete=seen.complete,
        key=seen.key,
        time=seen.time,
        sampled=sample.height,
        _distinct=seen.distinct,
        _scan=seen,
    )
    made.advice = advise(replace(made, columns=sound))
    made.seconds = seconds if started is None else perf_counter() - started
    return made
