"""Missing values: how many, which columns together, and whether they tell the target."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from jupyter_mlops.profiling.advice.case import Case
from jupyter_mlops.profiling.advice.finding import Advice, Severity, percent, transform

__all__ = ["gaps", "together"]

_LISTED: Final = 8
#: Standard errors from which a difference is no accident, given how many columns are looked at.
_SURE: Final = 4.0


def gaps(case: Case, name: str) -> Iterator[Advice]:
    """How many values are missing, and whether that tells the target."""
    column = case.columns[name]
    if not column.missing:
        return
    share = column.missing_share
    evidence = f"{column.missing:,} of {column.rows:,} rows ({percent(share)}) have no value"
    telling = _telling(case, name)
    if telling:
        evidence += f"; {telling}"
    severity: Severity = "likely" if share > 0.5 else "check" if share > 0.05 or telling else "note"
    if column.numeric and column.semantic != "boolean":
        maker = "SimpleImputer(strategy='median', add_indicator=True)"
        action = "fill with the median and keep a flag, or use a model that takes gaps"
    else:
        maker = "SimpleImputer(strategy='constant', fill_value='missing')"
        action = "make missing a category of its own"
    code = transform("sklearn.impute", "SimpleImputer", maker, name)
    if column.type not in {"text", "integer", "float", "decimal"} or column.semantic == "boolean":
        action = "keep a flag that says where it is missing"
        code = f"df[{name + ' missing'!r}] = df[{name!r}].isna()"
    yield Advice(name, "missing", severity, evidence, action, code)


def together(case: Case) -> Iterator[Advice]:
    """Columns that are missing in the very same rows."""
    groups: dict[tuple[int, bytes], list[str]] = defaultdict(list)
    for name, column in case.columns.items():
        if name not in case.held or not 3 <= column.missing < column.rows:
            continue
        values = case.sample[name]
        if values.dtype.is_float():
            values = values.fill_nan(None)
        if values.null_count() >= 3:
            groups[column.missing, values.is_null().to_numpy().tobytes()].append(name)
    for (missing, _), names in groups.items():
        if len(names) < 2:
            continue
        listed = ", ".join(repr(name)[:40] for name in names[:_LISTED])
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        where = "rows" if case.whole else f"rows, in each of {case.size:,} sampled ones"
        yield Advice(
            names[0],
            "missing together",
            "note",
            f"{listed}{more} are missing in the same {missing:,} {where}",
            "one event left them empty: keep one flag for it, and ask whether it is known in time",
            f"df[{names[0] + ' and others missing'!r}] = df[{names!r}].isna().all(axis=1)",
            tuple(names),
        )


def _telling(case: Case, name: str) -> str:
    """What the target is where this column is missing, if that differs beyond noise."""
    analysis = case.profile.analysis
    if analysis is None:
        return ""
    if name in analysis.gap_rates:
        lacking, having, rows = analysis.gap_rates[name]
        noise = (max(having * (1 - having), 1e-9) / rows) ** 0.5
        if abs(lacking - having) <= max(0.05, _SURE * noise):
            return ""
        positive = sorted((label for label, _ in analysis.classes), key=str)[-1]
        return (
            f"{analysis.column} is {positive!r} in {percent(lacking)} of them, "
            f"{percent(having)} elsewhere"
        )
    if name in analysis.gap_means:
        lacking, having, noise = analysis.gap_means[name]
        if abs(lacking - having) <= _SURE * noise:
            return ""
        return f"{analysis.column} is {lacking:.4g} on average there, {having:.4g} elsewhere"
    return ""
