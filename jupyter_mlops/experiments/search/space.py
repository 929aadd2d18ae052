"""The space that trials revealed: which parameters were asked for, and with which bounds."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING, Any, Final

from jupyter_mlops.experiments.search.suggesting import fits, shown
from jupyter_mlops.workspace import Invalid

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

__all__ = ["Space", "from_optuna", "grid", "to_optuna"]

#: Points of a grid; each is a trial.
_GRID: Final = 100_000


class Space:
    """Parameters seen so far, by name: bounds as JSON, and as Optuna's objects.

    Trials may ask for different parameters; one parameter has the same bounds in all of them.
    """

    def __init__(self) -> None:
        self.known: dict[str, dict[str, Any]] = {}
        self._optuna: dict[str, BaseDistribution] = {}

    def merge(self, seen: Mapping[str, dict[str, Any]], number: int) -> bool:
        """Take in what a trial asked for; return whether anything of it is new.

        Raises
        ------
        Invalid
            A parameter has other bounds than before; nothing is taken in.
        """
        for name, wanted in seen.items():
            before = self.known.get(name)
            if before is not None and before != wanted:
                raise Invalid(
                    f"trial {number} asks for {name!r} {shown(wanted)}, "
                    f"earlier ones {shown(before)}",
                    "a search needs one range for each parameter",
                    "give the parameter another name where its range differs",
                    code="E-SEARCH-020",
                )
        new = {name: wanted for name, wanted in seen.items() if name not in self.known}
        self.known |= new
        return bool(new)

    def optuna(self) -> dict[str, BaseDistribution]:
        """Return Optuna's distributions, sorted by name: arrival changes nothing."""
        if len(self._optuna) != len(self.known):
            self._optuna = {name: to_optuna(self.known[name]) for name in sorted(self.known)}
        return self._optuna

    def of(self, names: Mapping[str, Any]) -> dict[str, BaseDistribution]:
        """Return Optuna's distributions of these names."""
        everything = self.optuna()
        return {name: everything[name] for name in names}

    def holds(self, params: Mapping[str, Any]) -> bool:
        """Whether all of these are known parameters within their bounds."""
        return all(name in self.known and fits(one, self.known[name])
                   for name, one in params.items())  # fmt: skip


def to_optuna(wanted: Mapping[str, Any]) -> BaseDistribution:
    """Turn bounds into Optuna's object."""
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if wanted["kind"] == "choice":
        return CategoricalDistribution(wanted["options"])
    kind = IntDistribution if wanted["kind"] == "int" else FloatDistribution
    return kind(wanted["low"], wanted["high"], log=wanted["log"], step=wanted["step"])


def from_optuna(distribution: BaseDistribution) -> dict[str, Any]:
    """Turn Optuna's object into bounds; the inverse of `to_optuna`."""
    from optuna.distributions import CategoricalDistribution, IntDistribution

    if isinstance(distribution, CategoricalDistribution):
        return {"kind": "choice", "options": list(distribution.choices)}
    kind = "int" if isinstance(distribution, IntDistribution) else "float"
    told: Any = distribution
    return {"kind": kind, "low": told.low, "high": told.high, "log": told.log, "step": told.step}


def grid(known: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """All points of a space, in an order that depends on the space alone.

    Raises
    ------
    Invalid
        A parameter has no step, or there are too many points.
    """
    names = sorted(known)
    values = [_values(name, known[name]) for name in names]
    size = 1
    for one in values:
        size *= len(one)
    if size > _GRID:
        raise _too_large(size)
    return [dict(zip(names, point, strict=True)) for point in product(*values)]


def _values(name: str, wanted: dict[str, Any]) -> list[Any]:
    if wanted["kind"] == "choice":
        return list(wanted["options"])
    low, high, step = wanted["low"], wanted["high"], wanted["step"]
    if low == high:
        return [low]
    if step is None:
        raise Invalid(
            f"a grid needs a step for parameter {name!r} {shown(wanted)}, or options",
            "there is no end of numbers between",
            f"write suggest.float({name!r}, …, step=…) or suggest.choice({name!r}, […])",
            code="E-SEARCH-022",
        )
    count = round((high - low) / step) + 1
    if count > _GRID:
        raise _too_large(count)
    return [min(low + place * step, high) for place in range(count)]


def _too_large(size: int) -> Invalid:
    return Invalid(
        f"the grid has {size:,} points",
        f"at most {_GRID:,} can be tried",
        "widen the steps, or leave the choice to sampler tpe or random",
        code="E-SEARCH-021",
    )
