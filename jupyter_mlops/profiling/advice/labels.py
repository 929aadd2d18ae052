"""What is wrong with the target, and which columns know it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from jupyter_mlops.profiling.advice.case import Case
from jupyter_mlops.profiling.advice.finding import Advice, drop, percent
from jupyter_mlops.profiling.leakage import MIN_SAMPLE, find_leaks

__all__ = ["labels", "leaks"]

_RARE: Final = 0.10
_VERY_RARE: Final = 0.01


def leaks(case: Case) -> Iterator[Advice]:
    """Columns that know the answer; never those declared to be the key or the time."""
    analysis = case.profile.analysis
    if analysis is None:
        return
    for leak in find_leaks(case.columns, analysis):
        if leak.column in {case.key, case.time}:
            # The key is no feature, and the row's own time is known; what it tells is a trend.
            continue
        yield Advice(
            leak.column,
            "leakage",
            "likely" if leak.likely else "check",
            "; ".join(leak.evidence),
            "leave it out unless it is known when you predict",
            drop(leak.column),
        )


def labels(case: Case) -> Iterator[Advice]:
    """A target that is missing, too rare, too various, or the same everywhere."""
    analysis = case.profile.analysis
    if analysis is None:
        return
    name = analysis.column
    if analysis.task == "none":
        column = case.columns[name]
        different = column.values.distinct()
        if different > 1 and column.type.startswith(("list", "record", "bytes")):
            yield Advice(
                name,
                "nested",
                "likely",
                f"the target holds values of type {column.type}, to which nothing can be related",
                "make numbers or classes of it first, and take these as the target",
                f"df[{name!r}].map(type).value_counts()",
            )
            return
        yield Advice(
            name,
            "constant" if different < 2 else "high cardinality",
            "likely",
            f"the target has {different:,} different value{'' if different == 1 else 's'}",
            "choose a target that varies" if different < 2 else "choose a target of few classes",
            f"df[{name!r}].value_counts(dropna=False)",
        )
        return
    if analysis.missing:
        yield Advice(
            name,
            "missing labels",
            "likely",
            f"{analysis.missing:,} of {analysis.rows:,} rows "
            f"({percent(analysis.missing / analysis.rows)}) have no label",
            "train without these rows, and ask why the label is missing",
            f"df = df.dropna(subset=[{name!r}])",
        )
    labelled = analysis.rows - analysis.missing
    if labelled < MIN_SAMPLE:
        yield Advice(
            name,
            "few rows",
            "note",
            f"{labelled:,} labelled rows are too few to tell a column that knows the answer "
            f"from luck; {MIN_SAMPLE} are needed",
            "ask of each column whether it is known when you predict",
            f"df[{name!r}].count()",
        )
    if analysis.task in {"binary", "multiclass"} and analysis.classes:
        label, count = analysis.classes[-1]
        share = count / max(1, labelled)
        if len(analysis.classes) <= 10 and share < _RARE / len(analysis.classes) * 2:
            yield Advice(
                name,
                "imbalance",
                "check" if share < _VERY_RARE else "note",
                f"class {label!r} has {count:,} rows ({percent(share)})",
                "weight the classes and judge by log-loss or average precision, not accuracy",
                "from sklearn.ensemble import HistGradientBoostingClassifier\n"
                "model = HistGradientBoostingClassifier(class_weight='balanced')",
            )
