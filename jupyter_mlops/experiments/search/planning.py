"""What a search is to do, what it asks for, and what it is told."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Final

from jupyter_mlops.workspace import Invalid, closest

__all__ = ["Asked", "Plan", "Told", "seed_of"]

SAMPLERS: Final = ("auto", "random", "tpe", "gp", "cmaes", "nsga2", "nsga3", "grid", "qmc")
PRUNERS: Final = ("none", "median", "percentile", "halving", "hyperband", "patient")


@dataclass(frozen=True)
class Plan:
    """What a search is to do.

    Attributes
    ----------
    goals : tuple of (str, bool)
        Metrics, and whether more of each is better.
    sampler : str
        ``auto``: with one goal, at random for the first max(10, 2 x parameters) trials and then
        by TPE (multivariate, in groups of parameters that occur together, counting running trials
        as bad ones) [1]_ [2]_; with several goals by NSGA-II [3]_.
    pruner : str
        Which trials that report are ended early; for one goal.
    trials : int
        How many to ask for at the most.
    timeout, budget : float or None
        Seconds that pass, and CPU seconds of all trials, after which no more are asked for.
    patience : int or None
        Trials without an improvement after which no more are asked for.
    constraints : tuple of str
        Metrics that have to be <= 0 in a trial worth choosing.
    startup : int or None
        Trials at random before a sampler that learns; see `auto` for the default.

    Raises
    ------
    Invalid
        Names that aren't known, or a sampler or pruner that can't do this.

    References
    ----------
    .. [1] Bergstra et al., Algorithms for Hyper-Parameter Optimization, NeurIPS 2011.
    .. [2] Watanabe, Tree-Structured Parzen Estimator, arXiv:2304.11127, 2023.
    .. [3] Deb et al., A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II, 2002.
    """

    goals: tuple[tuple[str, bool], ...]
    sampler: str = "auto"
    pruner: str = "none"
    trials: int = 20
    timeout: float | None = None
    budget: float | None = None
    patience: int | None = None
    constraints: tuple[str, ...] = ()
    startup: int | None = None

    def __post_init__(self) -> None:
        for what, name, known in (
            ("sampler", self.sampler, SAMPLERS),
            ("pruner", self.pruner, PRUNERS),
        ):
            if name not in known:
                raise Invalid(
                    f"no {what} is called {name!r}",
                    f"there are {', '.join(known)}",
                    closest(name, known),
                    code="E-SEARCH-030",
                )
        if not self.goals:
            raise Invalid("the search has no metric", fix="name one", code="E-SEARCH-031")
        if len(self.goals) > 1 and self.sampler == "cmaes":
            raise Invalid(
                "sampler cmaes improves one metric only",
                fix="use nsga2, or leave the choice to auto",
                code="E-SEARCH-032",
            )
        if len(self.goals) > 1 and self.pruner != "none":
            raise Invalid(
                f"pruner {self.pruner} needs one metric, and there are {len(self.goals)}",
                "a trial bad at one of them may be the best at another",
                "leave the pruner out",
                code="E-SEARCH-033",
            )
        for what, value in (("trials", self.trials), ("patience", self.patience),
                            ("timeout", self.timeout), ("budget", self.budget)):  # fmt: skip
            if value is not None and not value > 0:
                raise Invalid(f"{what} is {value}", fix="write a number above 0",
                              code="E-SEARCH-034")  # fmt: skip
        if self.sampler == "gp" and find_spec("torch") is None:
            raise Invalid(
                "sampler gp needs PyTorch, which isn't installed",
                fix='`pip install "jupyter_mlops[gp]"`, or sampler tpe',
                code="E-SEARCH-035",
            )

    @property
    def learner(self) -> str:
        """The sampler that `auto` stands for."""
        if self.sampler != "auto":
            return self.sampler
        return "tpe" if len(self.goals) == 1 else "nsga2"


@dataclass(frozen=True)
class Asked:
    """A trial to run: `params` are suggested; whatever else it asks for is drawn from `seed`."""

    number: int
    params: dict[str, Any]
    seed: int


@dataclass(frozen=True)
class Told:
    """A trial that ended.

    Attributes
    ----------
    status : str
        ``finished``, ``pruned``, ``failed`` or ``stopped``.
    values : list of float or None
        One for each goal, when the trial has them.
    params, distributions : dict
        As `Suggest` kept them.
    curve : list of [step, value]
    constraints : list of float or None
    """

    number: int
    status: str
    values: list[float] | None = None
    params: dict[str, Any] = field(default_factory=dict)
    distributions: dict[str, dict[str, Any]] = field(default_factory=dict)
    curve: list[list[float]] = field(default_factory=list)
    constraints: list[float] | None = None


def seed_of(seed: int, number: int, purpose: str = "trial") -> int:
    """The seed of a trial: the first 63 bits of SHA-256 of ``purpose:seed:number``.

    Examples
    --------
    >>> seed_of(1, 0) == seed_of(1, 0), seed_of(1, 0) == seed_of(1, 1)
    (True, False)
    """
    digest = hashlib.sha256(f"{purpose}:{seed}:{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
