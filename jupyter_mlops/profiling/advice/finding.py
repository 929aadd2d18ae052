"""One piece of advice, and how its parts are written."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["ROWS", "Advice", "Severity", "drop", "percent", "transform"]

Severity = Literal["likely", "check", "note"]
#: What stands for the column where a finding is about whole rows.
ROWS = "(rows)"


@dataclass(frozen=True)
class Advice:
    """One finding.

    Attributes
    ----------
    column : str
        ``(rows)`` where it is about whole rows.
    finding : str
        leakage, time leakage, missing labels, few rows, imbalance, missing, missing together,
        placeholder, constant, near-constant, empty, identifier, duplicate column, duplicate rows,
        redundant, high cardinality, rare categories, inconsistent categories, mixed types,
        stray characters, damaged text, date in text, number in text, boolean in text, free text,
        nested, skew, outliers, infinite values, wrong units, impossible values, future dates,
        time coverage, order in time, personal data, overlap.
    severity : {"likely", "check", "note"}
        ``likely``: act unless you know better; ``check``: look at it; ``note``: good to know.
    evidence : str
        The numbers it rests on.
    action : str
        What to do, in a sentence.
    code : str
        Lines that do it to a pandas frame ``df``.
    columns : tuple of str
        All columns concerned, where there is more than one.
    """

    column: str
    finding: str
    severity: Severity
    evidence: str
    action: str
    code: str
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # JSON has lists only.
        object.__setattr__(self, "columns", tuple(self.columns))

    def to_dict(self) -> dict[str, Any]:
        """The finding as JSON."""
        return asdict(self) | {"columns": list(self.columns)}


def percent(share: float) -> str:
    """A share as text."""
    return "<0.1 %" if 0 < share < 0.001 else f"{100 * share:.1f} %"


def drop(*names: str) -> str:
    """The line that leaves columns out."""
    return f"df = df.drop(columns={list(names)!r})"


def transform(module: str, name: str, maker: str, column: str) -> str:
    """Lines that make a transformer of one column, the others passed through."""
    return (
        "from sklearn.compose import make_column_transformer\n"
        f"from {module} import {name}\n"
        f"prepare = make_column_transformer(({maker}, [{column!r}]), remainder='passthrough')"
    )
