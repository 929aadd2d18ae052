"""Checking a table: every rule counted in one streaming pass, what is broken shown by example."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import polars as pl
from polars import selectors

from jupyter_mlops.data.digest import logical_type
from jupyter_mlops.profiling.contracts.limits import allowed, rounded_up, upper_limit
from jupyter_mlops.profiling.contracts.model import Contract
from jupyter_mlops.profiling.contracts.rules import Probe, absences, misfit, moment
from jupyter_mlops.profiling.contracts.tallying import Tally, tally
from jupyter_mlops.profiling.contracts.violations import (
    CheckResult,
    Violation,
    joined,
    lazy,
    repeated,
)

__all__ = ["check"]

EXAMPLES: Final = 5
# Rules whose examples are looked for; more than that is a different table.
_SHOWN: Final = 40
_ROW: Final = "row of the table, counted from 0"


def check(
    contract: Contract,
    frame: Any,
    *,
    environment: str = "training",
    label: str = "",
    now: datetime | None = None,
) -> CheckResult:
    """Check the rows of a table against a contract.

    A rule that allows a share of the rows is broken when more of them break it than the share
    and chance explain: for tables drawn from the same population, all rules together raise a
    false alarm in at most one of a hundred. A share of zero allows no row.

    Parameters
    ----------
    contract : Contract
    frame : polars, pandas or Arrow frame
    environment : str
        Columns that are absent there are neither missed nor checked; at ``serving``, rules of
        whole tables (keys, rows, freshness) don't hold.
    label : str
        How to call the table in a sentence.
    now : datetime, optional
        What age is counted from.

    Returns
    -------
    CheckResult

    Raises
    ------
    Invalid
        The contract knows no such environment.

    Examples
    --------
    >>> result = check(contract, pl.DataFrame({"age": [30, -1]}))  # doctest: +SKIP
    >>> result.violations[0].sentence                               # doctest: +SKIP
    "column 'age': 1 of 2 values lie outside, expected 0 to 120"
    """
    started = time.perf_counter()
    table = lazy(frame)
    schema = table.collect_schema()
    counts = tally(contract, table, environment)
    found = [
        *_of_schema(contract, schema, environment),
        *_of_rows(contract, counts),
        *_of_table(contract, counts, now or datetime.now(UTC)),
    ]
    found = _with_examples(found, table, contract, counts)
    order = {"error": 0, "warning": 1}
    found.sort(key=lambda one: (order[one.severity], -one.share, one.column, one.rule))
    extra = [name for name in schema if name not in contract.columns]
    notes = []
    if extra and contract.extra == "allowed":
        named = ", ".join(extra[:5]) + (" …" if len(extra) > 5 else "")
        notes.append(f"the contract doesn't know {_many(len(extra), 'column')}: {named}")
    return CheckResult(
        contract,
        label or "the data",
        environment,
        counts.rows,
        len(counts.probes) + len(contract.columns) + len(counts.repeats),
        found,
        notes,
        time.perf_counter() - started,
        _frame=table,
    )


def _of_schema(contract: Contract, schema: pl.Schema, environment: str) -> Iterator[Violation]:
    for name in absences(contract, schema, environment):
        yield Violation(
            name,
            "column",
            0,
            1.0,
            0.0,
            f"a column of type {contract.columns[name].type}",
            "it is missing",
            edit=_edit(contract, name, "--optional"),
        )
    absent = contract.absent(environment)
    for name, terms in contract.columns.items():
        if name in schema and name not in absent and (other := misfit(terms, schema[name])):
            yield Violation(
                name,
                "type",
                0,
                1.0,
                0.0,
                terms.type,
                f"it holds {other}",
                edit=_edit(contract, name, f"--type {shlex.quote(other)}"),
            )
    if contract.extra == "refused":
        for name in schema:
            if name not in contract.columns:
                found = f"a column of type {logical_type(schema[name])} that nobody expects"
                yield Violation(name, "extra", 0, 1.0, 0.0, "no such column", found)


def _of_rows(contract: Contract, counts: Tally) -> Iterator[Violation]:
    rules = [(one, counts.failing[at], counts.base(one)) for at, one in enumerate(counts.probes)]
    repeats = [(key, *counts.repeats[at]) for at, key in enumerate(counts.keys)]
    shares = [one.share for one, _, _ in rules] + [key.max_repeats for key, _, _ in repeats]
    bases = [base for _, _, base in rules] + [base for _, _, base in repeats]
    most = allowed(shares, bases, len(shares))
    for (one, failing, base), limit in zip(rules, most, strict=False):
        if failing > limit:
            yield _broken(contract, one, failing, base)
    for (key, again, base), limit in zip(repeats, most[len(rules) :], strict=True):
        if again > limit:
            share = rounded_up(upper_limit(again, base))
            yield Violation(
                joined(key),
                "key",
                again,
                again / base,
                key.max_repeats,
                "a different one in each row",
                f"{again:,} of {base:,} rows repeat another's",
                edit=_edit(contract, joined(key), f"--max-repeats {share:g}"),
            )


def _broken(contract: Contract, probe: Probe, failing: int, base: int) -> Violation:
    verb = {
        "null": "rows have no value",
        "bounds": "values lie outside",
        "domain": "values are none of the known",
        "length": "texts are shorter or longer",
        "pattern": "texts look otherwise",
        "type": "values aren't whole",
    }[probe.rule]
    share = rounded_up(upper_limit(failing, base))
    flag = {"null": f"--max-missing {share:g}", "type": "--type float"}.get(
        probe.rule, f"--max-outside {share:g}"
    )
    if probe.rule in ("length", "pattern", "domain"):
        flag += f" --rule {probe.rule}"
    top = f"at most {100 * probe.share:.3g} % without" if probe.rule == "null" else probe.expected
    within = probe.rule != "null" and probe.share > 0
    return Violation(
        probe.column,
        probe.rule,
        failing,
        failing / base,
        probe.share,
        f"{top} in all but {100 * probe.share:.3g} %" if within else top,
        f"{failing:,} of {base:,} {verb} ({100 * failing / base:.3g} %)",
        edit=_edit(contract, probe.column, flag),
    )


def _of_table(contract: Contract, counts: Tally, now: datetime) -> Iterator[Violation]:
    if counts.environment == "serving":
        return
    rows = contract.rows
    if rows is not None and counts.rows < rows.min:
        yield Violation(
            "",
            "rows",
            0,
            0.0,
            0.0,
            f"at least {rows.min:,}",
            f"{counts.rows:,} rows",
            severity="warning",
        )
    fresh = contract.freshness
    if fresh is not None and counts.newest is not None:
        newest = moment(counts.newest.isoformat(), pl.Datetime("us", "UTC"))
        age = (now - newest).total_seconds()
        if age > fresh.max_age:
            yield Violation(
                fresh.column,
                "freshness",
                0,
                0.0,
                0.0,
                f"at most {_span(fresh.max_age)}",
                f"the newest row is {_span(age)} old",
                edit=_edit(contract, fresh.column, f"--max-age {_span(age * 1.5, exact=True)}"),
                severity="warning",
            )


def _with_examples(
    found: Sequence[Violation], table: pl.LazyFrame, contract: Contract, counts: Tally
) -> list[Violation]:
    """Look up the first rows that break each broken rule; each look ends as soon as it has them."""
    by_rule = {(one.column, one.rule): one.failing for one in counts.probes}
    by_rule |= {(joined(key), "key"): repeated(key) for key in contract.keys}
    # No column of theirs is called so, for the name has a NUL in it.
    row = f"{_ROW}\0"
    keyed = {joined(key): key.columns for key in contract.keys}
    most = sorted(found, key=lambda one: -one.share)
    looked = [one for one in most if (one.column, one.rule) in by_rule][:_SHOWN]
    numbered = table.with_row_index(row)
    queries = [
        numbered.filter(by_rule[one.column, one.rule])
        .select(row, selectors.by_name(*keyed.get(one.column, [one.column])))
        .head(EXAMPLES)
        for one in looked
    ]
    frames = pl.collect_all(queries, engine="streaming") if queries else []
    examples = {
        (one.column, one.rule): [
            (int(first), ", ".join(_shown(value) for value in rest))
            for first, *rest in frame.iter_rows()
        ]
        for one, frame in zip(looked, frames, strict=True)
    }
    allow = _strangers([one for one in looked if one.rule == "domain"], table, contract, counts)
    return [
        replace(
            one,
            examples=examples.get((one.column, one.rule), []),
            edit=allow.get(one.column, one.edit) if one.rule == "domain" else one.edit,
        )
        for one in found
    ]


def _strangers(
    broken: list[Violation], table: pl.LazyFrame, contract: Contract, counts: Tally
) -> dict[str, str]:
    """The edit that allows the unknown values of each column, where they are few."""
    if not broken:
        return {}
    failing = {one.column: one.failing for one in counts.probes if one.rule == "domain"}
    frames = pl.collect_all(
        [
            table.filter(failing[one.column])
            .select(selectors.by_name(one.column).cast(pl.String))
            .unique()
            .head(EXAMPLES + 1)
            for one in broken
        ],
        engine="streaming",
    )
    edits = {}
    for one, frame in zip(broken, frames, strict=True):
        values = sorted(frame.to_series().drop_nulls())
        # A list on a line is cut at its commas.
        if len(values) <= EXAMPLES and not any("," in value or not value for value in values):
            line = _edit(contract, one.column, f"--allow {shlex.quote(','.join(values))}")
            edits[one.column] = line
    return edits


def _edit(contract: Contract, column: str, flags: str) -> str:
    if not contract.name:
        return ""
    return f"%mlops contract edit {contract.name} {shlex.quote(column)} {flags}"


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    text = value.isoformat(" ") if isinstance(value, datetime) else str(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _span(seconds: float, *, exact: bool = False) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f}s" if exact or seconds >= 0 else "no age: it lies ahead"


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
