"""How columns that go together look: the strongest pairs, each with its error."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from jupyter_mlops.profiling.associations import Association, Associations
from jupyter_mlops.views.blocks import Block, Column, Table
from jupyter_mlops.views.data import short
from jupyter_mlops.views.heat import heat_chart

__all__ = ["associations_blocks", "partners_table"]

PAIRS: Final = 24
_MEASURES: Final = {
    "pearson": "Pearson’s r",
    "spearman": "Spearman’s ρ",
    "cramer": "Cramér’s V",
    "eta": "correlation ratio η",
}


def associations_blocks(found: Associations, order: Sequence[str]) -> list[Block]:
    """The strongest pairs of a table, each by its strongest measure, and a picture of them.

    Parameters
    ----------
    found : Associations
    order : sequence of str
        The table's columns.
    """
    if not found.pairs:
        return []
    pairs = _strongest(one for one in found.pairs if one.sure)
    table = Table(
        title="Columns that go together",
        columns=[
            Column(key="first", label="Column"),
            Column(key="second", label="With"),
            *_FIGURES,
        ],
        rows=[
            {"first": short(one.first), "second": short(one.second)} | _figures(one)
            for one in pairs[:PAIRS]
        ],
        total=len(pairs),
        empty=f"No two columns go together beyond chance, in a sample of {found.rows:,} rows.",
    )
    chart = heat_chart(pairs, order)
    return [table] if chart is None else [table, chart]


def partners_table(found: Associations, name: str, number: int) -> Table | None:
    """What one column goes together with."""
    pairs = _strongest(found.of(name, 4 * number))
    if not pairs:
        return None
    return Table(
        title="Goes together with",
        columns=[Column(key="other", label="Column"), *_FIGURES],
        rows=[
            {"other": short(one.second if one.first == name else one.first)} | _figures(one)
            for one in pairs[:number]
        ],
    )


_FIGURES: Final = (
    Column(key="strength", label="Strength", kind="bar"),
    Column(key="measure", label="Measure"),
)


def _figures(one: Association) -> dict[str, Any]:
    sign = "−" if one.value < 0 else ""
    error = f"± {one.error:.2f}" if one.error >= 0.005 else "± <0.01"
    return {
        "strength": {
            "share": round(abs(one.value), 3),
            "text": f"{sign}{abs(one.value):.2f} {error}",
        },
        "measure": _MEASURES.get(one.kind, one.kind),
    }


def _strongest(pairs: Iterable[Association]) -> list[Association]:
    """Each pair of columns once."""
    best: dict[frozenset[str], Association] = {}
    for one in pairs:
        both = frozenset((one.first, one.second))
        if both not in best or abs(one.value) > abs(best[both].value):
            best[both] = one
    return sorted(best.values(), key=lambda one: -abs(one.value))
