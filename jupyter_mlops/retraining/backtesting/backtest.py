"""Policies played side by side through an endpoint's past."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import polars as pl

from jupyter_mlops import data, models
from jupyter_mlops.experiments.trials import find_run
from jupyter_mlops.models import ModelVersion
from jupyter_mlops.monitoring.windows import parse_length
from jupyter_mlops.retraining.backtesting.playing import Past, Played, play, span_of
from jupyter_mlops.retraining.backtesting.results import Backtest, curves, summarize
from jupyter_mlops.retraining.labelled import TIME, labelled
from jupyter_mlops.retraining.policies import Policy
from jupyter_mlops.retraining.promoting import CHAMPION
from jupyter_mlops.retraining.terms import EXPANDING, Terms
from jupyter_mlops.workspace import Invalid, NotFound, Workspace

__all__ = ["RIVALS", "backtest", "past_of", "replay"]

#: What a policy is held against: how it differs from the policy itself, and whether gates count.
RIVALS: Final[dict[str, tuple[dict[str, Any], bool]]] = {
    "never": ({"when": "rows < 0"}, False),
    "always": ({"when": "", "gate": ""}, True),
    "schedule": ({"when": "", "gate": ""}, False),
    "on drift": ({"when": "drift", "gate": ""}, True),
    "on loss": ({"when": "loss > champion_at_promotion.loss (95%)", "gate": ""}, True),
}
_WORDS: Final = {
    "never": "the first model answers everything",
    "always": "trains at each look and promotes what comes",
    "schedule": "trains at each look and promotes what passes the usual gate",
    "on drift": "trains when inputs moved and promotes what comes",
    "on loss": "trains when the loss is worse than when it was promoted, promotes what comes",
}


def backtest(
    ws: Workspace,
    policy: Policy,
    *,
    over: str | None = None,
    seeds: int = 1,
    share: float = 1.0,
    rivals: Iterable[str] | None = None,
    run: Callable[[list[tuple[Past, Terms, str, int, bool]]], list[Played]] | None = None,
) -> Backtest:
    """Play a policy and its rivals through the traffic and the truth that its endpoint has.

    Parameters
    ----------
    ws : Workspace
    policy : Policy
    over : str, optional
        How much of the newest traffic, such as ``365d``; all of it when None.
    seeds : int
        How often it is played, each time with other random numbers and other rows.
    share : float
        Of the rows that each seed draws, above 0 and up to 1.
    rivals : iterable of str, optional
        Names of `RIVALS`; all when None.
    run : callable, optional
        Plays them, in this order; one after the other in this process when None.

    Raises
    ------
    Invalid
        There is too little truth, or the model can't be fitted again.
    """
    if not 0 < share <= 1 or seeds < 1:
        raise Invalid(
            "a back-test draws a share above 0 and up to 1, and one seed at least",
            fix="write such as --share 0.4 --seeds 5",
            code="E-RETRAIN-050",
        )
    begun = time.perf_counter()
    past, notes = past_of(ws, policy, over)
    found, terms = replay(past, policy.name, policy.terms, seeds, share, rivals, run)
    first, last = past.rows[TIME].min(), past.rows[TIME].max()
    return Backtest(
        model=policy.model,
        endpoint=policy.terms.endpoint,
        loss="rmse" if past.task == "regression" else "log_loss",
        outcomes=summarize(found, terms),
        rows=past.rows.height,
        seeds=seeds,
        share=share,
        first=first,  # type: ignore[arg-type]
        last=last,  # type: ignore[arg-type]
        seconds=time.perf_counter() - begun,
        notes=tuple(notes),
        curves=curves(found, past.sample(share, 0).rows[TIME]),
    )


def replay(
    past: Past,
    name: str,
    terms: Terms,
    seeds: int = 1,
    share: float = 1.0,
    rivals: Iterable[str] | None = None,
    run: Callable[[list[tuple[Past, Terms, str, int, bool]]], list[Played]] | None = None,
) -> tuple[list[Played], dict[str, str]]:
    """Play a policy and its rivals; return what came of each, and each in words."""
    chosen = list(RIVALS) if rivals is None else list(rivals)
    unknown = [one for one in chosen if one not in RIVALS]
    if unknown:
        raise Invalid(
            f"{unknown[0]!r} is no policy to compare with",
            f"there are {', '.join(RIVALS)}",
            code="E-RETRAIN-051",
        )
    jobs: list[tuple[Past, Terms, str, int, bool]] = []
    for seed in range(seeds):
        drawn = past.sample(share, seed)
        jobs.append((drawn, terms, name, seed, False))
        for rival in chosen:
            changed, trust = RIVALS[rival]
            jobs.append((drawn, terms.but(**changed), rival, seed, trust))
    played = run(jobs) if run is not None else [play(*job[:4], trust=job[4]) for job in jobs]
    said = f"{terms.when or 'each time it looks'}, looks every {terms.every}"
    return played, {name: said, **{one: _WORDS[one] for one in chosen}}


def past_of(ws: Workspace, policy: Policy, over: str | None) -> tuple[Past, list[str]]:
    """What an endpoint was asked and what came true, after what its first model was trained on.

    Raises
    ------
    Invalid
        There is too little truth, or the model can't be fitted again.
    """
    version = _first(ws, policy)
    run = find_run(ws, f"run:{version.run_id}")
    rows = labelled(ws, policy.terms.endpoint, version, run).rows
    if over is not None and not rows.is_empty():
        last: Any = rows[TIME].max()
        rows = rows.filter(pl.col(TIME) > last - parse_length(over))
    every = parse_length(policy.terms.every)
    if rows.height < 2 or span_of(rows) < 2 * every:
        raise Invalid(
            f"the truth that {policy.terms.endpoint} has doesn't reach over two looks",
            f"{rows.height:,} rows with truth, and {policy.name} looks every {policy.terms.every}",
            "let it look more often, or wait until more truth has come",
            code="E-RETRAIN-052",
        )
    assert version.target is not None
    if version.data_ref is None:
        raise Invalid(
            f"the training data of {version.label} aren't a recorded dataset",
            fix="train it with --data NAME",
            code="E-RETRAIN-053",
        )
    table = data.resolve(ws, version.data_ref)
    first = table.scan().select([*version.features, version.target]).collect(engine="streaming")
    model = models.load(ws, version.label)
    if not hasattr(model, "get_params"):
        raise Invalid(
            f"{version.label} can't be fitted again",
            "it isn't an estimator with parameters, as scikit-learn's are",
            "back-test a policy of a scikit-learn, XGBoost or LightGBM estimator",
            code="E-RETRAIN-054",
        )
    notes = [
        f"No notebook was run: a fresh {type(model).__name__} with the settings of "
        f"{version.label} was fitted each time, on its own columns."
    ]
    if policy.terms.window != EXPANDING:
        notes.append(f"Each was trained on the newest {policy.terms.window} alone.")
    past = Past(
        first.drop_nulls(version.target),
        rows,
        version.features,
        version.target,
        version.task,
        model,
    )
    return past, notes


def _first(ws: Workspace, policy: Policy) -> ModelVersion:
    """The oldest version whose training data are known: it answers first."""
    try:
        every = sorted(models.list_models(ws, policy.model), key=lambda one: one.version)
    except NotFound:
        every = []
    known = [one for one in every if one.data_ref is not None]
    return known[0] if known else models.get(ws, f"{policy.model}@{CHAMPION}")
