"""`suggest`, as a trial's body sees it: values that the search sent, or drawn where it runs."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, TypeAlias

from jupyter_mlops.workspace import Invalid

__all__ = ["Suggest", "draw", "fits", "shown"]

# The methods `float`, `int` and `bool` hide the types of these names within the class.
Real: TypeAlias = float
Whole: TypeAlias = int
Flag: TypeAlias = bool
_PLAIN: Final = (bool, int, float, str)


class Suggest:
    """Parameters, asked for by name in the place where they are used.

    Parameters
    ----------
    params : dict
        What the search suggests. A value is used where the body asks for its name and it lies in
        the bounds; every other name is drawn at random.
    seed : int
        The trial's own. A drawn value depends on (seed, name, bounds) alone, so neither on the
        order of asking nor on the process.
    fixed : bool
        Refuse names that `params` lacks, as when a trial is run again.

    Attributes
    ----------
    params : dict
        What was really asked for, and the values.
    distributions : dict of dict
        Their bounds: ``kind`` (float, int, choice), ``low``, ``high``, ``log``, ``step`` or
        ``options``; plain JSON.

    Examples
    --------
    >>> suggest = Suggest({"lr": 0.01}, seed=1)
    >>> suggest.float("lr", 1e-4, 1e-1, log=True)
    0.01
    >>> suggest.int("depth", 3, 3), suggest.choice("kind", ["tree"])
    (3, 'tree')
    """

    def __init__(self, params: dict[str, Any], seed: Whole, fixed: Flag = False) -> None:
        self.params: dict[str, Any] = {}
        self.distributions: dict[str, dict[str, Any]] = {}
        self._given = params
        self._seed = seed
        self._fixed = fixed

    def float(
        self, name: str, low: Real, high: Real, *, log: Flag = False, step: Real | None = None
    ) -> Real:
        """Ask for a number from low to high, both included.

        Parameters
        ----------
        name : str
        low, high : float
        log : bool
            Spread over magnitudes: as much from 0.001 to 0.01 as from 0.01 to 0.1.
        step : float, optional
            Only low, low + step, low + 2 step, … up to high.

        Raises
        ------
        Invalid
            The bounds make no sense, or the name was asked for with others before.
        """
        low, high = _number(name, "low", low), _number(name, "high", high)
        if step is not None:
            step = _number(name, "step", step)
        _check_bounds(name, low, high, log, step)
        if step is not None:
            # The last step below high, in decimals as they were written; as Optuna does it.
            start, width = Decimal(str(low)), Decimal(str(step))
            high = float(start + (Decimal(str(high)) - start) // width * width)
        value = self._ask(
            name, {"kind": "float", "low": low, "high": high, "log": log, "step": step}
        )
        return value + 0.0  # type: ignore[no-any-return]

    def int(
        self, name: str, low: Whole, high: Whole, *, log: Flag = False, step: Whole | None = None
    ) -> Whole:
        """Ask for a whole number from low to high, both included; see `float`."""
        low, high = _whole(name, "low", low), _whole(name, "high", high)
        width = 1 if step is None else _whole(name, "step", step)
        _check_bounds(name, low, high, log, None if step is None else width)
        high = low + (high - low) // width * width
        return self._ask(  # type: ignore[no-any-return]
            name, {"kind": "int", "low": low, "high": high, "log": log, "step": width}
        )

    def choice(self, name: str, options: Sequence[Any]) -> Any:
        """Ask for one of the options: None, truth values, numbers or strings.

        Raises
        ------
        Invalid
            There are none, one is there twice, or one is of another type.
        """
        return self._ask(name, {"kind": "choice", "options": _options(name, options)})

    categorical = choice

    def bool(self, name: str) -> Flag:
        """Ask for True or False."""
        return self._ask(name, {"kind": "choice", "options": [False, True]})  # type: ignore[no-any-return]

    def _ask(self, name: str, wanted: dict[str, Any]) -> Any:
        if not isinstance(name, str) or not name:
            raise Invalid(
                f"{name!r} is no name of a parameter",
                fix='write suggest.float("lr", 0.001, 0.1)',
                code="E-SEARCH-001",
            )
        before = self.distributions.get(name)
        if before is not None:
            if before != wanted:
                raise Invalid(
                    f"parameter {name!r} is asked for twice in one trial, "
                    f"{shown(before)} and {shown(wanted)}",
                    fix="give each its own name, or the same bounds",
                    code="E-SEARCH-002",
                )
            return self.params[name]
        if name in self._given and fits(self._given[name], wanted):
            value = self._given[name]
            if wanted["kind"] == "float":
                value = value + 0.0
        elif self._fixed:
            raise Invalid(
                f"this trial is run with given parameters, and {name!r} {shown(wanted)} "
                + ("isn't among them" if name not in self._given else
                   f"can't be {self._given[name]!r}"),
                "the cell isn't what it was",
                "begin a new experiment",
                code="E-SEARCH-003",
            )  # fmt: skip
        else:
            value = draw(self._seed, name, wanted)
        self.distributions[name] = wanted
        self.params[name] = value
        return value


def draw(seed: int, name: str, wanted: dict[str, Any]) -> Any:
    """Draw a value at random; the same one for the same seed, name and bounds."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    # `random()` is the one method whose values no Python version changes.
    return at(random.Random(digest).random(), wanted)  # noqa: S311


