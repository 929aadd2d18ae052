"""What an experiment found: the best trials, what mattered, and the winner's value corrected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jupyter_mlops.experiments.losses import MEAN_OF
from jupyter_mlops.experiments.studies import Experiment, find_experiment
from jupyter_mlops.workspace import Workspace

if TYPE_CHECKING:
    from jupyter_mlops.experiments.driver.loop import State
    from jupyter_mlops.experiments.search import Search

__all__ = ["conclude"]

#: Losses of all trials' rows that are compared at once: 4 bytes each.
_LOSSES: Final = 50_000_000


def conclude(
    ws: Workspace, experiment: str, search: Search, state: State, plan: dict[str, Any]
) -> dict[str, Any]:
    """Sum up an experiment that ended; a plain dict for the store.

    Returns
    -------
    dict
        ``why``; ``best``, the numbers of the best trials; ``value`` and ``number`` of the best by
        the first metric; ``importance`` by parameter; and where rows' losses are known
        ``corrected``, ``low``, ``high`` and ``optimism``.
    """
    found: dict[str, Any] = {"why": state.why}
    told = find_experiment(ws, experiment)
    best = told.best
    if best is None:
        return found
    found["value"] = best.metrics[told.goal.metric]
    found["number"] = best.number
    found["best"] = search.front() if len(told.goals) > 1 else [best.number]
    found["importance"] = search.importance() or {}
    found |= _corrected(ws, told, plan)
    return found


def _corrected(ws: Workspace, told: Experiment, plan: dict[str, Any]) -> dict[str, Any]:
    """The winner's value without the luck of being the best of many, where it can be told."""
    import numpy as np

    from jupyter_mlops.experiments.search.optimism import FEWEST, corrected

    rows = []
    of = _measured_by(ws, told)
    if of is None:
        return {}
    for trial in told.finished:
        key = losses_key(trial.id, of)
        if ws.artifacts.exists(key):
            rows.append(np.frombuffer(ws.artifacts.read_bytes(key), dtype=np.float32))
    if len(rows) < 2 or len({len(one) for one in rows}) > 1 or len(rows[0]) < FEWEST:
        return {}
    if len(rows) * len(rows[0]) > _LOSSES:
        rows = [one[: _LOSSES // len(rows)] for one in rows]
    metric, loss = told.goal.metric, MEAN_OF[of]
    found = corrected(np.stack(rows).astype(np.float64), seed=plan["seed"])

    def shown(value: float) -> float:
        if loss == "error_rate":
            return 1 - value
        return float(np.sqrt(max(value, 0.0))) if loss == "squared_error" else value

    low, high = sorted((shown(found.low), shown(found.high)))
    return {
        "corrected": shown(found.value),
        "low": low,
        "high": high,
        "optimism": abs(shown(found.value) - told.best.metrics[metric]) if told.best else 0.0,
    }


def losses_key(trial: str, of: str) -> str:
    """Where the rows' losses of a trial are, and which metric is their mean."""
    return f"runs/{trial}/losses-{of}.f32"


def _measured_by(ws: Workspace, told: Experiment) -> str | None:
    """The metric whose losses by row were kept; None where none were."""
    if told.best is None:
        return None
    trial = told.best.id
    return next((one for one in MEAN_OF if ws.artifacts.exists(losses_key(trial, one))), None)
