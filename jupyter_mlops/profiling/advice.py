"""What to do before training: each finding with its evidence and code that runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import polars as pl

from jupyter_mlops.profiling.columns import ColumnProfile
from jupyter_mlops.profiling.leakage import MIN_SAMPLE, find_leaks
from jupyter_mlops.profiling.semantics import date_format

if TYPE_CHECKING:
    from jupyter_mlops.profiling.profiles import Profile

__all__ = ["Advice", "advise"]

Severity = Literal["likely", "check", "note"]

#: More categories than scikit-learn's histogram trees take, and than one-hot bears.
MANY_CATEGORIES: Final = 255
_SKEWED: Final = 5.0
_FAR: Final = 30.0
_APART: Final = 10.0
_RARE: Final = 0.10
_VERY_RARE: Final = 0.01
_ORDER: Final = {"likely": 0, "check": 1, "note": 2}


@dataclass(frozen=True)
class Advice:
    """One finding.

    Attributes
    ----------
    column : str
    finding : str
        leakage, missing labels, missing, high cardinality, identifier, constant, empty,
        duplicate column, date in text, number in text, boolean in text, skew, outliers,
        infinite values, imbalance, free text, nested, few rows.
    severity : {"likely", "check", "note"}
        ``likely``: act unless you know better; ``check``: look at it; ``note``: good to know.
    evidence : str
        The numbers it rests on.
    action : str
        What to do, in a sentence.
    code : str
        Lines that do it to a pandas frame ``df``.
    """

    column: str
    finding: str
    severity: Severity
    evidence: str
    action: str
    code: str

    def to_dict(self) -> dict[str, Any]:
        """The finding as JSON."""
        return asdict(self)


def advise(profile: Profile) -> list[Advice]:
    """Derive advice from a profile, the most pressing first.

    Parameters
    ----------
    profile : Profile
        One that still has its sample finds duplicate columns and formats of dates too.

    Returns
    -------
    list of Advice

    Examples
    --------
    >>> import polars as pl
    >>> from jupyter_mlops.profiling import profile
    >>> frame = pl.LazyFrame({"x": [1, 1], "y": [1, 2]})
    >>> [(one.column, one.finding) for one in advise(profile(frame))]
    [('x', 'constant')]
    """
    found: list[Advice] = []
    leaking = set()
    if profile.analysis is not None:
        found += _labels(profile)
        for leak in find_leaks(profile.columns, profile.analysis):
            leaking.add(leak.column)
            found.append(
                Advice(
                    leak.column,
                    "leakage",
                    "likely" if leak.likely else "check",
                    "; ".join(leak.evidence),
                    "leave it out unless it is known when you predict",
                    f"df = df.drop(columns=[{leak.column!r}])",
                )
            )
    copies = _copies(profile)
    for name, column in profile.columns.items():
        if name == profile.target:
            continue
        if name in copies:
            found.append(_copy(name, copies[name], profile))
        elif name not in leaking:
            found += _column(name, column, profile)
    return sorted(found, key=lambda one: _ORDER[one.severity])


def _labels(profile: Profile) -> Iterator[Advice]:
    analysis = profile.analysis
    assert analysis is not None
    name = analysis.column
    if analysis.task == "none":
        different = profile.columns[name].values.distinct()
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
            f"({_percent(analysis.missing / analysis.rows)}) have no label",
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
        share = count / max(1, analysis.rows - analysis.missing)
        if len(analysis.classes) <= 10 and share < _RARE / len(analysis.classes) * 2:
            yield Advice(
                name,
                "imbalance",
                "check" if share < _VERY_RARE else "note",
                f"class {label!r} has {count:,} rows ({_percent(share)})",
                "weight the classes and judge by log-loss or average precision, not accuracy",
                "from sklearn.ensemble import HistGradientBoostingClassifier\n"
                "model = HistGradientBoostingClassifier(class_weight='balanced')",
            )


def _column(name: str, column: ColumnProfile, profile: Profile) -> Iterator[Advice]:
    drop = f"df = df.drop(columns=[{name!r}])"
    distinct = column.values.distinct()
    if column.semantic == "empty":
        text = f"none of the {column.rows:,} rows has a value"
        yield Advice(name, "empty", "likely", text, "leave it out", drop)
        return
    if column.semantic == "constant":
        value = column.shown(next(iter(column.values.counts)))
        gaps = f", {column.missing:,} rows have none" if column.missing else ""
        text = f"every value is {value[:40]!r}{gaps}"
        yield Advice(name, "constant", "likely", text, "leave it out", drop)
        return
    if column.missing:
        yield _gaps(name, column, profile)
    if column.infinite:
        yield Advice(
            name,
            "infinite values",
            "check",
            f"{column.infinite:,} values are infinite",
            "take them as missing",
            f"df[{name!r}] = df[{name!r}].replace([float('inf'), float('-inf')], float('nan'))",
        )
    if column.semantic == "id":
        about = "" if column.values.exact else "about "
        yield Advice(
            name,
            "identifier",
            "likely",
            f"{about}{min(distinct, column.present):,} different values in {column.present:,} rows",
            "keep it as the key, not as a feature",
            f"df = df.set_index({name!r})",
        )
    elif column.semantic == "category" and distinct > MANY_CATEGORIES:
        yield Advice(
            name,
            "high cardinality",
            "check",
            f"{'' if column.values.exact else 'about '}{distinct:,} categories, more than "
            f"histogram trees ({MANY_CATEGORIES}) or one-hot columns bear",
            "encode it by the target's mean, learnt out of fold",
            _transformer("sklearn.preprocessing", "TargetEncoder", "TargetEncoder()", name),
        )
    elif column.semantic in _IN_TEXT:
        yield from _in_text(name, column, profile)
    elif column.semantic in {"text", "nested"}:
        yield _wordy(name, column)
    elif column.semantic == "number":
        yield from _spread(name, column)


def _gaps(name: str, column: ColumnProfile, profile: Profile) -> Advice:
    share = column.missing_share
    evidence = f"{column.missing:,} of {column.rows:,} rows ({_percent(share)}) have no value"
    analysis = profile.analysis
    telling = False
    if analysis is not None and name in analysis.gap_rates:
        lacking, having, rows = analysis.gap_rates[name]
        noise = (max(having * (1 - having), 1e-9) / rows) ** 0.5
        if abs(lacking - having) > max(0.05, 4 * noise):
            telling = True
            positive = sorted((label for label, _ in analysis.classes), key=str)[-1]
            evidence += (
                f"; {analysis.column} is {positive!r} in {_percent(lacking)} of them, "
                f"{_percent(having)} elsewhere"
            )
    severity: Severity = "likely" if share > 0.5 else "check" if share > 0.05 or telling else "note"
    if column.numeric:
        maker = "SimpleImputer(strategy='median', add_indicator=True)"
        action = "fill with the median and keep a flag, or use a model that takes gaps"
    else:
        maker = "SimpleImputer(strategy='constant', fill_value='missing')"
        action = "make missing a category of its own"
    code = _transformer("sklearn.impute", "SimpleImputer", maker, name)
    if column.temporal or column.type == "boolean":
        action = "keep a flag that says where it is missing"
        code = f"df[{name + ' missing'!r}] = df[{name!r}].isna()"
    return Advice(name, "missing", severity, evidence, action, code)


_IN_TEXT: Final = {"date in text", "number in text", "boolean in text"}


def _in_text(name: str, column: ColumnProfile, profile: Profile) -> Iterator[Advice]:
    example = next(iter(column.values.counts), "")
    what = column.semantic.removesuffix(" in text")
    evidence = f"values such as {str(example)[:30]!r} are {what}s kept as text"
    if what == "date":
        sample = profile.sample
        form = date_format(sample[name]) if sample is not None and name in sample.columns else None
        code = f"df[{name!r}] = pd.to_datetime(df[{name!r}], format={form!r})"
        action = "read it as dates"
    elif what == "boolean":
        yes = [v for v in column.values.counts if str(v).strip().lower()[:1] in {"y", "t"}]
        yes = yes or [v for v in column.values.counts if str(v).strip().lower() == "on"]
        code = f"df[{name!r}] = df[{name!r}].isin({yes!r}).where(df[{name!r}].notna())"
        action = "read it as true and false"
    else:
        code = (
            f"df[{name!r}] = pd.to_numeric("
            f"df[{name!r}].str.replace(r'[^0-9.eE+-]', '', regex=True), errors='coerce')"
        )
        action = "read it as numbers; mind units, per cent and decimal commas"
    yield Advice(name, column.semantic, "check", evidence, action, "import pandas as pd\n" + code)


def _wordy(name: str, column: ColumnProfile) -> Advice:
    if column.semantic == "nested":
        return Advice(
            name,
            "nested",
            "check",
            f"each value is a {column.type}",
            "take the parts you need into columns of their own",
            f"df = df.drop(columns=[{name!r}])",
        )
    return Advice(
        name,
        "free text",
        "note",
        f"{column.moments.mean:.0f} characters on average, up to {column.high or 0:.0f}",
        "turn it into numbers by its words",
        "from sklearn.compose import make_column_transformer\n"
        "from sklearn.feature_extraction.text import TfidfVectorizer\n"
        f"prepare = make_column_transformer((TfidfVectorizer(max_features=500), {name!r}), "
        "remainder='passthrough')",
    )


def _spread(name: str, column: ColumnProfile) -> Iterator[Advice]:
    low, high = column.low, column.high
    if low is None or high is None or column.moments.count < 100:
        return
    lower, first, last, upper = column.values.quantiles([0.005, 0.25, 0.75, 0.995])
    reach = last - first
    far = max((high - last), (first - low)) / reach if reach > 0 else 0.0
    middle = (first + last) / 2
    # A long tail thins out; what is wrong stands apart from the tail as well.
    apart = max(_ratio(high - middle, upper - middle), _ratio(middle - low, middle - lower))
    if far > _FAR and apart > _APART:
        side = high if high - last > first - low else low
        yield Advice(
            name,
            "outliers",
            "check",
            f"{column.shown(side)} lies {far:,.0f} times the middle half's width away; "
            f"99 % lie between {column.shown(lower)} and {column.shown(upper)}",
            "check the unit and the source, or cut at a quantile",
            f"df[{name!r}] = df[{name!r}].clip({lower:.6g}, {upper:.6g})",
        )
        return
    skew = column.moments.skewness
    if skew is not None and abs(skew) > _SKEWED and column.values.distinct() > 20:
        yield Advice(
            name,
            "skew",
            "note",
            f"skewness {skew:.1f}; median {column.shown(column.quantile(0.5))}, "
            f"maximum {column.shown(high)}",
            "for linear models, bring it to a normal shape; trees don't mind",
            _transformer("sklearn.preprocessing", "PowerTransformer", "PowerTransformer()", name),
        )


def _ratio(whole: float, part: float) -> float:
    return whole / part if part > 0 else 0.0


def _copies(profile: Profile) -> dict[str, str]:
    """Columns that equal an earlier one in every sampled row and in all that was counted."""
    sample = profile.sample
    if sample is None or sample.height < 20:
        return {}
    seen: dict[tuple[Any, ...], list[str]] = {}
    copies: dict[str, str] = {}
    for name, column in profile.columns.items():
        if column.values.distinct() < 2:
            continue
        mark = (
            column.type,
            column.missing,
            column.low,
            column.high,
            column.zeros,
            column.negatives,
            column.values.distinct(),
        )
        for other in seen.get(mark, []):
            if sample[name].rename(other).equals(sample[other], null_equal=True):
                copies[name] = other
                break
        else:
            seen.setdefault(mark, []).append(name)
    return copies


def _copy(name: str, other: str, profile: Profile) -> Advice:
    rows = profile.sample.height if isinstance(profile.sample, pl.DataFrame) else 0
    what = "the target" if other == profile.target else repr(other)
    return Advice(
        name,
        "leakage" if other == profile.target else "duplicate column",
        "likely",
        f"equals {what} in all of {rows:,} sampled rows, with the same counts over all rows",
        "leave one of the two out",
        f"df = df.drop(columns=[{name!r}])",
    )


def _transformer(module: str, name: str, maker: str, column: str) -> str:
    return (
        "from sklearn.compose import make_column_transformer\n"
        f"from {module} import {name}\n"
        f"prepare = make_column_transformer(({maker}, [{column!r}]), remainder='passthrough')"
    )


def _percent(share: float) -> str:
    return "<0.1 %" if 0 < share < 0.001 else f"{100 * share:.1f} %"
