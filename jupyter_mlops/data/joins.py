"""Point-in-time joins: to each row, what was known before it and nothing that came later."""

# ruff: noqa: S608 -- names are quoted, and the database holds nothing but these tables

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from jupyter_mlops.data.datasets import Dataset, Draft, record
from jupyter_mlops.data.queries import described
from jupyter_mlops.data.resolving import Preview, resolve
from jupyter_mlops.data.sandbox import SqlSource, explained, quoted, sandbox, stoppable
from jupyter_mlops.data.spans import span
from jupyter_mlops.data.stored import keep
from jupyter_mlops.data.tables import Table
from jupyter_mlops.workspace.errors import Conflict, Invalid, NotFound, closest
from jupyter_mlops.workspace.references import check_name

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["asof"]

SHOWN: Final = 50
Pair = tuple[str, str]


@dataclass(frozen=True)
class _Plan:
    """What to join: pairs of columns, the left one first."""

    left: Table
    right: Table
    on: Pair
    by: list[Pair]
    tolerance: timedelta | None
    equal: bool
    suffix: str
    repeated: int = 0


def asof(
    ws: Workspace,
    left: Any,
    right: Any,
    *,
    on: str | None = None,
    by: list[str] | None = None,
    tolerance: str | None = None,
    equal: bool = False,
    suffix: str = "_right",
    save: str | None = None,
) -> Dataset | Preview:
    """Give each row of a table the last row of another that was known before its time.

    Rows of `left` without a match keep their place, with missing values. Of rows of `right`
    with one time and key, the one that sorts last by its values is taken.

    Parameters
    ----------
    ws : Workspace
    left, right : str, data frame or Table
    on : str, optional
        The column of times, ``time`` or ``left_time=right_time``; the recorded ones by default.
    by : list of str, optional
        Columns in which the two rows must agree, also written ``left=right``.
    tolerance : str, optional
        How old the row may be, such as ``1h``.
    equal : bool
        Whether a row of the very same time counts as known.
    suffix : str
        What is put behind the name of a column of `right` that `left` has too.
    save : str, optional
        Keep the result as a dataset of this name.

    Raises
    ------
    NotFound
        A column isn't there.
    Invalid
        The times can't be compared without guessing.

    Examples
    --------
    >>> asof(ws, "flights", "weather", on="time_hour", by=["origin"])  # doctest: +SKIP
    """
    if save is not None:
        check_name(save, "dataset")
    here, there = resolve(ws, left), resolve(ws, right)
    pair = _pair(on) if on else _recorded_times(here, there)
    plan = _Plan(
        here,
        there,
        pair,
        [_pair(one) for one in by or []],
        span(tolerance, "a tolerance") if tolerance else None,
        equal,
        suffix,
    )
    _check(plan)
    names = _names(plan)
    counted, plan = stoppable(partial(_counted, plan))
    told = {
        "asof": {
            "left": here.label,
            "right": there.label,
            "on": list(pair),
            "by": [list(one) for one in plan.by],
            "tolerance": tolerance,
            "equal": equal,
            **counted,
        },
        "inputs": [described("left", here), described("right", there)],
    }
    tables = {"left_": here, "right_": there}
    source = SqlSource(f"{here.label} joined with {there.label}", _sql(plan, names), tables, told)
    if save is None:
        first = f"{source.sql} ORDER BY {quoted(pair[0])} LIMIT {SHOWN}"
        source = SqlSource(source.uri, first, tables, told)
        with source.reasons():
            rows = stoppable(source.scan().collect)
        return Preview(source.uri, None, rows, here.rows, notes=_notes(plan, counted))
    table = Table(source, inputs=list(dict.fromkeys([*here.inputs, *there.inputs])))
    with source.reasons():
        kept = stoppable(partial(keep, ws, table))
    # Each row of the left table is there once, so its key still identifies it.
    return record(ws, [Draft(save, table, kept, here.key, pair[0])])[0]


def _pair(text: str) -> Pair:
    left, _, right = text.partition("=")
    return left.strip(), (right or left).strip()


def _recorded_times(left: Table, right: Table) -> Pair:
    if left.time is None or right.time is None:
        lone = left if left.time is None else right
        raise Invalid(
            f"{lone.label} isn't recorded with a column of times",
            fix="name it: --on COLUMN, or --on LEFT=RIGHT where their names differ",
            code="E-DATA-110",
        )
    return left.time, right.time


def _check(plan: _Plan) -> None:
    for left, right in [plan.on, *plan.by]:
        for table, name in ((plan.left, left), (plan.right, right)):
            if name not in table.schema:
                raise NotFound(
                    f"{table.label} has no column {name!r} to join by",
                    f"its columns are {', '.join(list(table.schema)[:12])}",
                    closest(name, table.schema) or "write --on LEFT=RIGHT where names differ",
                    code="E-DATA-111",
                )
    for left, right in plan.by:
        mine, theirs = plan.left.schema[left], plan.right.schema[right]
        if mine != theirs and not {mine, theirs} <= {"integer", "float"}:
            raise Invalid(
                f"{left!r} and {right!r} can't be equal",
                f"{plan.left.label} holds {mine} there, {plan.right.label} {theirs}",
                "bring them to one type with `data query` first",
                code="E-DATA-112",
            )
    _check_times(plan)


