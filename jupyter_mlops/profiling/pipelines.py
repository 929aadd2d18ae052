"""From a profile to one ColumnTransformer: readable code, and the object that it makes.

Every step is a transformer of scikit-learn's own, so that skops stores the fitted one and an
endpoint loads it without a waiver. What scikit-learn has no transformer for (dates into parts,
numbers out of text, placeholders) becomes a function ``features`` of pandas lines before it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from jupyter_mlops.profiling.columns import ColumnProfile
from jupyter_mlops.profiling.recipes import Group, Plan, reason_of, written
from jupyter_mlops.profiling.written import reading_code
from jupyter_mlops.workspace.errors import Invalid
from jupyter_mlops.workspace.results import Result

if TYPE_CHECKING:
    import pandas as pd

    from jupyter_mlops.profiling.profiles import Profile

__all__ = ["Group", "Preparation", "prepare"]

#: More categories than this are encoded by the target.
ONE_HOT: Final = 50
_MOSTLY_MISSING: Final = 0.95

# Findings that leave a column out, and what is said of it.
_OUT: Final = {
    "leakage": "may know the answer",
    "time leakage": "comes after the row's own time",
    "constant": "the same value everywhere",
    "empty": "no value at all",
    "identifier": "a key",
    "personal data": "personal data",
}
# Semantic types that hold nothing a table model can take as it is.
_UNREAD: Final = {
    "URL": "addresses",
    "path": "paths of files",
    "hash": "digests",
    "JSON in text": "JSON to be read first",
    "geometry in text": "geometry to be read first",
    "nested": "lists or records",
    "bytes": "bytes",
    "IP address": "IP addresses",
    "phone": "telephone numbers",
    "e-mail": "e-mail addresses",
}
_NUMBERS: Final = {"number", "latitude", "longitude", "decimal", "duration"}
_NUMBERS_IN_TEXT: Final = {"number in text", "currency in text", "per cent in text"}
_CLEANING: Final = ("inconsistent categories", "stray characters", "damaged text", "placeholder")


@dataclass
class Preparation(Result):
    """How to turn a table into what a model takes.

    Attributes
    ----------
    code : str
        Python that makes ``prepare`` (and ``features`` where something has to be done before).
    transformer : sklearn.compose.ColumnTransformer
        What the code makes.
    features : callable or None
        The function that the code defines; None when the transformer alone is enough.
    groups : list of Group
        What happens to which columns, in the order of the table.
    left_out : dict of str to str
        Columns that aren't used, with the reason.
    checks : list of str
        What a person should look at first.
    """

    code: str
    transformer: Any
    features: Callable[[pd.DataFrame], pd.DataFrame] | None
    groups: list[Group]
    left_out: dict[str, str]
    checks: list[str]
    target: str | None
    task: str = "none"
    label: str = ""
    data_ref: str | None = None

    def fit(self, frame: pd.DataFrame) -> Preparation:
        """Fit the transformer on the labelled rows of a pandas frame.

        Examples
        --------
        >>> import pandas as pd, polars as pl
        >>> from jupyter_mlops.profiling import profile
        >>> df = pd.DataFrame({"x": [1.0, None, 3.0] * 40, "late": [True, False, True] * 40})
        >>> made = prepare(profile(pl.from_pandas(df).lazy(), target="late"))
        >>> made.fit(df).transform(df.head(2)).shape
        (2, 2)
        """
        labelled, labels = self._labelled(frame)
        self.transformer.fit(self._given(labelled), labels)
        return self

    def fit_transform(self, frame: pd.DataFrame) -> Any:
        """Fit on the labelled rows, and prepare these for a model to learn from.

        Not the same as `fit` and then `transform`: here a column encoded by the target is
        encoded out of fold, so that the model can't read the labels off it.
        """
        labelled, labels = self._labelled(frame)
        return self.transformer.fit_transform(self._given(labelled), labels)

    def transform(self, frame: pd.DataFrame) -> Any:
        """Prepare rows; the target isn't needed."""
        return self.transformer.transform(self._given(frame))

    def _labelled(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, Any]:
        if self.target is None or self.task == "none":
            return frame, None
        frame = frame.dropna(subset=[self.target])
        return frame, frame[self.target].astype(float if self.task == "regression" else str)

    def _given(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame if self.features is None else self.features(frame)

    def __repr__(self) -> str:
        used = sum(len(group.columns) for group in self.groups)
        return f"<Preparation of {self.label}: {used} columns, {len(self.left_out)} left out>"


def prepare(profile: Profile) -> Preparation:
    """Write the preparation that a profile suggests, and make its transformer.

    Parameters
    ----------
    profile : Profile
        With a target where there is one: leaks are left out, and columns of many categories
        are encoded by it.

    Returns
    -------
    Preparation

    Raises
    ------
    Invalid
        No column is left that a model could learn from.

    Examples
    --------
    >>> import polars as pl
    >>> from jupyter_mlops.profiling import profile
    >>> made = prepare(profile(pl.LazyFrame({"x": [1.5, 2.5], "k": ["a", "b"]})))
    >>> [group.name for group in made.groups]
    ['numbers', 'categories']
    """
    task = profile.analysis.task if profile.analysis else "none"
    plan = Plan(profile.target is not None and task != "none", task, taken=set(profile.columns))
    found: dict[str, dict[str, Any]] = {name: {} for name in profile.columns}
    checks = []
    for one in profile.advice:
        if one.column in found:
            found[one.column].setdefault(one.finding, one)
        if one.finding in {"leakage", "time leakage", "wrong units", "duplicate rows"} and (
            one.severity == "check"
        ):
            checks.append(f"{one.column}: {one.finding}: {one.evidence}")
    for name, column in profile.columns.items():
        if name == profile.target:
            continue
        reason = _OUT["identifier"] if name == profile.key else _reason(column, found[name])
        if reason:
            plan.left_out[name] = reason
        else:
            _place(name, column, found[name], plan)
    if not plan.groups:
        raise Invalid(
            "no column is left to learn from",
            "; ".join(f"{name}: {why}" for name, why in list(plan.left_out.items())[:5]),
            "look at `%mlops profile` for the reasons, and prepare what you want to keep",
            code="E-PROFILE-060",
        )
    groups = [Group(name, names, reason_of(name, plan)) for name, names in plan.groups.items()]
    code = written(profile.target, plan, groups, checks)
    space: dict[str, Any] = {}
    # Our own text, in which names of columns appear as Python literals only.
    exec(compile(code, "<preparation>", "exec"), space)  # noqa: S102
    return Preparation(
        code,
        space["prepare"],
        space.get("features"),
        groups,
        plan.left_out,
        checks,
        profile.target,
        task,
        profile.label,
        profile.data_ref,
    )


def _reason(column: ColumnProfile, found: dict[str, Any]) -> str:
    """Why a column is left out, or nothing."""
    if "personal data" in found and not column.temporal and column.semantic != "date in text":
        return _OUT["personal data"]
    for finding, why in _OUT.items():
        if finding in found and (found[finding].severity == "likely" or finding in {"constant"}):
            return why
    if "duplicate column" in found:
        return str(found["duplicate column"].evidence.partition(" in all of")[0])
    if column.semantic in _UNREAD:
        return _UNREAD[column.semantic]
    if column.missing_share > _MOSTLY_MISSING:
        return f"missing in {100 * column.missing_share:.1f} % of the rows"
    if column.semantic == "id":
        return _OUT["identifier"]
    return ""


def _place(name: str, column: ColumnProfile, found: dict[str, Any], plan: Plan) -> None:
    """Decide what happens to a column that stays."""
    kind = column.semantic
    for finding in _CLEANING:
        if finding in found and kind not in {"text", "boolean in text"} | _NUMBERS_IN_TEXT:
            plan.lines += _own(found[finding].code)
    if column.infinite:
        plan.lines += _own(found["infinite values"].code)
    if kind in _NUMBERS_IN_TEXT or kind == "date in text":
        plan.lines.append(reading_code(name, kind, column.meaning))
    if kind == "datetime" or kind == "date in text":
        _times(name, column, plan)
    elif kind in _NUMBERS | _NUMBERS_IN_TEXT or (kind == "ordinal" and column.numeric):
        if column.type == "duration":
            plan.lines.append(f"df[{name!r}] = pd.to_timedelta(df[{name!r}]).dt.total_seconds()")
        elif column.type == "decimal":
            plan.lines.append(f"df[{name!r}] = pd.to_numeric(df[{name!r}])")
        tail = "skewed numbers" if "skew" in found else "numbers"
        plan.put("numbers with outliers" if "outliers" in found else tail, name)
    elif kind in {"boolean", "boolean in text"}:
        if kind == "boolean in text":
            plan.lines.append(reading_code(name, kind, column.meaning))
        plan.put("flags", name)
    elif kind == "ordinal":
        mapped = _mapped(found)
        plan.orders[name] = list(dict.fromkeys(mapped.get(v, v) for v in column.meaning["order"]))
        plan.put("ordered categories", name)
    elif kind == "text":
        plan.lines.append(f"df[{name!r}] = df[{name!r}].fillna('').astype(str)")
        plan.put(f"words of {name}", name)
    elif kind == "embedding":
        made = [plan.new(f"{name} {i}") for i in range(column.meaning["size"])]
        plan.lines.append(f"df = df.join(pd.DataFrame(df[{name!r}].tolist(), df.index, {made!r}))")
        plan.put("numbers", *made)
    elif kind == "time":
        plan.lines.append(
            f"df[{name!r}] = pd.to_timedelta(df[{name!r}].astype(str), errors='coerce')"
            ".dt.total_seconds()"
        )
        plan.put("numbers", name)
    else:
        many = column.values.distinct() > ONE_HOT
        plan.put("many categories" if many else "categories", name)


def _times(name: str, column: ColumnProfile, plan: Plan) -> None:
    """Month, weekday and hour, and the year where there are several."""
    source = f"df[{name!r}]"
    if column.semantic == "datetime":
        plan.lines.append(f"{source} = pd.to_datetime({source})")
    parts = ["month", "weekday"]
    day = 86_400.0
    if column.semantic == "datetime" and column.type != "date":
        seconds = [column.quantile(rank / 16) for rank in range(1, 16)]
        if any(value is not None and value % day for value in seconds):
            parts.append("hour")
    elif "%H" in str(column.meaning.get("format", "")) or "ISO" in str(column.meaning):
        parts.append("hour")
    span = (column.high or 0) - (column.low or 0)
    if column.semantic == "datetime" and span > 400 * day:
        parts.insert(0, "year")
    made = {part: plan.new(f"{name} {part}") for part in parts}
    plan.lines += [f"df[{new!r}] = {source}.dt.{part}" for part, new in made.items()]
    plan.put("parts of times", *made.values())


def _own(code: str) -> list[str]:
    """The lines of a piece of advice without its imports, which the code has at its head."""
    return [line for line in code.splitlines() if not line.startswith("import ")]


def _mapped(found: dict[str, Any]) -> dict[str, str]:
    """How spellings are brought together, read back from the advice's own line."""
    import ast

    if "inconsistent categories" not in found:
        return {}
    text = found["inconsistent categories"].code.partition(".replace(")[2].removesuffix(")")
    read: dict[str, str] = ast.literal_eval(text)
    return read