def at(place: float, wanted: dict[str, Any]) -> Any:
    """The value at a place of the unit interval [0, 1) of a parameter's range."""
    if wanted["kind"] == "choice":
        options = wanted["options"]
        return options[min(int(place * len(options)), len(options) - 1)]
    low, high, step = wanted["low"], wanted["high"], wanted["step"]
    if wanted["kind"] == "int":
        if wanted["log"]:
            ends = math.log(low - 0.5), math.log(high + 0.5)
            return min(max(round(math.exp(ends[0] + place * (ends[1] - ends[0]))), low), high)
        return low + int(place * ((high - low) // step + 1)) * step
    if wanted["log"]:
        ends = math.log(low), math.log(high)
        return min(max(math.exp(ends[0] + place * (ends[1] - ends[0])), low), high)
    if step is not None:
        return min(low + int(place * (round((high - low) / step) + 1)) * step, high)
    # Not low + place * (high - low), which overflows between the largest numbers.
    return min(max(low * (1 - place) + high * place, low), high)


def fits(value: Any, wanted: dict[str, Any]) -> bool:
    """Whether a value lies in a parameter's bounds, and on its steps."""
    if wanted["kind"] == "choice":
        return any(_same(value, option) for option in wanted["options"])
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if wanted["kind"] == "int" and not isinstance(value, int):
        return False
    low, high, step = wanted["low"], wanted["high"], wanted["step"]
    if not low <= value <= high:
        return False
    if step is None or wanted["log"]:
        return True
    steps = (value - low) / step
    return bool(abs(steps - round(steps)) < 1e-8)


def shown(wanted: dict[str, Any]) -> str:
    """Bounds in words, such as ``from 0 to 1``.

    Examples
    --------
    >>> shown({"kind": "int", "low": 1, "high": 9, "log": False, "step": 2})
    'from 1 to 9 in steps of 2'
    """
    if wanted["kind"] == "choice":
        options = [repr(option) for option in wanted["options"]]
        return f"one of {', '.join(options[:8])}{', …' if len(options) > 8 else ''}"
    step = wanted["step"]
    plain = step is None or (wanted["kind"] == "int" and step == 1)
    told = f"from {wanted['low']:g} to {wanted['high']:g}"
    if wanted["kind"] == "int":
        told = f"from {wanted['low']} to {wanted['high']}"
    return told + (" by magnitude" if wanted["log"] else "" if plain else f" in steps of {step:g}")


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(a == b)


def _check_bounds(name: str, low: float, high: float, log: bool, step: float | None) -> None:
    if low > high:
        raise Invalid(
            f"parameter {name!r} can't go from {low:g} to {high:g}",
            "the first bound is above the second",
            "write the lower first",
            code="E-SEARCH-004",
        )
    if log and low <= 0:
        raise Invalid(
            f"parameter {name!r} can't go from {low:g} by magnitude",
            "a logarithm needs numbers above 0",
            "raise the lower bound, or leave out log=True",
            code="E-SEARCH-005",
        )
    if step is not None and step <= 0:
        raise Invalid(f"parameter {name!r} can't go in steps of {step:g}",
                      fix="write a step above 0", code="E-SEARCH-006")  # fmt: skip
    if step is not None and log:
        raise Invalid(f"parameter {name!r} has both log=True and a step",
                      fix="leave one of them out", code="E-SEARCH-011")  # fmt: skip


def _number(name: str, which: str, value: Any) -> float:
    # NumPy's scalars are no plain JSON.
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Invalid(
            f"the {which} of parameter {name!r} is {value!r}, which is no finite number",
            fix="write a number",
            code="E-SEARCH-007",
        )
    return float(value)


def _whole(name: str, which: str, value: Any) -> int:
    number = _number(name, which, value)
    value = value.item() if hasattr(value, "item") else value
    if not isinstance(value, int) and not number.is_integer():
        raise Invalid(
            f"the {which} of parameter {name!r} is {value!r}, which is no whole number",
            fix=f"write a whole number, or suggest.float({name!r}, …)",
            code="E-SEARCH-012",
        )
    return int(value)


def _options(name: str, options: Any) -> list[Any]:
    if isinstance(options, str) or not isinstance(options, Sequence | set | frozenset | range):
        options = options.tolist() if hasattr(options, "tolist") else options
    if isinstance(options, str | bytes | set | frozenset) or not isinstance(options, Sequence):
        raise Invalid(
            f"the options of parameter {name!r} are a {type(options).__name__}",
            fix=f"write a list: suggest.choice({name!r}, [1, 2])",
            code="E-SEARCH-008",
        )
    found = [one.item() if hasattr(one, "item") else one for one in options]
    if not found:
        raise Invalid(f"parameter {name!r} has no options",
                      fix="write at least one", code="E-SEARCH-013")  # fmt: skip
    for place, one in enumerate(found):
        if one is not None and not isinstance(one, _PLAIN):
            raise Invalid(
                f"an option of parameter {name!r} is a {type(one).__name__}",
                "options are recorded, so they are None, truth values, numbers or strings",
                "choose a name or an index, and look the object up by it in the cell",
                code="E-SEARCH-009",
            )
        if isinstance(one, float) and not math.isfinite(one):
            raise Invalid(f"an option of parameter {name!r} is {one}",
                          fix="leave it out", code="E-SEARCH-014")  # fmt: skip
        if one in found[:place]:
            raise Invalid(
                f"parameter {name!r} has an option twice: {one!r}",
                "True equals 1, and 1 equals 1.0",
                "leave one of them out",
                code="E-SEARCH-010",
            )
    return found
