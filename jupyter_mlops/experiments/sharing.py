"""Rows that a model is both trained and scored on: counted cheaply, and told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from jupyter_mlops.workspace import MLOpsError, Workspace

if TYPE_CHECKING:
    from jupyter_mlops.data import Table

__all__ = ["Shared", "shared_rows"]

#: Values that are compared at most, about half a second's worth on one core.
CELLS: Final = 20_000_000
#: Rows that repeat within one table meet in two by having few values, and tell nothing.
_BY_NATURE: Final = 3


@dataclass(frozen=True)
class Shared:
    """What training and validation data share.

    Attributes
    ----------
    note : str
        One sentence; empty where there is nothing to say.
    count : int
        Validation rows that are in the training data too.
    by : list of str
        The columns in which they are equal.
    """

    note: str = ""
    count: int = 0
    by: list[str] = field(default_factory=list)


def shared_rows(ws: Workspace, training: Table | None, validation: Any) -> Shared:
    """Count the validation rows that are in the training data too.

    Rows are the same when their recorded key is, or else all columns that both have. Parts of
    one recorded split were compared when it was made. Tables of more than about 20,000,000
    values are compared by a part of their rows.

    Parameters
    ----------
    ws : Workspace
    training : Table or None
        None when the body reads its data itself, which nobody can then look into.
    validation : Table or data frame

    Examples
    --------
    >>> shared_rows(ws, data.resolve(ws, "flights"), held_out).note  # doctest: +SKIP
    '1,203 of 49,112 validation rows are in the training data too.'
    """
    if training is None:
        return Shared()
    from jupyter_mlops import data

    try:
        held_out = data.resolve(ws, validation)
        if _parts_of_one_split(training, held_out):
            return Shared()
        if not set(training.schema) & set(held_out.schema):
            return Shared()
        found = data.overlap(training, held_out, cells=CELLS)
        rows = held_out.rows
    except MLOpsError as error:
        # A score is worth having without this; but nobody should think that it was looked at.
        reason = f"{error.what}: {error.why}".rstrip(": ")
        return Shared(f"Whether validation rows are in the training data isn't known: {reason}.")
    count = min(rows, found.rows_b * found.part)
    if count <= _BY_NATURE * found.repeated * rows:
        return Shared()
    about = "About " if found.part > 1 else ""
    many = f"{count:,} of {rows:,} validation rows {'is' if count == 1 else 'are'}"
    by = f", by {found.by[0]}" if held_out.key == training.key == found.by[0] else ""
    return Shared(f"{about}{many} in the training data too{by}.", count, found.by)


def _parts_of_one_split(a: Table, b: Table) -> bool:
    """Whether the two are different parts of one split, which left no row in two of them."""
    told = [getattr(one, "provenance", {}).get("split") for one in (a, b)]
    first, second = ({**one} for one in told if isinstance(one, dict)) if all(told) else ({}, {})
    parts = first.pop("part", None), second.pop("part", None)
    return bool(first) and first == second and parts[0] != parts[1]
