"""Our TPE suggests what Optuna's does."""

from __future__ import annotations

import math
import warnings

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import TPESampler

from jupyter_mlops.experiments.search.tpe import Sampler

SPACE = {
    "kind": CategoricalDistribution(["tree", "forest", "line"]),
    "rate": FloatDistribution(1e-4, 1, log=True),
    "share": FloatDistribution(0, 1),
    "quarters": FloatDistribution(0, 2, step=0.25),
    "depth": IntDistribution(1, 9),
    "leaves": IntDistribution(1, 1000, log=True),
    "even": IntDistribution(2, 20, step=2),
}


@pytest.mark.parametrize("directions", [["minimize"], ["maximize", "minimize"]])
def test_it_suggests_what_optunas_own_does(directions: list[str]) -> None:
    ours = Sampler(startup=8)
    studies = [optuna.create_study(directions=directions) for _ in range(2)]
    for number in range(50):
        suggested = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that groups are experimental
            theirs = TPESampler(n_startup_trials=8, multivariate=True, group=True, seed=number)
        for study, sampler in zip(studies, (theirs, ours.seeded(number)), strict=True):
            study.sampler = sampler
            suggested.append(study.ask(SPACE))
        expected, found = (trial.params for trial in suggested)
        assert {k: v for k, v in found.items() if not isinstance(v, float)} == {
            k: v for k, v in expected.items() if not isinstance(v, float)
        }
        for name in ("rate", "share", "quarters"):
            assert found[name] == pytest.approx(expected[name], rel=1e-9)
        if number % 7 == 3:
            continue  # goes on running
        loss = math.log(found["rate"] * 100) ** 2 + found["depth"] + (found["kind"] == "tree")
        values = [loss, found["share"]][: len(directions)]
        for study, trial in zip(studies, suggested, strict=True):
            if number % 7 == 5:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(trial, values)


def test_groups_of_parameters_have_one_order_however_trials_arrived() -> None:
    """Which of two groups is drawn first decides which random numbers each of them gets."""
    found = []
    for order in ([0, 1, 2, 3], [3, 2, 1, 0]):
        study, sampler = optuna.create_study(), Sampler(startup=2)
        for one in order:
            names = ["depth", "share"] if one % 2 else ["rate"]
            params = {"depth": one + 1, "share": one / 4, "rate": 10.0 ** -(one + 1)}
            study.add_trial(
                optuna.trial.create_trial(
                    params={name: params[name] for name in names},
                    distributions={name: SPACE[name] for name in names},
                    value=float(one),
                )
            )
        study.sampler = sampler.seeded(5)
        asked = {name: SPACE[name] for name in ("depth", "rate", "share")}
        found.append(study.ask(asked).params)
    assert found[0] == found[1]
