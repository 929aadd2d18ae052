"""Choosing trials by a condition that a person writes: ``lr < 0.1 and status = finished``.

The condition is SQL's, read by polars, over columns that exist only here. Words that may stand
in it are counted out beforehand, so that nothing but a comparison gets through.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from jupyter_mlops.experiments.studies import Trial
from jupyter_mlops.workspace import Invalid, closest

if TYPE_CHECKING:
    import polars as pl

__all__ = ["FIXED", "Columns", "choose", "value_of"]

#: What every trial has, whatever its parameters and metrics are called.
FIXED: Final = ("number", "status", "seconds", "attempts", "worker", "error")
_WORDS: Final = {"and", "or", "not", "in", "is", "null", "between", "like", "ilike"}
#: After these a word that names no column is a text.
_BEFORE_TEXT: Final = {"=", "<>", "!=", "like", "ilike"}
_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<text>'(?:[^']|'')*')|(?P<name>"(?:[^"]|"")*"|[^\W\d][\w.]*)
    |(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<sign><=|>=|<>|!=|==|[<>=(),-]))""",
    re.VERBOSE,
)
_LONGEST: Final = 1000


class Columns:
    """What trials can be ordered and chosen by, under the names that people write.

    A metric goes before a parameter of the same name, which is ``params.lr`` then.

    Parameters
    ----------
    trials : sequence of Trial
    """

    def __init__(self, trials: Sequence[Trial]) -> None:
        metrics: dict[str, Any] = {}
        params: dict[str, Any] = {}
        for one in trials:
            metrics.update(one.metrics)
            params.update(one.params)
        self.metrics, self.params = tuple(metrics), tuple(params)
        self.homes: dict[str, tuple[str, str]] = {name: ("", name) for name in FIXED}
        for home, names in (("metrics", self.metrics), ("params", self.params)):
            for name in names:
                self.homes[f"{home}.{name}"] = (home, name)
                self.homes.setdefault(name, (home, name))

    def find(self, name: str) -> tuple[str, str]:
        """Where a column is.

        Raises
        ------
        Invalid
            There is none of that name.
        """
        if name not in self.homes:
            raise Invalid(
                f"trials have no {name!r}",
                fix=closest(name, self.homes) or f"they have {', '.join(self._plain())}",
                code="E-TRIALS-001",
            )
        return self.homes[name]

    def _plain(self) -> list[str]:
        return [name for name in self.homes if "." not in name][:20]


def value_of(trial: Trial, home: tuple[str, str]) -> Any:
    """What a trial has in a column; None where it has nothing."""
    place, name = home
    if place:
        found: Mapping[str, Any] = getattr(trial, place)
        return found.get(name)
    return getattr(trial, name)


def choose(trials: Sequence[Trial], where: str, columns: Columns) -> list[Trial]:
    """The trials for which a condition holds.

    Parameters
    ----------
    trials : sequence of Trial
    where : str
        Comparisons joined by ``and``, ``or`` and ``not``; a word that names no column is a
        text, so that ``status = finished`` needs no quotes.

    Raises
    ------
    Invalid
        It can't be read, names what no trial has, or compares numbers with words.
    """
    if not where.strip():
        return list(trials)
    import polars as pl

    sql, used = _translated(where, columns)
    frame = pl.DataFrame(
        {place: _series(place, (value_of(one, columns.homes[name]) for one in trials))
         for name, place in used.items()}
        or {"c": [True] * len(trials)}
    )  # fmt: skip
    try:
        mask = frame.select(pl.sql_expr(sql).alias("kept"))["kept"]
    except pl.exceptions.PolarsError as error:
        names = {place: name for name, place in used.items()}
        told = str(error).partition("This error occurred")[0].partition("\n")[0]
        told = re.sub(r"\bc\d+\b", lambda found: names.get(found[0], found[0]), told)
        raise _unfit(where, told.replace(" as Expr", "")) from None
    if mask.dtype != pl.Boolean:
        raise _unfit(where, "it is no condition")
    if len(mask) == 1:
        mask = mask.new_from_index(0, len(trials))
    return [one for one, kept in zip(trials, mask, strict=True) if kept]


def _translated(where: str, columns: Columns) -> tuple[str, dict[str, str]]:
    """The condition over columns called ``c0``, ``c1``, …, and the column each of them is."""
    if len(where) > _LONGEST:
        raise _unfit(where, f"it is longer than {_LONGEST:,} characters")
    used: dict[str, str] = {}
    words: list[str] = []
    at, end = 0, len(where.rstrip())
    listing = False
    while at < end:
        found = _TOKEN.match(where, at)
        if found is None:
            raise _unfit(where, f"{where[at:].split()[0]!r} means nothing here")
        at = found.end()
        last = words[-1].lower() if words else ""
        name = found["name"]
        if name is None:
            sign = found[0].strip()
            listing = sign != ")" and (listing or (sign == "(" and last == "in"))
            words.append("=" if sign == "==" else sign)
            continue
        plain = name[1:-1].replace('""', '"') if name.startswith('"') else name
        if name.lower() in _WORDS:
            words.append(name)
        elif plain in columns.homes:
            words.append(used.setdefault(plain, f"c{len(used)}"))
        elif listing or last in _BEFORE_TEXT:
            written = {"true": "True", "false": "False", "none": "None"}.get(plain.lower(), plain)
            words.append("'" + written.replace("'", "''") + "'")
        else:
            columns.find(plain)
    # In brackets: a word at the end would be taken for the condition's name.
    return f"({' '.join(words)})", used


def _series(name: str, values: Iterable[Any]) -> pl.Series:
    """Numbers where all are numbers; else texts, as people write them."""
    import polars as pl

    listed = list(values)
    known = [one for one in listed if one is not None]
    if all(isinstance(one, int | float) and not isinstance(one, bool) for one in known):
        return pl.Series(name, listed, dtype=pl.Float64, strict=False)
    return pl.Series(name, [None if one is None else str(one) for one in listed], dtype=pl.String)


def _unfit(where: str, why: str) -> Invalid:
    shown = where if len(where) <= 80 else where[:79] + "…"
    return Invalid(
        f"trials can't be chosen by {shown!r}",
        " ".join(why.split())[:200],
        "write for example lr < 0.1 and status = finished",
        code="E-TRIALS-002",
    )
