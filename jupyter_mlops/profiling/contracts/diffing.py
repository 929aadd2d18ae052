"""What changed between two contracts, rule by rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jupyter_mlops.profiling.contracts.model import Contract
from jupyter_mlops.workspace.results import Result

__all__ = ["Change", "ContractDiff", "diff"]


@dataclass(frozen=True)
class Change:
    """A rule that says something else.

    Attributes
    ----------
    column : str
        Empty for a rule of the whole table.
    rule : str
    before, after : str
        Empty where there is no such rule.
    looser : bool or None
        Whether more tables keep it now; None where that can't be told.
    """

    column: str
    rule: str
    before: str
    after: str
    looser: bool | None = None


@dataclass(frozen=True)
class ContractDiff(Result):
    """The rules in which two contracts differ, in the order of the columns."""

    a: Contract
    b: Contract
    changes: list[Change]


def diff(a: Contract, b: Contract) -> ContractDiff:
    """Compare two contracts; where a rule came from is no difference.

    Examples
    --------
    >>> [(one.column, one.rule) for one in diff(old, new).changes]  # doctest: +SKIP
    [('income', 'null')]
    """
    return ContractDiff(a, b, list(_changes(a.content(), b.content())))


def _changes(a: dict[str, Any], b: dict[str, Any]) -> Iterator[Change]:
    for rule in ("rows", "keys", "freshness", "extra", "environments"):
        before, after = _plain(a.get(rule)), _plain(b.get(rule))
        if before != after:
            yield Change("", rule, _text(before), _text(after))
    names = [*a["columns"], *(name for name in b["columns"] if name not in a["columns"])]
    for name in names:
        old, new = a["columns"].get(name), b["columns"].get(name)
        if old is None or new is None:
            yield Change(
                name,
                "column",
                _text(old and old["type"]),
                _text(new and new["type"]),
                looser=new is None,
            )
            continue
        for rule in dict.fromkeys([*old, *new]):
            before, after = _plain(old.get(rule)), _plain(new.get(rule))
            if rule != "from" and before != after:
                yield Change(name, rule, _text(before), _text(after), _looser(before, after))


def _plain(rule: Any) -> Any:
    """A rule without what doesn't bind: where it came from and what was observed."""
    if isinstance(rule, dict):
        dropped = ("from", "observed", "edges")
        return {key: _plain(one) for key, one in rule.items() if key not in dropped}
    return [_plain(one) for one in rule] if isinstance(rule, list) else rule


def _looser(before: Any, after: Any) -> bool | None:
    if after is None or before is None:
        return after is None
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return None
    signs: set[bool | None] = set()
    for key in {*before, *after}:
        x, y = before.get(key), after.get(key)
        if x == y:
            continue
        if isinstance(x, list) and isinstance(y, list):
            signs.add(True if set(x) <= set(y) else False if set(x) >= set(y) else None)
        elif isinstance(x, int | float) and isinstance(y, int | float):
            signs.add(y < x if key == "lo" else y > x)
        else:
            signs.add(None)
    return signs.pop() if len(signs) == 1 else None


def _text(rule: Any) -> str:
    if rule is None:
        return ""
    if isinstance(rule, dict):
        return ", ".join(f"{key} {_text(one)}".strip() for key, one in rule.items())
    if isinstance(rule, list):
        shown = ", ".join(_text(one) for one in rule[:8])
        return shown + (f" and {len(rule) - 8} more" if len(rule) > 8 else "")
    return str(rule)
