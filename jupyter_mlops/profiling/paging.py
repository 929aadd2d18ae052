"""Parts of a profile: a page of its columns, or one column whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from jupyter_mlops.profiling.columns import ColumnProfile
from jupyter_mlops.profiling.comparing import compare
from jupyter_mlops.profiling.profiles import Profile
from jupyter_mlops.workspace.errors import Invalid, NotFound, closest
from jupyter_mlops.workspace.results import Result

__all__ = ["ORDERS", "ColumnDetail", "ColumnPage", "by_interest", "column", "columns"]

ORDERS: Final = (
    "interest",
    "table", "name", "type", "missing", "distinct", "middle", "top", "strength", "findings",
    "distance",
)  # fmt: skip
_WEIGHTS: Final = {"likely": 1_000_000, "check": 1_000, "note": 1}


@dataclass(frozen=True)
class ColumnPage(Result):
    """Some columns of a profile, and how many there are of the kind.

    Attributes
    ----------
    profile : Profile
    against : Profile or None
    names : list of str
        The columns on this page, in order.
    total : int
        The columns that the search finds.
    distances : dict of str to float
        How differently both profiles' columns are spread.
    """

    profile: Profile
    against: Profile | None
    names: list[str]
    total: int
    distances: dict[str, float]


@dataclass(frozen=True)
class ColumnDetail(Result):
    """One column of a profile, beside the same one of another profile if there is one."""

    profile: Profile
    name: str
    against: Profile | None = None


def columns(
    profile: Profile,
    *,
    search: str = "",
    sort: str = "table",
    descending: bool = False,
    page: int = 1,
    size: int = 20,
    against: Profile | None = None,
) -> ColumnPage:
    """A page of a profile's columns.

    Parameters
    ----------
    profile : Profile
    search : str
        Words that the name, the type or a finding holds, all of them.
    sort : str
        One of `ORDERS`; columns that have no such figure come last. ``interest``: the target,
        then what has findings, then what tells most of the target.
    page, size : int
        From 1 on, and at most 200.
    against : Profile, optional
        Put beside; columns that only one of the two has are left out.

    Examples
    --------
    >>> columns(made, search="delay", sort="missing", descending=True)  # doctest: +SKIP
    """
    if not 1 <= size <= 200 or page < 1:
        raise Invalid(
            f"page {page} of {size} columns can't be shown",
            fix="pages count from 1, and hold 1 to 200 columns",
            code="E-PROFILE-020",
        )
    found: list[str] = []
    texts = _texts(profile)
    words = search.casefold().split()
    for name in profile.columns:
        if against is not None and name not in against.columns:
            continue
        text = texts(name)
        if all(word in text for word in words):
            found.append(name)
    distances: dict[str, float] = {}
    if against is not None:
        distances = compare(profile, against).distances
    ordered = _ordered(profile, found, sort, descending, distances)
    shown = ordered[(page - 1) * size : page * size]
    return ColumnPage(profile, against, shown, len(found), distances)


def column(
    profile: Profile,
    name: str | None,
    *,
    position: int | None = None,
    against: Profile | None = None,
) -> ColumnDetail:
    """One column by its name, or by its place in the table, counted from 0.

    Raises
    ------
    NotFound
        There is none; names the closest.
    Invalid
        Neither a name nor a place is given.
    """
    names = list(profile.columns)
    if position is not None:
        if not 0 <= position < len(names):
            raise NotFound(
                f"there is no column at {position}",
                f"the profile has {len(names):,} columns, counted from 0",
                code="E-PROFILE-021",
            )
        name = names[position]
    if name is None:
        raise Invalid("no column is named", fix="add its name", code="E-PROFILE-022")
    if name not in profile.columns:
        raise NotFound(
            f"there is no column {name!r}",
            fix=closest(name, names),
            code="E-PROFILE-023",
        )
    beside = against if against is not None and name in against.columns else None
    return ColumnDetail(profile, name, beside)


def _texts(profile: Profile) -> Callable[[str], str]:
    findings: dict[str, str] = {}
    for one in profile.advice:
        findings[one.column] = f"{findings.get(one.column, '')} {one.finding}"

    def text(name: str) -> str:
        it = profile.columns[name]
        return f"{name} {it.type} {it.semantic} {findings.get(name, '')}".casefold()

    return text


def by_interest(profile: Profile, names: Iterable[str]) -> list[str]:
    """Columns that want attention first: the target, findings, what tells of the target."""
    rank = {one.column: place for place, one in reversed(list(enumerate(profile.advice)))}
    strength = profile.analysis.strength if profile.analysis is not None else {}
    return sorted(
        names,
        key=lambda name: (
            name != profile.target,
            rank.get(name, len(profile.advice)),
            -strength.get(name, 0.0),
        ),
    )


def _ordered(
    profile: Profile, names: list[str], sort: str, descending: bool, distances: dict[str, float]
) -> list[str]:
    if sort == "table":
        return names[::-1] if descending else names
    if sort == "interest":
        return by_interest(profile, names)
    if sort not in ORDERS:
        raise Invalid(
            f"columns can't be sorted by {sort!r}",
            fix=closest(sort, ORDERS) or f"sort by one of {', '.join(ORDERS)}",
            code="E-PROFILE-024",
        )
    weights: dict[str, int] = {}
    for one in profile.advice:
        weights[one.column] = weights.get(one.column, 0) + _WEIGHTS.get(one.severity, 1)
    strength = profile.analysis.strength if profile.analysis is not None else {}
    figures: dict[str, Callable[[ColumnProfile], Any]] = {
        "name": lambda it: it.name.casefold(),
        "type": lambda it: (it.semantic or it.type).casefold(),
        "missing": lambda it: it.missing_share,
        "distinct": lambda it: it.distinct,
        "middle": lambda it: it.quantile(0.5),
        "top": _most,
        "strength": lambda it: strength.get(it.name),
        "findings": lambda it: weights.get(it.name),
        "distance": lambda it: distances.get(it.name, 1.0),
    }
    figure = {name: figures[sort](profile.columns[name]) for name in names}
    known = [name for name in names if figure[name] is not None]
    known.sort(key=lambda name: figure[name], reverse=descending)
    return known + [name for name in names if figure[name] is None]


def _most(it: ColumnProfile) -> float | None:
    top = it.values.top(1)
    return top[0][1] / it.present if top and it.present else None
