"""What checking a table found: violations in words and numbers, and the rows they are about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import polars as pl

from jupyter_mlops.profiling.contracts.model import Contract, Key
from jupyter_mlops.profiling.contracts.rules import named, probes
from jupyter_mlops.workspace.errors import Invalid
from jupyter_mlops.workspace.results import Result

__all__ = ["CheckResult", "Violation", "joined", "lazy", "repeated"]


@dataclass(frozen=True)
class Violation:
    """A rule that the table breaks.

    Attributes
    ----------
    column : str
        Empty for a rule of the whole table.
    rule : str
        ``column``, ``type``, ``null``, ``bounds``, ``domain``, ``length``, ``pattern``, ``key``,
        ``freshness``, ``rows`` or ``extra``.
    rows : int
        How many rows break it; 0 where it isn't rows that do, but the whole column or table.
    share, allowed : float
        Which share of the rows that is, and which share may.
    expected, found : str
        In words.
    examples : list of (int, str)
        Rows, counted from 0, and what they hold instead.
    edit : str
        The line that changes the contract so that it fits these rows; empty where none could.
    severity : {"error", "warning"}
    """

    column: str
    rule: str
    rows: int
    share: float
    allowed: float
    expected: str
    found: str
    examples: list[tuple[int, str]] = field(default_factory=list)
    edit: str = ""
    severity: Literal["error", "warning"] = "error"

    @property
    def whole(self) -> bool:
        """Whether the column as such breaks it: it is missing, unknown, or of another type."""
        return not self.rows and self.rule in {"column", "type", "extra"}

    @property
    def sentence(self) -> str:
        """The violation in one sentence."""
        place = f"column {self.column!r}: " if self.column else ""
        return f"{place}{self.found}, expected {self.expected}"


@dataclass
class CheckResult(Result):
    """What checking a table against a contract found.

    Attributes
    ----------
    ok : bool
        Whether no rule with severity ``error`` is broken.
    violations : list of Violation
        Those that concern most rows first.
    rows : polars.Series
        True for each row that breaks a broken rule.
    checked : int
        How many rules there were.
    seconds : float
    """

    contract: Contract
    label: str
    environment: str
    count: int
    checked: int
    violations: list[Violation]
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    data_ref: str | None = None
    _frame: pl.LazyFrame | None = field(default=None, repr=False)

    @property
    def ok(self) -> bool:
        return not any(one.severity == "error" for one in self.violations)

    @property
    def rows(self) -> pl.Series:
        """Which rows of the checked table break a broken rule."""
        if self._frame is None:
            raise Invalid(
                "the rows of this check aren't at hand",
                fix="check again, or give them to `.bad(frame)`",
                code="E-CONTRACT-005",
            )
        return self.bad(self._frame)

    def bad(self, frame: Any) -> pl.Series:
        """Which rows of a frame break one of the rules that the checked table broke.

        Rows that are within a rule's tolerance are none of them: a contract that lets one row
        in a thousand lie outside says nothing against these rows while they are so few.

        Examples
        --------
        >>> clean = frame.filter(~result.bad(frame))  # doctest: +SKIP
        """
        table = lazy(frame)
        schema = table.collect_schema()
        broken = {(one.column, one.rule) for one in self.violations}
        failing = [
            one.failing.fill_null(value=False)
            for one in probes(self.contract, schema, self.environment)
            if (one.column, one.rule) in broken
        ]
        failing += [
            repeated(key)
            for key in self.contract.keys
            if (joined(key), "key") in broken and set(key.columns) <= set(schema)
        ]
        if not failing:
            rows = int(table.select(pl.len()).collect(engine="streaming").item())
            return pl.repeat(False, rows, dtype=pl.Boolean, eager=True).alias("bad")
        found = table.select(pl.any_horizontal(failing).alias("bad"))
        return found.collect(engine="streaming").to_series()

    def sentence(self) -> str:
        """The verdict and the worst violations in one sentence."""
        if not self.violations:
            return f"{self.label} keeps {self.contract.label}"
        first = "; ".join(one.sentence for one in self.violations[:3])
        more = len(self.violations) - 3
        return first + (f"; and {more:,} more" if more > 0 else "")

    def raise_for_violations(self) -> None:
        """Raise `Invalid` unless the table keeps the contract.

        Raises
        ------
        Invalid
            E-CONTRACT-010, naming the worst violations and the line that would allow them.
        """
        if self.ok:
            return
        edit = next((one.edit for one in self.violations if one.edit), "")
        raise Invalid(
            f"{self.label} breaks {self.contract.label}",
            self.sentence(),
            f"mend the data, or allow it: `{edit}`" if edit else "mend the data",
            code="E-CONTRACT-010",
        )


def lazy(frame: Any) -> pl.LazyFrame:
    """Any frame as polars sees it lazily."""
    if isinstance(frame, pl.LazyFrame):
        return frame
    if isinstance(frame, pl.DataFrame):
        return frame.lazy()
    from jupyter_mlops.data.sources.frames import FrameSource, is_frame

    if not is_frame(frame):
        raise Invalid(
            f"rows can't be a {type(frame).__name__}",
            fix="pass a data frame",
            code="E-CONTRACT-006",
        )
    return FrameSource(frame, "a frame").scan()


def repeated(key: Key) -> pl.Expr:
    """True in the rows that repeat the key of an earlier one."""
    columns = [named(name) for name in key.columns]
    whole = pl.all_horizontal([one.is_not_null() for one in columns])
    return ~pl.struct(columns).is_first_distinct() & whole


def joined(key: Key) -> str:
    """How a key is called: its columns with commas between them."""
    return ",".join(key.columns)
