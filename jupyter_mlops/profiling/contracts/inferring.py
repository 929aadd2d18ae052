"""A contract learnt from a profile: conservative, so that the next honest table keeps it.

Raw extremes make bad bounds: of ten columns, one or another nearly always holds a value beyond
them in the next table. So each bound is a quantile, widened, with the share of the population
that may lie outside: what was counted outside, at its upper 99 % limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import polars as pl

from jupyter_mlops.profiling.columns import ColumnProfile
from jupyter_mlops.profiling.contracts.limits import rounded_up, upper_limit
from jupyter_mlops.profiling.contracts.model import (
    Bounds,
    Contract,
    Domain,
    Drift,
    Environment,
    Freshness,
    Key,
    Length,
    Null,
    Origin,
    Pattern,
    Role,
    Rows,
    Terms,
)
from jupyter_mlops.profiling.contracts.patterns import of_texts
from jupyter_mlops.profiling.contracts.tallying import Tally, tally
from jupyter_mlops.profiling.profiles import Profile

__all__ = ["infer"]

#: Even what was never seen outside may be there in one row of a thousand.
LEAST: Final = 0.001
_WIDENED: Final = 0.1
_VALUES: Final = 200
_CHARACTERS: Final = 1500
_FRESH: Final = 14 * 86_400
_EDGES: Final = tuple(i / 10 for i in range(1, 10))
_FIXED: Final = {"id", "text", "e-mail", "URL", "nested", "datetime", "empty"}


def infer(
    profile: Profile,
    frame: pl.LazyFrame | None = None,
    *,
    key: str | list[str] | None = None,
    time: str | None = None,
) -> Contract:
    """Learn a contract from a profile.

    Parameters
    ----------
    profile : Profile
        With a target, the target is known to be absent at serving, and so are columns that
        are likely to know the answer.
    frame : polars.LazyFrame, optional
        The rows that were profiled: what lies outside is then counted in one pass; without
        them it is taken from the profile's sketches, with their error added.
    key : str or list of str, optional
        Columns that together tell rows apart.
    time : str, optional
        The column that says when a row happened.

    Returns
    -------
    Contract

    Examples
    --------
    >>> made = infer(profile(pl.LazyFrame({"x": [1.0, 2.0, None]})))  # doctest: +SKIP
    >>> made.columns["x"].null.observed                                # doctest: +SKIP
    0.3333
    """
    keys = [key] if isinstance(key, str) else list(key or [])
    draft = Contract(
        origin=Origin(
            data=profile.data_ref or profile.label, digest=profile.digest, rows=profile.rows
        ),
        rows=_fewest(profile.rows),
        environments=_environments(profile),
        keys=_keys(profile, keys),
        columns={
            name: _terms(column, _role(column, profile, keys, time), profile)
            for name, column in profile.columns.items()
        },
    )
    counted = None if frame is None else tally(draft, frame, "training")
    columns = {
        name: _settled(terms, profile.columns[name], profile, counted)
        for name, terms in draft.columns.items()
    }
    notes: list[str] = []
    return draft.model_copy(
        update={
            "columns": columns,
            "keys": _proven(draft, counted),
            "freshness": _freshness(profile, time, notes),
            "profile": profile.id,
            "notes": notes,
        }
    )


def _fewest(rows: int) -> Rows:
    return Rows(min=max(1, rows // 1000), source=f"a thousandth of the {rows:,} rows seen")


def _environments(profile: Profile) -> dict[str, Environment]:
    absent = {}
    if profile.target is not None:
        absent[profile.target] = "the target"
    for one in profile.advice:
        if one.finding == "leakage" and one.severity == "likely" and one.column in profile.columns:
            absent.setdefault(one.column, f"known only afterwards: {one.evidence}"[:100])
    return {"training": Environment(), "serving": Environment(absent=absent)}


def _role(column: ColumnProfile, profile: Profile, keys: list[str], time: str | None) -> Role:
    if column.name == profile.target:
        return "target"
    if column.name in keys or column.semantic == "id":
        return "key"
    return "time" if column.name == time else "feature"


def _keys(profile: Profile, named: list[str]) -> list[Key]:
    if named:
        return [Key(columns=named, max_repeats=0.0, source="named as the key")]
    # A sketch can't tell that nothing repeats; the rows decide (`_proven`).
    return [
        Key(columns=[name], max_repeats=LEAST, source="never repeated")
        for name, column in profile.columns.items()
        if column.semantic == "id" and column.present
    ]


def _proven(draft: Contract, counted: Tally | None) -> list[Key]:
    """The keys that do tell the rows apart; whole ones only, if the rows were looked at."""
    if counted is None:
        return list(draft.keys)
    kept = []
    for key, (repeats, rows) in zip(counted.keys, counted.repeats, strict=True):
        if repeats == 0:
            kept.append(key)
        elif key.max_repeats == 0:
            share = rounded_up(upper_limit(repeats, rows))
            source = f"named as the key, but {repeats:,} of {rows:,} rows repeat another's"
            kept.append(Key(columns=key.columns, max_repeats=share, source=source))
    return kept


def _terms(column: ColumnProfile, role: Role, profile: Profile) -> Terms:
    """The rules a column may have, their shares still open."""
    domain = _domain(column)
    # Keys count on: those of the next table lie beyond all that were seen.
    bounds = None if domain is not None or role == "key" else _bounds(column)
    text = column.type == "text" and domain is None and column.present > 0
    return Terms(
        type=column.type,
        semantic=column.semantic,
        role=role,
        null=_null(column),
        bounds=bounds,
        domain=domain,
        length=_length(column) if text else None,
        pattern=_pattern(column, profile) if text else None,
        drift=_drift(column, role),
    )


def _null(column: ColumnProfile) -> Null:
    share, rows = column.missing_share, max(1, column.rows)
    limit = upper_limit(column.missing, rows)
    if not column.missing:
        return Null(max_fraction=rounded_up(limit), observed=0.0, source=f"0 of {rows:,}, at 99 %")
    # A table of another month isn't drawn from the very same population.
    wider = min(1.0, max(limit, 1.5 * share + LEAST))
    observed = float(f"{share:.4g}")
    return Null(max_fraction=rounded_up(wider), observed=observed, source="observed × 1.5")


def _domain(column: ColumnProfile) -> Domain | None:
    if not column.values.exact or column.semantic in _FIXED or column.infinite:
        return None
    values = list(column.values.counts)
    if column.type == "boolean" or not 0 < len(values) <= _VALUES:
        return None
    if column.type != "text" and not (column.type == "integer" and column.semantic == "boolean"):
        return None
    if sum(len(str(value)) for value in values) > _CHARACTERS or "…" in "".join(map(str, values)):
        return None
    # Good (1953): what was seen once tells how much has never been seen.
    once = sum(1 for count in column.values.counts.values() if count == 1)
    share = upper_limit(once, column.present)
    ordered = sorted(values, key=lambda one: (isinstance(one, str), one))
    rare = f", {once:,} of them once" if once else ""
    source = f"the {len(values):,} values seen{rare}"
    return Domain(values=ordered, max_outside=rounded_up(max(share, LEAST)), source=source)


def _bounds(column: ColumnProfile) -> Bounds | None:
    if not column.values.numeric or column.low is None or column.high is None:
        return None
    first, last = column.quantile(0.001), column.quantile(0.999)
    if first is None or last is None or not math.isfinite(last - first):
        return None
    source = f"the middle 99.8 %, widened by {100 * _WIDENED:.0f} %"
    if last <= first and column.high > column.low:
        first, last, source = column.low, column.high, "the range seen, widened by 10 %"
    spread = last - first
    low, high = first - _WIDENED * spread, last + _WIDENED * spread
    if column.low >= 0 > low:
        low = 0.0
    if column.high <= 0 < high:
        high = 0.0
    if column.temporal:
        # Time goes on: only what lies far before is surprising.
        return Bounds(lo=_time(low, column.type), max_outside=1.0, source=source)
    digits = 0 if column.type == "integer" else _digits(spread or abs(high))
    lo, hi = _outward(low, digits, math.floor), _outward(high, digits, math.ceil)
    return Bounds(lo=lo, hi=hi, max_outside=1.0, source=source)


def _digits(size: float) -> int:
    """Decimals that say a number of this size to three digits."""
    return 2 - math.floor(math.log10(size)) if size > 0 else 0


def _outward(value: float, digits: int, way: Callable[[float], int]) -> float | int:
    step = 10.0**-digits
    moved = way(value / step) * step
    if digits <= 0 and abs(moved) < 2**53:
        return round(moved)
    return float(f"{moved:.12g}")


def _time(seconds: float, kind: str) -> str:
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=math.floor(seconds))
    return when.date().isoformat() if kind == "date" else when.replace(tzinfo=None).isoformat()


def _length(column: ColumnProfile) -> Length | None:
    if column.low is None or column.high is None:
        return None
    shortest, longest = int(column.low), int(column.high)
    if shortest == longest:
        return Length(lo=shortest, hi=longest, max_outside=1.0, source="all of one length")
    deviation = column.moments.deviation or 0.0
    longest = math.ceil(min(1.5 * longest, column.moments.mean + 10 * deviation + 1))
    return Length(
        lo=shortest // 2, hi=longest, max_outside=1.0, source="the lengths seen, widened by half"
    )


def _pattern(column: ColumnProfile, profile: Profile) -> Pattern | None:
    if profile.sample is not None and column.name in profile.sample.columns:
        texts = profile.sample[column.name].cast(pl.String)
    else:
        texts = pl.Series([str(one) for one in column.values.counts], dtype=pl.String)
    found = of_texts(texts)
    if found is None:
        return None
    name, regex = found
    return Pattern(name=name, regex=regex, max_outside=1.0, source="matched by the sample")


def _drift(column: ColumnProfile, role: Role) -> Drift | None:
    """What monitoring measures change by: deciles of numbers, the domain of categories."""
    if role in ("key", "time") or column.semantic in ("id", "text", "nested", "empty"):
        return None
    edges: list[float] = []
    if column.numeric and column.moments.count:
        deciles = column.values.quantiles(list(_EDGES))
        edges = sorted({float(f"{one:.4g}") for one in deciles if math.isfinite(one)})
    return Drift(edges=edges, source="default limits")


def _settled(terms: Terms, column: ColumnProfile, profile: Profile, counted: Tally | None) -> Terms:
    """The terms with the share that may lie outside each bound, from what does."""
    changed: dict[str, Any] = {}
    for rule in ("bounds", "length", "pattern"):
        one = getattr(terms, rule)
        if one is None:
            continue
        outside, rows, how = _outside(rule, one, column, profile, counted)
        if rows == 0:
            changed[rule] = None
            continue
        share = rounded_up(max(upper_limit(outside, rows), LEAST))
        update: dict[str, Any] = {"max_outside": share, "source": one.source + how}
        if rule == "bounds":
            update["observed"] = float(f"{outside / rows:.3g}")
        if rule == "pattern" and share > 0.05:
            changed[rule] = None
            continue
        changed[rule] = one.model_copy(update=update)
    return terms.model_copy(update=changed)


def _outside(
    rule: str, terms: Any, column: ColumnProfile, profile: Profile, counted: Tally | None
) -> tuple[int, int, str]:
    """How many values lie outside, of how many, and how that is known."""
    if counted is not None:
        for at, one in enumerate(counted.probes):
            if one.column == column.name and one.rule == rule:
                return counted.failing[at], counted.base(one), ""
        return 0, 0, ""
    if rule == "bounds" and column.values.exact and not column.temporal:
        inside = sum(
            count
            for value, count in column.values.counts.items()
            if terms.lo <= float(value) <= terms.hi
        )
        return column.present - inside, column.present, ""
    if profile.sample is not None and column.name in profile.sample.columns:
        alone = Contract(columns={column.name: Terms(type=column.type, **{rule: terms})})
        seen = tally(alone, profile.sample.select(column.name).lazy(), "training")
        for at, one in enumerate(seen.probes):
            if one.rule == rule:
                return seen.failing[at], seen.base(one), ", in a sample"
    # Quantiles of a sketch are off by up to 0.7 % of the rows at either end.
    error = 0.02 if rule == "bounds" else LEAST
    return round(error * column.present), column.present, ", within the sketch's error"


def _freshness(profile: Profile, time: str | None, notes: list[str]) -> Freshness | None:
    """How old the newest row may be, where the data was fresh when it was seen."""
    column = profile.columns.get(time) if time is not None else None
    if column is None or not column.temporal or column.high is None or column.low is None:
        return None
    distinct = max(2, column.values.distinct())
    spacing = (column.high - column.low) / (distinct - 1)
    age = profile.made_at.timestamp() - column.high
    limit = max(20 * spacing, 3600.0)
    if age > max(2 * limit, _FRESH) or age < 0:
        notes.append(
            f"No rule of freshness: the newest row is {abs(age) / 86_400:,.0f} days "
            f"{'old' if age > 0 else 'ahead'}."
        )
        return None
    most = max(limit, 2 * age)
    source = f"20 × the mean spacing of {spacing:.3g} s, or twice the age seen"
    return Freshness(column=str(time), max_age=float(f"{most:.3g}"), source=source)