def _check_times(plan: _Plan) -> None:
    mine, theirs = plan.left.schema[plan.on[0]], plan.right.schema[plan.on[1]]
    times = {"date", "datetime", "datetime UTC"}
    why, fix = "", "convert one of them with `data query` first"
    if mine not in times or theirs not in times:
        why = "both must be dates or datetimes"
    elif {mine, theirs} == {"datetime", "datetime UTC"}:
        why = "one has a time zone and the other doesn't say which it is in"
        fix = "convert it with `data query`: time AT TIME ZONE 'America/New_York'"
    elif theirs == "date" and mine != "date":
        why = "a date doesn't say when in the day a row became known, so it might look ahead"
        fix = "make it the moment from which the row is known: day + INTERVAL 1 DAY"
    elif mine == "date" and theirs == "datetime UTC":
        why = "a date doesn't say in which time zone its day begins"
        fix = "convert it with `data query`: day AT TIME ZONE 'America/New_York'"
    if why:
        raise Invalid(
            f"{plan.on[0]!r} ({mine}) can't be compared with {plan.on[1]!r} ({theirs})",
            why,
            fix,
            code="E-DATA-113",
        )


def _names(plan: _Plan) -> dict[str, str]:
    """What each column of the right table is called in the result."""
    dropped = {right for left, right in plan.by if left == right}
    found = {}
    taken = set(plan.left.schema)
    for name in plan.right.schema:
        if name in dropped:
            continue
        made = name + plan.suffix if name in plan.left.schema else name
        if made in taken:
            raise Conflict(
                f"the result would have two columns called {made!r}",
                fix="give another --suffix",
                code="E-DATA-114",
            )
        taken.add(made)
        found[name] = made
    return found


def _moment(plan: _Plan, side: str) -> str:
    """The time of a side, in a type in which no fraction is lost."""
    column = f"{side}.{quoted(plan.on[0 if side == 'l' else 1])}"
    kinds = [plan.left.source.schema()[plan.on[0]], plan.right.source.schema()[plan.on[1]]]
    fine = any(isinstance(one, pl.Datetime) and one.time_unit == "ns" for one in kinds)
    zoned = any(getattr(one, "time_zone", None) for one in kinds)
    return (
        f"CAST({column} AS {'TIMESTAMPTZ' if zoned else 'TIMESTAMP_NS' if fine else 'TIMESTAMP'})"
    )


def _joined(plan: _Plan) -> str:
    """``FROM`` and ``ON``: `l` with the row `r` that was last known, or none."""
    right = "right_"
    if plan.repeated:
        parted = ", ".join(quoted(one) for one in [*(right for _, right in plan.by), plan.on[1]])
        order = ", ".join(f"{quoted(name)} DESC NULLS LAST" for name in plan.right.schema)
        right = (
            "(SELECT * FROM right_ QUALIFY row_number() OVER "
            f"(PARTITION BY {parted} ORDER BY {order}) = 1)"
        )
    same = [f"l.{quoted(left)} = r.{quoted(right)}" for left, right in plan.by]
    before = f"{_moment(plan, 'l')} {'>=' if plan.equal else '>'} {_moment(plan, 'r')}"
    return f"FROM left_ l ASOF LEFT JOIN {right} r ON {' AND '.join([*same, before])}"


def _recent(plan: _Plan) -> str:
    """Whether the row that was found is there and young enough."""
    there = f"r.{quoted(plan.on[1])} IS NOT NULL"
    if plan.tolerance is None:
        return there
    age = f"epoch_us({_moment(plan, 'l')}) - epoch_us({_moment(plan, 'r')})"
    return f"({there} AND {age} <= {plan.tolerance // timedelta(microseconds=1)})"


def _sql(plan: _Plan, names: dict[str, str]) -> str:
    columns = [f"l.{quoted(name)}" for name in plan.left.schema]
    if plan.tolerance is None:
        columns += [f"r.{quoted(name)} AS {quoted(made)}" for name, made in names.items()]
    else:
        columns += [
            f"CASE WHEN {_recent(plan)} THEN r.{quoted(name)} END AS {quoted(made)}"
            for name, made in names.items()
        ]
    return f"SELECT {', '.join(columns)} {_joined(plan)}"


def _counted(plan: _Plan) -> tuple[dict[str, int], _Plan]:
    """How many rows find a match, and how many times of the right table occur more than once."""
    keys = ", ".join(quoted(one) for one in [*(right for _, right in plan.by), plan.on[1]])
    twice = f"SELECT count(*) AS n FROM right_ GROUP BY {keys} HAVING count(*) > 1"
    with sandbox({"left_": plan.left, "right_": plan.right}) as connection, explained():
        repeated = connection.execute(f"SELECT count(*) FROM ({twice})").fetchall()[0][0]
        plan = replace(plan, repeated=repeated)
        rows, matched = connection.execute(
            f"SELECT count(*), count(*) FILTER ({_recent(plan)}) {_joined(plan)}"
        ).fetchall()[0]
    return {"rows": rows, "matched": matched, "repeated": repeated}, plan


def _notes(plan: _Plan, counted: dict[str, int]) -> list[str]:
    notes = [f"{counted['matched']:,} of {counted['rows']:,} rows found one of {plan.right.label}."]
    if plan.repeated:
        notes.append(
            f"{plan.repeated:,} times occur more than once in {plan.right.label}; "
            "of each the row that sorts last was taken."
        )
    return notes
