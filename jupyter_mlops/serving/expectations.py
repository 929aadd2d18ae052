"""The model's contract at the door: each request's rows against the rules of their columns."""

from __future__ import annotations

import json
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from jupyter_mlops.serving.fields import Array
from jupyter_mlops.serving.intake import Rows
from jupyter_mlops.serving.refusals import Refusal, quoted

__all__ = ["FILE", "Expectations", "Mode", "domains"]

FILE: Final = "contract.json"
Mode = Literal["observe", "enforce", "off"]
LOG_SECONDS: Final = 60.0
_TOLD: Final = 50
_NUMBERS: Final = {int, float, type(None)}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rule:
    """One rule of one column.

    Attributes
    ----------
    failing : callable
        From the column's values, shape (n,), to booleans: true where the rule is broken.
    share : float
        Which share of all rows may break it; requests are refused for zero alone.
    expected, found : str
        In words, without anybody's data.
    least, most : float, optional
        Of a rule of bounds that are numbers: what its values lie between.
    terms : str
        What the contract says, by which rules of two contracts are told apart.
    """

    column: str
    name: str
    failing: Callable[[Array], Array]
    share: float
    expected: str
    found: str
    least: float | None = None
    most: float | None = None
    terms: str = ""

    def of(self, values: Array) -> Array:
        """Where the rule is broken; everywhere, where it is about another kind of values."""
        try:
            return self.failing(values)
        except TypeError:
            return np.ones(len(values), dtype=bool)


class Expectations:
    """Counts what breaks the contract that came with the model, and refuses it when enforced.

    A rule that lets a share of rows lie outside says nothing of a single row: it is counted,
    never refused. A rule without exceptions is refused in mode ``enforce``.

    Parameters
    ----------
    contract : mapping
        The content of ``contract.json``.
    mode : {"observe", "enforce", "off"}
    count : callable, optional
        Called with column, rule and how many rows break it.

    Examples
    --------
    >>> terms = {"type": "float", "bounds": {"lo": 0, "max_outside": 0}}
    >>> door = Expectations({"columns": {"km": terms}}, "enforce")
    >>> door.meet(Rows(1, {"km": np.array([-1.0])}))
    Traceback (most recent call last):
        ...
    jupyter_mlops.serving.refusals.Refusal: row 0, column 'km': expected at least 0, found ...
    """

    def __init__(
        self,
        contract: Mapping[str, Any],
        mode: Mode = "observe",
        count: Callable[[str, str, int], None] | None = None,
    ) -> None:
        self.mode = mode
        self.count = count
        absent = contract.get("environments", {}).get("serving", {}).get("absent", {})
        self.rules = [
            replace(rule, terms=json.dumps([column, rule.name, terms.get(rule.name)]))
            for column, terms in contract.get("columns", {}).items()
            if mode != "off" and column not in absent
            for rule in _rules(column, terms)
        ]
        self.rows = 0
        self.broken: Counter[tuple[str, str]] = Counter()
        self._unsaid: Counter[tuple[str, str]] = Counter()
        self._said_at = 0.0
        self._limits: _Limits | None = None

    @classmethod
    def of(cls, folder: Path, mode: Mode, count: Callable[[str, str, int], None]) -> Expectations:
        """Those of the model in a folder; none when no contract came with it."""
        file = folder / FILE
        contract = json.loads(file.read_bytes()) if mode != "off" and file.is_file() else {}
        return cls(contract, mode, count)

    def meet(self, rows: Rows, *, counted: bool = False) -> Rows:
        """Check the rows of a request and give them back; `counted` ones are not counted again.

        Raises
        ------
        Refusal
            In mode ``enforce``, for the first rule without exceptions that a row breaks.
        """
        refusal = None
        self.rows += rows.count
        for rule in () if self._all_keep(rows) else self.rules:
            values = rows.inputs.get(rule.column)
            if values is None:
                continue
            failing = rule.of(values)
            broken = int(np.count_nonzero(failing))
            if not broken:
                continue
            if not counted:
                if self.count is not None:
                    self.count(rule.column, rule.name, broken)
                self.broken[rule.column, rule.name] += broken
                self._unsaid[rule.column, rule.name] += broken
            if self.mode == "enforce" and rule.share == 0 and refusal is None:
                row = int(np.argmax(failing))
                refusal = Refusal(
                    400,
                    "E-SERVE-170",
                    f"row {row}, column {quoted(rule.column)}: expected {rule.expected}, "
                    f"found {rule.found}, which the model's contract rules out",
                )
        if self._unsaid and time.monotonic() - self._said_at > LOG_SECONDS:
            self._say()
        if refusal is not None:
            raise refusal
        return rows

    def _all_keep(self, rows: Rows) -> bool:
        """Whether all rows keep all rules, where one look at all columns tells."""
        if rows.block is None:
            return False
        names = tuple(rows.inputs)
        if self._limits is None or self._limits.names != names:
            self._limits = _Limits(names, self.rules)
        return self._limits.hold(rows.block)

    def told(self) -> dict[str, Any]:
        """As the state file holds it: rows checked, and the rules that some of them broke."""
        shares = {(rule.column, rule.name): rule.share for rule in self.rules}
        return {
            "rows": self.rows,
            "broken": [
                {"column": column, "rule": rule, "rows": rows, "share": shares[column, rule]}
                for (column, rule), rows in self.broken.most_common(_TOLD)
            ],
        }

    def _say(self) -> None:
        """Write down what broke the contract since the last line; values aren't ours to write."""
        # Large requests are checked in threads of their own, which may add meanwhile.
        unsaid, self._unsaid = self._unsaid, Counter()
        self._said_at = time.monotonic()
        told = ", ".join(
            f"{quoted(column)} {rule} {rows:,}" for (column, rule), rows in unsaid.items()
        )
        _log.warning("rows that break the model's contract: %s", told)


