"""The text of a preparation: imports, ``features`` and one ColumnTransformer."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["Group", "Plan", "reason_of", "written"]

#: Words kept of a text.
WORDS: Final = 300

_IMPORTS: Final = {
    "ColumnTransformer": "sklearn.compose",
    "TfidfVectorizer": "sklearn.feature_extraction.text",
    "SimpleImputer": "sklearn.impute",
    "KFold": "sklearn.model_selection",
    "StratifiedKFold": "sklearn.model_selection",
    "make_pipeline": "sklearn.pipeline",
    "OneHotEncoder": "sklearn.preprocessing",
    "OrdinalEncoder": "sklearn.preprocessing",
    "PowerTransformer": "sklearn.preprocessing",
    "RobustScaler": "sklearn.preprocessing",
    "StandardScaler": "sklearn.preprocessing",
    "TargetEncoder": "sklearn.preprocessing",
}
_MEDIAN: Final = "SimpleImputer(strategy='median', add_indicator=True)"
_ONE_HOT: Final = (
    "OneHotEncoder(\n    {}, handle_unknown='infrequent_if_exist', sparse_output=False\n)"
)
_MAKERS: Final = {
    "numbers": f"make_pipeline({_MEDIAN}, StandardScaler())",
    "skewed numbers": f"make_pipeline({_MEDIAN}, PowerTransformer())",
    "numbers with outliers": f"make_pipeline({_MEDIAN}, RobustScaler())",
    "parts of times": "make_pipeline(SimpleImputer(strategy='most_frequent'), StandardScaler())",
    "flags": (
        "OrdinalEncoder(\n    handle_unknown='use_encoded_value', unknown_value=-1, "
        "encoded_missing_value=-1\n)"
    ),
    "categories": _ONE_HOT.format("min_frequency=0.005"),
    "many categories": _ONE_HOT.format("max_categories=30"),
}
_WHY: Final = {
    "numbers": "gaps become the median and a flag of their own, then one scale for all",
    "skewed numbers": "a long tail is drawn in, so that linear models see the rest",
    "numbers with outliers": "scaled by the quartiles, which far values don't move",
    "parts of times": "made by features() above",
    "flags": "0 and 1, and -1 where there is none",
    "ordered categories": "ranks from low to high, and -1 for anything else",
    "categories": "one column each; those below 0.5 % of the rows, and new ones, share one",
    "many categories": "the 30 most frequent get a column each, the others share one",
}


@dataclass(frozen=True)
class Group:
    """Columns that are prepared alike."""

    name: str
    columns: list[str]
    why: str


@dataclass
class Plan:
    """What is decided column by column."""

    target: bool
    task: str
    groups: dict[str, list[str]] = field(default_factory=dict)
    orders: dict[str, list[Any]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def new(self, name: str) -> str:
        """A name for a column that `features` makes, which none in the table has."""
        while name in self.taken:
            name += "′"
        self.taken.add(name)
        return name

    def put(self, group: str, *names: str) -> None:
        """Let columns be prepared as a group is."""
        self.groups.setdefault(group, []).extend(names)


def reason_of(name: str, plan: Plan) -> str:
    """Why the columns of a group are prepared like that."""
    if name == "many categories" and plan.target:
        return "each becomes the target's mean, learnt out of fold"
    if name.startswith("words of "):
        return f"the {WORDS} most telling words, by how often they occur"
    return _WHY[name]


def _maker(group: Group, plan: Plan) -> str:
    if group.name == "many categories" and plan.target:
        return _target_encoder(plan.task)
    if group.name.startswith("words of "):
        return f"TfidfVectorizer(max_features={WORDS})"
    if group.name == "ordered categories":
        orders = "".join(f"        {plan.orders[name]!r},\n" for name in group.columns)
        return (
            f"OrdinalEncoder(\n    categories=[\n{orders}    ],\n"
            "    handle_unknown='use_encoded_value',\n    unknown_value=-1,\n)"
        )
    return _MAKERS[group.name]


def _target_encoder(task: str) -> str:
    """The encoder with folds that are the same each time; scikit-learn 1.9 changed their name."""
    import sklearn

    kind = {"regression": "continuous"}.get(task, task)
    folds = "KFold" if task == "regression" else "StratifiedKFold"
    if tuple(int(part) for part in sklearn.__version__.split(".")[:2]) < (1, 9):
        return f"TargetEncoder(target_type={kind!r}, random_state=0)"
    cv = f"{folds}(n_splits=5, shuffle=True, random_state=0)"
    return f"TargetEncoder(\n    target_type={kind!r}, cv={cv}\n)"


def _step(name: str, group: Group, plan: Plan) -> str:
    """One entry of the transformer's list, as a formatter would write it."""
    many = repr(group.columns)
    if len(many) > 84:
        many = "[\n" + "".join(f"    {name!r},\n" for name in group.columns) + "]"
    if group.name.startswith("words of "):
        # TF-IDF takes one column of texts, not a table of one column.
        many = repr(group.columns[0])
    parts = f"{name!r},\n{_maker(group, plan)},\n{many},"
    entry = f"(\n{textwrap.indent(parts, '    ')}\n),"
    return textwrap.indent(f"# {_one_line(group.name)}: {group.why}\n{entry}", " " * 8)


def written(target: str | None, plan: Plan, groups: list[Group], checks: list[str]) -> str:
    """Write the preparation.

    Parameters
    ----------
    target : str or None
        The column to predict.
    plan : Plan
    groups : list of Group
        In the order in which they shall appear.
    checks : list of str
        What a person should look at first, as comments.

    Returns
    -------
    str
        Python that binds ``prepare``, and ``features`` where something has to be done before.
    """
    steps: dict[str, str] = {}
    for group in groups:
        # Scikit-learn keeps two underscores for itself, and wants each name once.
        name = re.sub(r"_{2,}", "_", group.name)
        while name in steps:
            name += "′"
        steps[name] = _step(name, group, plan)
    body = "\n".join(steps.values())
    used = [
        name for name in _IMPORTS if re.search(rf"\b{name}\(", body) or name == "ColumnTransformer"
    ]
    modules: dict[str, list[str]] = {}
    for name in used:
        modules.setdefault(_IMPORTS[name], []).append(name)
    lines = ["import pandas as pd"] if plan.lines else []
    lines += [f"from {module} import {', '.join(sorted(n))}" for module, n in modules.items()]
    lines.append("")
    lines += [f"# To check: {_one_line(text)[:160]}" for text in checks[:10]]
    lines += [f"# Left out: {_one_line(n)!r}, {_one_line(w)}" for n, w in plan.left_out.items()]
    if plan.lines:
        lines += [
            "",
            "",
            "def features(df):",
            '    """What no transformer does; no part of the model: call it before that."""',
            "    df = df.copy()",
            *(f"    {line}" for line in plan.lines),
            "    return df",
            "",
        ]
    lines += ["", "prepare = ColumnTransformer(", "    [", body, "    ],"]
    lines += ["    remainder='drop',", ")"]
    given = "features(df)" if plan.lines else "df"
    labels = f", df[{target!r}]" if plan.target else ""
    lines += ["", f"# X = prepare.fit_transform({given}{labels})", ""]
    return "\n".join(lines)


def _one_line(text: str) -> str:
    """A text that stays within a comment, whatever a column is called."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
