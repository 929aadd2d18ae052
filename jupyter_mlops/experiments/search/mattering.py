"""Which parameters mattered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jupyter_mlops.experiments.search.planning import Plan

if TYPE_CHECKING:
    from optuna import Study

__all__ = ["importance"]

_LEAST: Final = 10


def importance(study: Study, plan: Plan) -> tuple[dict[str, float] | None, str]:
    """How much each parameter sets the best trials apart by the first goal, the largest first.

    PED-ANOVA (Watanabe et al. 2023): how far the values of the best tenth are from evenly spread
    ones. Unlike shares of variance it also takes parameters that only some trials asked for, and
    it isn't misled by a sampler that tried good values more often.

    Returns
    -------
    dict or None, and why None
    """
    from optuna.importance import PedAnovaImportanceEvaluator
    from optuna.trial import TrialState

    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(trials) < _LEAST:
        return None, f"{len(trials)} finished trials are too few; {_LEAST} are needed"
    if len({one.values[0] for one in trials}) < 2:
        return None, "all trials have the same value"
    counts: dict[str, int] = {}
    for one in trials:
        for name in one.params:
            counts[name] = counts.get(name, 0) + 1
    names = sorted(name for name, count in counts.items() if count >= _LEAST)
    if not names:
        return None, "no parameter was asked for often enough"
    evaluator = PedAnovaImportanceEvaluator(evaluate_on_local=False)
    # With a target of one's own, less of it is taken for better.
    sign = -1.0 if plan.goals[0][1] else 1.0
    found = evaluator.evaluate(study, names, target=lambda one: sign * one.values[0])
    total = sum(found.values())
    if not total > 0:
        return None, "no parameter tells good trials from bad ones"
    ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return {name: share / total for name, share in ranked}, ""
