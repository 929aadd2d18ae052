"""How a table looks period by period."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from jupyter_mlops.profiling.periods import Period, Periods
from jupyter_mlops.views.blocks import Block, Column, Fact, Facts, Form, Notice, Table, View
from jupyter_mlops.views.data import short
from jupyter_mlops.views.profiling import profile_view
from jupyter_mlops.views.registry import look

__all__ = ["periods_view"]

ROWS: Final = 100


@look(Periods)
def periods_view(result: Periods) -> View:
    """The periods, the newest first, and the profile that they merge to."""
    whole, periods = profile_view(result.whole), result.periods
    busiest = max(periods, key=lambda one: one.rows)
    facts = Facts(
        items=[
            Fact(label="Periods", value=f"{len(periods):,}", hint=f"of {result.every}"),
            Fact(label="From", value=_when(periods[0].start)),
            Fact(label="To", value=_when(periods[-1].start)),
            Fact(label="Most rows", value=f"{busiest.rows:,}", hint=_when(busiest.start)),
        ]
    )
    table = Table(
        title="Periods",
        columns=[
            Column(key="start", label="From"),
            Column(key="rows", label="Rows", kind="number"),
            Column(key="missing", label="Missing", kind="percent"),
            Column(key="apart", label="Differs most from the whole"),
        ],
        rows=[_row(one) for one in reversed(periods[-ROWS:])],
        total=len(periods),
    )
    # What the forms would make anew is not this window and these periods.
    rest: list[Block] = [block for block in whole.blocks if not isinstance(block, Form)]
    name = (result.source or "").removeprefix("data:")
    window = f" --window {result.window}" if result.window else ""
    return whole.model_copy(
        update={
            "subtitle": f"{whole.subtitle} · by {result.every}",
            "line": f"%mlops profile {name}{window} --every {result.every}" if name else "",
            "blocks": [facts, *_notice(periods), table, *rest],
        }
    )


def _notice(periods: list[Period]) -> list[Notice]:
    moved = [one for one in periods if one.apart]
    if not moved:
        return [Notice(level="good", text="No period differs from the whole by more than chance.")]
    most = max(moved, key=lambda one: max(one.apart.values()))
    many = f"{len(moved):,} of {len(periods):,} periods differ"
    text = f"{many if len(moved) > 1 else 'One period differs'} from the whole by more than chance"
    return [Notice(level="warn", text=f"{text}, most {_when(most.start)}: {_apart(most)}.")]


def _row(one: Period) -> dict[str, Any]:
    return {
        "start": _when(one.start),
        "rows": one.rows,
        "missing": round(one.missing_share, 5),
        "apart": _apart(one),
    }


def _apart(one: Period) -> str | None:
    names = [f"{short(name)[:40]} {100 * far:.0f} %" for name, far in one.apart.items()]
    return ", ".join(names) or None


def _when(start: date) -> str:
    text = str(start).removesuffix("+00:00")
    return text.removesuffix(":00") if len(text) > 10 else text
