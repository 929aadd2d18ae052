"""Texts: values kept as text, many or rare categories, free text, nested values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from jupyter_mlops.profiling.advice.case import Case
from jupyter_mlops.profiling.advice.finding import Advice, drop, percent, transform
from jupyter_mlops.profiling.columns import ColumnProfile
from jupyter_mlops.profiling.written import reading_code

__all__ = ["MANY_CATEGORIES", "worded"]

#: More categories than scikit-learn's histogram trees take, and than one-hot bears.
MANY_CATEGORIES: Final = 255
_RARE_SHARE: Final = 0.005
_RARE_ROWS: Final = 10
_SAYS: Final = {
    "date in text": "dates",
    "number in text": "numbers",
    "currency in text": "amounts of money",
    "per cent in text": "percentages",
    "boolean in text": "yes and no",
}


def worded(case: Case, name: str) -> Iterator[Advice]:
    """What a column of texts or lists needs before a model takes it."""
    column = case.columns[name]
    distinct = column.values.distinct()
    if column.semantic == "category" and distinct > MANY_CATEGORIES:
        yield Advice(
            name,
            "high cardinality",
            "check",
            f"{'' if column.values.exact else 'about '}{distinct:,} categories, more than "
            f"histogram trees ({MANY_CATEGORIES}) or one-hot columns bear",
            "encode it by the target's mean, learnt out of fold",
            transform("sklearn.preprocessing", "TargetEncoder", "TargetEncoder()", name),
        )
    elif column.semantic == "category":
        yield from _rare(name, column)
    elif column.semantic in _SAYS:
        yield _in_text(name, column)
    elif column.semantic == "text":
        yield Advice(
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
    elif column.semantic in {"nested", "embedding"}:
        yield _nested(name, column)


def _rare(name: str, column: ColumnProfile) -> Iterator[Advice]:
    counts = column.values.counts
    if not column.values.exact or len(counts) < 4 or column.present < 200:
        return
    bar = max(_RARE_ROWS, int(_RARE_SHARE * column.present))
    rare = [count for count in counts.values() if count < bar]
    if len(rare) < 3 or sum(rare) > 0.3 * column.present:
        return
    yield Advice(
        name,
        "rare categories",
        "note",
        f"{len(rare):,} of {len(counts):,} categories have fewer than {bar:,} rows each, "
        f"{percent(sum(rare) / column.present)} of all",
        "take the rare ones together, so that new ones fit in as well",
        transform(
            "sklearn.preprocessing",
            "OneHotEncoder",
            f"OneHotEncoder(min_frequency={bar}, handle_unknown='infrequent_if_exist', "
            "sparse_output=False)",
            name,
        ),
    )


def _in_text(name: str, column: ColumnProfile) -> Advice:
    detail = column.meaning
    example = str(next(iter(column.values.counts), ""))[:30]
    evidence = f"values such as {example!r} are {_SAYS[column.semantic]} kept as text"
    share = detail.get("share")
    if share is not None and detail.get("tested", 0) > 20:
        evidence += f" ({percent(share)} of {detail['tested']:,} different ones)"
    finding = column.semantic
    if finding == "date in text":
        action = "read it as dates"
        if "or" in detail:
            evidence += f"; {detail['format']} and {detail['or']} both read all of them"
            action = "find out which is the day and which the month, then read it as dates"
        elif detail["format"] == "mixed":
            formats = " and ".join(detail["formats"][:3])
            evidence += f"; they are written in several ways: {formats}"
    elif finding == "boolean in text":
        action = "read it as true and false"
    else:
        finding = "number in text"
        mark = "comma" if detail.get("decimal") == "," else "point"
        action = f"read it as numbers with a decimal {mark}"
        if detail.get("unsure"):
            evidence += "; a lone mark before three digits may be a decimal or a thousands mark"
        if unit := detail.get("unit"):
            evidence += f"; in {unit}"
    code = "import pandas as pd\n" + reading_code(name, column.semantic, detail)
    return Advice(name, finding, "check", evidence, action, code)


def _nested(name: str, column: ColumnProfile) -> Advice:
    if column.semantic == "embedding":
        size = column.meaning["size"]
        return Advice(
            name,
            "nested",
            "note",
            f"each value is a vector of {size:,} numbers",
            "give each number a column of its own",
            "import pandas as pd\n"
            f"parts = pd.DataFrame(df[{name!r}].tolist(), index=df.index)"
            f".add_prefix({name + ' '!r})\n"
            f"df = df.drop(columns=[{name!r}]).join(parts)",
        )
    return Advice(
        name,
        "nested",
        "check",
        f"each value is a {column.type}",
        "take the parts you need into columns of their own",
        drop(name),
    )