class _Limits:
    """Rules of columns of doubles, as far as they can be looked at together.

    Parameters
    ----------
    names : tuple of str
        The columns in their order.
    rules : iterable of Rule
    """

    def __init__(self, names: tuple[str, ...], rules: Iterable[Rule]) -> None:
        self.names = names
        mine = [rule for rule in rules if rule.column in names]
        self.known = all(
            rule.name == "null"
            or (rule.name == "bounds" and not {type(rule.least), type(rule.most)} - _NUMBERS)
            for rule in mine
        )
        self.least = np.full((len(names), 1), -np.inf)
        self.most = np.full((len(names), 1), np.inf)
        for rule in mine if self.known else ():
            place = names.index(rule.column)
            if rule.least is not None:
                self.least[place] = max(self.least[place, 0], rule.least)
            if rule.most is not None:
                self.most[place] = min(self.most[place, 0], rule.most)
        self.bounded = any(rule.name == "bounds" for rule in mine)
        self.whole = [names.index(rule.column) for rule in mine if rule.name == "null"]

    def hold(self, block: Array) -> bool:
        """Whether nothing breaks any rule; False where that can't be told, too.

        Parameters
        ----------
        block : array of float64, shape (columns, n)
        """
        if not self.known or (
            # What is missing compares as false: it is another rule's business.
            self.bounded and bool(((block < self.least) | (block > self.most)).any())
        ):
            return False
        return not (self.whole and bool(np.isnan(block[self.whole]).any()))


def _rules(column: str, terms: Mapping[str, Any]) -> Iterator[Rule]:
    null, bounds, domain = (terms.get(name) for name in ("null", "bounds", "domain"))
    length, pattern = terms.get("length"), terms.get("pattern")
    if terms.get("type") == "integer":
        # A signature takes integers with holes for doubles, which may have fractions.
        yield Rule(column, "type", _broken_off, 0.0, "a whole number", "a number with a fraction")
    if null is not None and null["max_fraction"] < 1:
        yield Rule(column, "null", _missing, null["max_fraction"], "a value", "none")
    if bounds is not None:
        yield _between(column, bounds)
    if domain is not None:
        known = frozenset(domain["values"])
        yield Rule(
            column,
            "domain",
            lambda values: _each(values, lambda one: one not in known),
            domain["max_outside"],
            f"one of the {len(known):,} known values",
            "another",
        )
    if length is not None:
        lo, hi = length.get("lo", 0), length["hi"]
        yield Rule(
            column,
            "length",
            lambda values: _each(values, lambda one: not lo <= len(one) <= hi),
            length["max_outside"],
            f"{lo:,} to {hi:,} characters",
            "more or fewer",
        )
    if pattern is not None:
        regex = re.compile(pattern["regex"])
        yield Rule(
            column,
            "pattern",
            lambda values: _each(values, lambda one: regex.search(one) is None),
            pattern["max_outside"],
            pattern.get("name") or "text of the contract's pattern",
            "other text",
        )


def _between(column: str, bounds: Mapping[str, Any]) -> Rule:
    lo, hi = bounds.get("lo"), bounds.get("hi")
    least, most = _bound(lo), _bound(hi)

    def failing(values: Array) -> Array:
        # What is missing compares as false: it is another rule's business.
        outside = np.zeros(len(values), dtype=bool)
        if least is not None:
            outside |= values < least
        if most is not None:
            outside |= values > most
        return outside

    words = [f"at least {lo}" if lo is not None else "", f"at most {hi}" if hi is not None else ""]
    expected = " and ".join(word for word in words if word)
    return Rule(
        column, "bounds", failing, bounds["max_outside"], expected, "a value outside", least, most
    )


def _bound(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(moment, "us")


def _broken_off(values: Array) -> Array:
    if values.dtype.kind in "iub":
        return np.zeros(len(values), dtype=bool)
    if values.dtype.kind != "f":
        raise TypeError("no numbers")
    broken: Array = np.isfinite(values) & (values != np.floor(values))
    return broken


def _missing(values: Array) -> Array:
    if values.dtype.kind == "f":
        return np.isnan(values)
    if values.dtype.kind == "M":
        return np.isnat(values)
    if values.dtype.kind == "O":
        return np.fromiter((one is None for one in values), dtype=bool, count=len(values))
    return np.zeros(len(values), dtype=bool)


def _each(values: Array, broken: Callable[[Any], bool]) -> Array:
    """Ask of each value that is there, as Python's own kind of value."""
    listed = values.tolist()
    # NaN isn't equal to itself, and no value either.
    found = (one is not None and one == one and broken(one) for one in listed)
    return np.fromiter(found, dtype=bool, count=len(listed))


def domains(folder: Path) -> dict[str, tuple[str, ...]]:
    """The known values of each column that has a list of them in the model's contract."""
    try:
        columns = json.loads((folder / FILE).read_bytes()).get("columns", {})
    except (OSError, ValueError):
        return {}
    return {
        name: tuple(str(one) for one in terms["domain"]["values"])
        for name, terms in columns.items()
        if terms.get("domain")
    }
