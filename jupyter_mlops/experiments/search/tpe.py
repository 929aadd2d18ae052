"""Optuna's TPE, in half its time: the same suggestions from the same trials and seed.

What it works out of each trial anew for every suggestion is remembered, and normal distributions
are SciPy's compiled ones instead of loops in Python. Optuna lets its estimator be replaced; the
formulas are its own: Watanabe, Tree-Structured Parzen Estimator, arXiv:2304.11127.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.samplers import TPESampler
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator
from optuna.samplers._tpe.probability_distributions import (
    _BatchedCategoricalDistributions,
    _BatchedDistributions,
)
from optuna.trial import TrialState
from scipy.special import log_ndtr, ndtri_exp

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial

__all__ = ["Sampler"]

_LOG_PDF = -0.5 * np.log(2 * np.pi)


class Sampler(TPESampler):
    """TPE for many trials of one search, each with a seed of its own.

    Parameters
    ----------
    startup : int
        Trials that are drawn at random before it learns.
    """

    def __init__(self, startup: int) -> None:
        super().__init__(n_startup_trials=startup, multivariate=True, group=True, seed=0)
        self.startup = startup
        self._parzen_estimator_cls = _Estimator
        groups: Any = _Groups()
        self._group_decomposed_search_space = groups
        self._seen: dict[int, dict[str, float]] = {}

    def seeded(self, seed: int) -> Sampler:
        """This, at the beginning of a random stream."""
        self._rng.rng.seed(seed)
        self._random_sampler._rng.rng.seed(seed)
        return self

    def _get_internal_repr(
        self, trials: list[FrozenTrial], search_space: dict[str, BaseDistribution], study: Study
    ) -> dict[str, np.ndarray]:
        rows = []
        for trial in trials:
            known = self._seen.get(trial._trial_id)
            if known is None:
                params, ended = self._get_params(trial, study), trial.state.is_finished()
                # One that runs has what was suggested; one that ended what it asked for.
                kinds = trial.distributions if ended else search_space
                known = {name: kinds[name].to_internal_repr(params[name])
                         for name in kinds if name in params}  # fmt: skip
                if ended:
                    self._seen[trial._trial_id] = known
            if search_space.keys() <= known.keys():
                rows.append([known[name] for name in search_space])
        columns = np.array(rows, dtype=float).reshape(len(rows), len(search_space)).T
        return dict(zip(search_space, columns, strict=True))


class _Groups:
    """Which parameters are always asked for together: each such group is learned as a whole.

    The order of groups follows from their names, where Optuna's is that of a set.
    """

    def __init__(self) -> None:
        self.search_spaces: list[dict[str, BaseDistribution]] = []
        self._counted: set[int] = set()
        self._together: set[frozenset[str]] = set()

    def calculate(self, study: Study, use_cache: bool = False) -> _Groups:
        states = TrialState.COMPLETE, TrialState.PRUNED
        known = {name: one for group in self.search_spaces for name, one in group.items()}
        many = len(self._together)
        for trial in study._get_trials(deepcopy=False, states=states, use_cache=use_cache):
            if trial._trial_id not in self._counted:
                self._counted.add(trial._trial_id)
                self._together.add(frozenset(trial.distributions))
                known |= trial.distributions
        if len(self._together) > many:
            groups: dict[frozenset[frozenset[str]], dict[str, BaseDistribution]] = {}
            for name in sorted(known):
                within = frozenset(one for one in self._together if name in one)
                groups.setdefault(within, {})[name] = known[name]
            self.search_spaces = list(groups.values())
        return self


class _Estimator(_ParzenEstimator):
    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        made = self._mixture_distribution
        quick: Any = _Mixture(made.weights, made.distributions)
        self._mixture_distribution = quick


class _Mixture:
    """A mixture of products of truncated normal and categorical distributions.

    Parameters
    ----------
    weights : ndarray, shape (kernels,)
    distributions : list
        Optuna's, one a parameter, each of all kernels.
    """

    def __init__(self, weights: np.ndarray, distributions: list[_BatchedDistributions]) -> None:
        self.weights = weights
        self._width = len(distributions)
        self._choices = [
            (place, one.weights)
            for place, one in enumerate(distributions)
            if isinstance(one, _BatchedCategoricalDistributions)
        ]
        numbers: list[Any] = [
            (place, one)
            for place, one in enumerate(distributions)
            if not isinstance(one, _BatchedCategoricalDistributions)
        ]
        self._places = [place for place, _ in numbers]
        column = np.array([(one.adapted_low, one.adapted_high, one.low, one.high, one.step,
                            one.is_log) for _, one in numbers]).reshape(-1, 6).T  # fmt: skip
        self._low, self._high, self._least, self._most, self._step, log = column[:, :, None]
        self._log = log.astype(bool)[:, 0]
        kernels = len(numbers), len(weights)
        self._mu = np.array([one.mu for _, one in numbers]).reshape(kernels)
        self._sigma = np.array([one.sigma for _, one in numbers]).reshape(kernels)
        self._a = (self._low - self._mu) / self._sigma
        self._b = (self._high - self._mu) / self._sigma

    def sample(self, rng: np.random.RandomState, batch_size: int) -> np.ndarray:
        """Draw points, shape (batch_size, parameters), in the order in which Optuna draws them."""
        kernels = rng.choice(len(self.weights), p=self.weights, size=batch_size)
        found = np.empty((batch_size, self._width))
        for place, weights in self._choices:
            shares = np.cumsum(weights[kernels], axis=-1)
            shares[:, -1] = 1
            found[:, place] = (shares < rng.rand(batch_size)[:, None]).sum(axis=-1)
        if self._places:
            drawn = _drawn(rng.uniform(size=(len(self._places), batch_size)),
                           self._a[:, kernels], self._b[:, kernels])  # fmt: skip
            drawn = drawn * self._sigma[:, kernels] + self._mu[:, kernels]
            drawn[self._log] = np.exp(drawn[self._log])
            whole = self._step[:, 0] > 0
            if whole.any():
                low, step = self._least[whole], self._step[whole]
                steps = np.round((drawn[whole] - low) / step)
                drawn[whole] = np.clip(low + steps * step, low, self._most[whole])
            found[:, self._places] = drawn.T
        return found

    def log_pdf(self, x: np.ndarray) -> np.ndarray:
        """The logarithm of the density at points, shape (points, parameters)."""
        logs = np.log(self.weights)[None, :]
        for place, weights in self._choices:
            logs = logs + np.log(weights[:, x[:, place].astype(int)]).T
        if self._places:
            logs = logs + self._numbers(x[:, self._places].T[:, :, None])
        most = logs.max(axis=1)
        most[np.isneginf(most)] = 0
        with np.errstate(divide="ignore"):
            found: np.ndarray = np.log(np.exp(logs - most[:, None]).sum(axis=1)) + most
        return found

    def _numbers(self, x: np.ndarray) -> np.ndarray:
        """Of all numbers together, shape (points, kernels); `x` has shape (numbers, points, 1)."""
        found: np.ndarray = -_log_mass(self._a, self._b).sum(axis=0)[None, :]
        whole, log = self._step[:, 0] > 0, self._log
        for these, ends in ((~whole, 0.0), (whole, self._step[whole][:, :, None] / 2)):
            if not these.any():
                continue
            mu, sigma = self._mu[these][:, None, :], self._sigma[these][:, None, :]
            sides = [x[these] - ends, x[these] + ends]
            logged = log[these]
            for side in sides:
                side[logged] = np.log(side[logged])
            if these is whole:
                found = found + _log_mass((sides[0] - mu) / sigma, (sides[1] - mu) / sigma).sum(0)
            else:
                z = (sides[0] - mu) / sigma
                found = found + (_LOG_PDF - z * z / 2 - np.log(sigma)).sum(axis=0)
        return found


def _log_mass(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The logarithm of a normal distribution's mass from a to b, right in both tails."""
    right = a > 0
    low, high = log_ndtr(np.where(right, -b, a)), log_ndtr(np.where(right, -a, b))
    found: np.ndarray = high + np.log1p(-np.exp(low - high))
    return found


def _drawn(share: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The point below which lies that share of a normal distribution cut at a and b."""
    # No kernel's middle lies below the least value, so that a is never right of it.
    below = np.logaddexp(log_ndtr(a), np.log(share) + _log_mass(a, b))
    found: np.ndarray = np.clip(ndtri_exp(below), a, b)
    return found
