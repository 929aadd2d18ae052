"""Optuna's samplers and pruners, made for one trial so that what they do depends on its seed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jupyter_mlops.experiments.search.planning import Plan
from jupyter_mlops.experiments.search.suggesting import at

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

__all__ = ["LEARNING", "pruner", "quiet", "sampler", "sobol"]

#: Samplers whose suggestions follow from what was told.
LEARNING = ("tpe", "gp", "cmaes", "nsga2", "nsga3")


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna's remarks on experimental features from a person who can't act on them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def sampler(plan: Plan, seed: int, startup: int, before: BaseSampler | None = None) -> BaseSampler:
    """A sampler for one trial.

    Optuna's samplers go on with one random stream; a new one for each trial makes its suggestion
    a function of the seed, the number and what was told before.

    Parameters
    ----------
    plan : Plan
    seed : int
        The trial's own.
    startup : int
        Trials that are drawn at random before it learns.
    before : BaseSampler, optional
        The same study's for an earlier trial, which may remember what it worked out.
    """
    with quiet():
        return _made(plan, seed % 2**32, startup, before)


def _made(plan: Plan, seed: int, startup: int, before: BaseSampler | None) -> BaseSampler:
    from optuna import samplers

    kind = plan.learner
    if kind == "tpe":
        from jupyter_mlops.experiments.search.tpe import Sampler

        if not isinstance(before, Sampler) or before.startup != startup:
            before = Sampler(startup)
        return before.seeded(seed)
    if kind == "gp":
        return samplers.GPSampler(
            n_startup_trials=startup, seed=seed, warn_independent_sampling=False
        )
    if kind == "cmaes":
        return samplers.CmaEsSampler(
            n_startup_trials=startup, seed=seed, warn_independent_sampling=False
        )
    if kind in {"nsga2", "nsga3"}:
        # Optuna's 50 a generation would leave small searches without a second one.
        size = min(50, max(8, plan.trials // 5))
        made = samplers.NSGAIISampler if kind == "nsga2" else samplers.NSGAIIISampler
        return made(population_size=size, seed=seed)
    return samplers.RandomSampler(seed=seed)


def pruner(name: str) -> BasePruner:
    """Optuna's pruner of that name."""
    from optuna import pruners

    if name == "median":
        return pruners.MedianPruner(n_startup_trials=5)
    if name == "percentile":
        return pruners.PercentilePruner(25.0, n_startup_trials=5)
    if name == "halving":
        return pruners.SuccessiveHalvingPruner()
    if name == "hyperband":
        return pruners.HyperbandPruner()
    if name == "patient":
        # Spared while it improves by itself, however it stands among the others.
        return pruners.PatientPruner(pruners.MedianPruner(n_startup_trials=5), patience=3)
    return pruners.NopPruner()


def sobol(known: dict[str, dict[str, Any]], seed: int, number: int) -> dict[str, Any]:
    """The point of a scrambled Sobol sequence that belongs to a trial's number.

    Parameters
    ----------
    known : dict
        Bounds by name.
    seed : int
        Scrambles; the search's own, the same for all its trials.
    """
    from scipy.stats import qmc

    names = sorted(known)
    engine = qmc.Sobol(len(names), scramble=True, rng=seed % 2**32)
    if number:
        engine.fast_forward(number)
    with quiet():
        point = engine.random(1)[0]
    return {name: at(float(place), known[name]) for name, place in zip(names, point, strict=True)}
