"""A search in memory: it asks for trials, is told of them, and knows when to stop."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from jupyter_mlops.experiments.search.planning import Asked, Plan, Told, seed_of
from jupyter_mlops.experiments.search.sampling import LEARNING, quiet, sampler, sobol
from jupyter_mlops.experiments.search.space import Space, grid
from jupyter_mlops.experiments.search.standing import Standing
from jupyter_mlops.experiments.search.studying import Study
from jupyter_mlops.workspace import Invalid

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

__all__ = ["Search"]

#: Samplers that need the whole space before their first point.
_WHOLE: Final = ("grid", "qmc")


class Search:
    """Which parameters to try next.

    Each suggestion depends on the seed, the trial's number and what was told before. Random,
    grid and qmc need no more than the first trial's space, so they give the same parameters
    whatever the order of arrival, and after `restore`.

    Parameters
    ----------
    plan : Plan
    seed : int
        The experiment's. Trial n has the seed `planning.seed_of(seed, n)`.

    Attributes
    ----------
    warm : tuple of int
        Earlier trials taken in by `warm_start`, and those still left out as their parameters
        aren't known here or lie outside of the bounds.
    why_no_importance : str
        Why `importance` gave None.

    Examples
    --------
    >>> search = Search(Plan(goals=(("loss", False),), sampler="random", trials=8), seed=1)
    >>> asked = search.ask()
    >>> suggest = Suggest(asked.params, asked.seed)
    >>> loss = (suggest.float("x", -1, 1) - 0.5) ** 2
    >>> search.tell(asked.number, "finished", [loss], suggest.params, suggest.distributions)
    """

    def __init__(self, plan: Plan, seed: int) -> None:
        self.plan = plan
        self.seed = seed
        self.space = Space()
        self.why_no_importance = ""
        self._study = Study(plan, seed)
        self._standing = Standing(tuple(more for _, more in plan.goals))
        self._running: dict[int, dict[str, Any]] = {}
        self._next = 0
        self._queue: deque[dict[str, Any]] = deque()
        self._pending: list[Told] = []
        self._taken_in = 0
        #: The first trial's space, which grid and qmc go by; and the points of a grid to come.
        self._first: dict[str, dict[str, Any]] = {}
        self._points: deque[dict[str, Any]] | None = None

    @property
    def warm(self) -> tuple[int, int]:
        """How many earlier trials were taken in, and how many are left out."""
        return self._taken_in, len(self._pending)

    def ask(self) -> Asked | None:
        """Ask for the next trial.

        Returns
        -------
        Asked or None
            None while grid or qmc wait for their first trial, which reveals the space, and when
            nothing is left of a grid.
        """
        number = self._next
        params = self._suggested(number)
        if params is None:
            return None
        if self._queue:
            params = params | self._queue.popleft()
            # A point of a grid that is tried so needn't be tried again.
            self._points = None
        self._next += 1
        self._running[number] = params
        self._study.expect(number, self.space, params)
        return Asked(number, params, seed_of(self.seed, number))

    def _suggested(self, number: int) -> dict[str, Any] | None:
        kind = self.plan.learner
        if kind in _WHOLE:
            if not self._first:
                # Alone, so that the space doesn't depend on who comes first.
                return None if self._running else {}
            if kind == "qmc":
                return sobol(self._first, self.seed, number)
            points = self._grid()
            if self._queue:
                return {}
            return points.popleft() if points else None
        if kind not in LEARNING or not self.space.known or self._study.ended < self._startup:
            return {}
        return self._study.suggest(number, self.space, self._sampler(number))

    def _sampler(self, number: int) -> BaseSampler:
        seed = seed_of(self.seed, number, "sampler")
        return sampler(self.plan, seed, self._startup, self._study.optuna.sampler)

    @property
    def _startup(self) -> int:
        if self.plan.startup is not None:
            return self.plan.startup
        if self.plan.learner in {"nsga2", "nsga3"}:
            return 1  # its first generation is drawn at random anyway
        return max(10, 2 * len(self.space.known))

    def _grid(self) -> deque[dict[str, Any]]:
        """The points that no trial has tried or is trying, in the grid's order."""
        if self._points is None:
            tried = {_key(params) for params in self._running.values()}
            tried |= {_key(one.params) for one in self._study.told.values()}
            self._points = deque(one for one in grid(self._first) if _key(one) not in tried)
        return self._points

    def enqueue(self, params: Mapping[str, Any]) -> None:
        """Have these parameters tried next; what is left out is suggested as for any other trial.

        Raises
        ------
        Invalid
            A known parameter can't have that value.
        """
        from jupyter_mlops.experiments.search.suggesting import fits, shown

        for name, value in params.items():
            wanted = self.space.known.get(name)
            if wanted is not None and not fits(value, wanted):
                raise Invalid(
                    f"{name!r} can't be {value!r}",
                    f"trials ask for it {shown(wanted)}",
                    "enqueue a value within",
                    code="E-SEARCH-040",
                )
        self._queue.append(dict(params))

    def tell(
        self,
        number: int,
        status: str,
        values: Sequence[float] | None = None,
        params: Mapping[str, Any] | None = None,
        distributions: Mapping[str, dict[str, Any]] | None = None,
        curve: Sequence[Sequence[float]] = (),
        constraints: Sequence[float] | None = None,
    ) -> None:
        """Tell of a trial that ended.

        Parameters
        ----------
        number : int
        status : str
            ``finished``, ``pruned``, ``failed`` or ``stopped``.
        values : sequence of float, shape (goals,), optional
            A finished trial without them, or with one that is no finite number, has failed.
        params, distributions : mapping
            What it really asked for: `Suggest.params` and `Suggest.distributions`.
        curve : sequence of (step, value)
            What it reported.
        constraints : sequence of float, optional
            <= 0 where they hold.

        Raises
        ------
        Invalid
            A parameter has other bounds than in earlier trials, or can't be on a grid; the trial
            counts as failed.
        """
        if self._running.pop(number, None) is None and number in self._study.told:
            return  # told before
        self._next = max(self._next, number + 1)
        told = Told(
            number,
            status,
            None if values is None else [float(one) for one in values],
            dict(params or {}),
            dict(distributions or {}),
            [list(one) for one in curve],
            None if constraints is None else [float(one) for one in constraints],
        )
        if status == "finished" and not _usable(told, len(self.plan.goals)):
            told = _as(told, "failed")
        try:
            self._learn(told)
        except Invalid:
            self._study.tell(_as(told, "failed", bare=True), self.space)
            self._standing.tell(_as(told, "failed"))
            raise
        self._study.tell(told, self.space)
        self._standing.tell(told)

    def _learn(self, told: Told) -> None:
        """Take in a trial's space."""
        new = self.space.merge(told.distributions, told.number)
        if self.plan.learner in _WHOLE and told.distributions:
            if not self._first:
                self._first = dict(told.distributions)
            if self.plan.learner == "grid":
                grid(self._first)  # whether there is one
                self._check_grid(told)
        if new and self._pending:
            self._take_in()

    def _check_grid(self, told: Told) -> None:
        others = sorted(told.distributions.keys() ^ self._first.keys())
        if others and told.status in {"finished", "pruned"}:
            raise Invalid(
                f"trial {told.number} asks for other parameters than the first: {others[0]!r}",
                "a grid is made of parameters that each trial asks for",
                "ask for it before any `if`, or use sampler tpe",
                code="E-SEARCH-041",
            )

    def should_prune(self, number: int, step: int, value: float) -> bool:
        """Whether to end a running trial that reports a value of the (only) goal."""
        if self.plan.pruner == "none" or number not in self._running:
            return False
        return self._study.should_prune(number, int(step), float(value))

    def warm_start(self, earlier: Iterable[Told]) -> list[str]:
        """Learn from another experiment's trials.

        They are taken in as soon as trials of this one have asked for all their parameters, with
        bounds that hold their values; until then, and otherwise, they are left out (`warm`).

        Returns
        -------
        list of str
            Sentences on trials that can't be used at all.
        """
        given = list(earlier)
        usable = [
            one
            for one in given
            if one.status == "finished" and one.params and _usable(one, len(self.plan.goals))
        ]
        self._pending += usable
        self._take_in()
        left = len(given) - len(usable)
        if not left:
            return []
        names = ", ".join(name for name, _ in self.plan.goals)
        return [f"{left} of {len(given)} earlier trials lack {names} or parameters; "
                "the search doesn't learn from them."]  # fmt: skip

    def _take_in(self) -> None:
        left = []
        for one in self._pending:
            if self.space.known and self.space.holds(one.params):
                self._study.add(one, self.space)
                self._taken_in += 1
            else:
                left.append(one)
        self._pending = left

    def restore(
        self, told: Iterable[Told], running: Mapping[int, Mapping[str, Any]] | None = None
    ) -> None:
        """Go on with a search that was interrupted.

        Parameters
        ----------
        told : iterable of Told
            Its trials that ended.
        running : mapping of int to dict, optional
            Numbers and parameters of those that will be run again.
        """
        ended = {one.number: one for one in told}
        begun = {number: dict(params) for number, params in (running or {}).items()}
        last = max([*ended, *begun], default=-1)
        for number in range(last + 1):
            self._next = number + 1
            one = ended.get(number)
            params = begun.get(number, {}) if one is None else one.params
            if one is None:
                self._running[number] = params
            remembers = self.plan.learner in {"cmaes", "nsga2", "nsga3"}
            if remembers and self.space.known and self._study.ended >= self._startup:
                # Generations are remembered by what is done when a trial is asked for.
                self._study.suggest(number, self.space, self._sampler(number))
            self._study.expect(number, self.space, params)
            if one is not None and self.plan.pruner in {"halving", "hyperband"}:
                # How far a trial came among the others is remembered as it reports.
                for step, value in one.curve:
                    self._study.should_prune(number, int(step), float(value))
            if one is not None:
                try:
                    self.tell(number, one.status, one.values, one.params, one.distributions,
                              one.curve, one.constraints)  # fmt: skip
                except Invalid:
                    continue  # it is recorded as failed, with this reason
        self._points = None

    def stop_reason(self, elapsed: float, cpu_seconds: float = 0.0) -> str | None:
        """Why no more trials should be asked for, or None to go on.

        Parameters
        ----------
        elapsed : float
            Seconds since the search began.
        cpu_seconds : float
            CPU time that its trials took in all.
        """
        plan = self.plan
        if self._next >= plan.trials:
            many = f"all {plan.trials:,} trials are done"
            return "its one trial is done" if plan.trials == 1 else many
        if plan.timeout is not None and elapsed >= plan.timeout:
            return "its time was up"
        if plan.budget is not None and cpu_seconds >= plan.budget:
            return "its budget of CPU time was used"
        if plan.patience is not None and self._standing.idle >= plan.patience:
            return f"no improvement in {plan.patience} trials"
        whole = plan.learner == "grid" and self._first and not self._queue and not self._grid()
        return "the whole grid was tried" if whole else None

    def front(self) -> list[int]:
        """Numbers of the trials that no other beats: the best one, or the trade-offs."""
        return self._standing.front()

    def importance(self) -> dict[str, float] | None:
        """How much each parameter sets the best tenth of trials apart; shares that sum to 1.

        None, and `why_no_importance` says why, where there is too little to go by. Of several
        goals, the first one's.
        """
        from jupyter_mlops.experiments.search.mattering import importance

        with quiet():
            found, self.why_no_importance = importance(self._study.optuna, self.plan)
        return found

    def trials(self) -> list[FrozenTrial]:
        """Optuna's view of all trials, for what reads it."""
        return self._study.trials()


def _usable(told: Told, goals: int) -> bool:
    values = told.values
    return values is not None and len(values) == goals and all(map(math.isfinite, values))


def _as(told: Told, status: str, bare: bool = False) -> Told:
    kept = ({}, {}) if bare else (told.params, told.distributions)
    return Told(told.number, status, None, *kept, told.curve, None)


def _key(params: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    # Steps of floats are sums, and the last bit may differ.
    return tuple(
        (name, f"{one:.12g}" if isinstance(one, float) else repr(one))
        for name, one in sorted(params.items())
    )
