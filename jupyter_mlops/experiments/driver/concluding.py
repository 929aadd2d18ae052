"""What an experiment found: the best trials, what mattered, and the winner's value corrected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jupyter_mlops.experiments.losses import LOSSES, MEAN_OF
from jupyter_mlops.experiments.metrics import ROWS
from jupyter_mlops.experiments.studies import Experiment, find_experiment
from jupyter_mlops.workspace import Workspace

if TYPE_CHECKING:
    from jupyter_mlops.experiments.driver.loop import State
    from jupyter_mlops.experiments.search import Search
    from jupyter_mlops.experiments.search.nesting import Kept

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
        ``corrected``, ``low``, ``high`` and ``optimism``; with nested folds ``nested``, which
        has ``value``, ``low``, ``high`` and the ``winners`` by outer fold.
    """
    found: dict[str, Any] = {"why": state.why}
    told = find_experiment(ws, experiment)
    best = told.best
    if best is None:
        if told.finished:
            names = " and ".join(f"`{name}`" for name in plan["constraints"])
            state.notes[f"no trial is worth choosing: {names} must not be above 0"] += 1
        return found
    found["value"] = best.metrics[told.goal.metric]
    found["number"] = best.number
    found["best"] = search.front() if len(told.goals) > 1 else [best.number]
    found["importance"] = search.importance() or {}
    found |= _corrected(ws, told, plan)
    if plan.get("nested") and "nested" not in found:
        state.notes["nothing is validated by --nested: no two trials set the metric to what "
                    "`evaluate(...)` returns"] += 1  # fmt: skip
    return found


def _corrected(ws: Workspace, told: Experiment, plan: dict[str, Any]) -> dict[str, Any]:
    """The winner's value without the luck of being the best of many, where it can be told."""
    import numpy as np

    from jupyter_mlops.experiments.search.nesting import FILE, Kept, unkept
    from jupyter_mlops.experiments.search.optimism import FEWEST, corrected

    of = _measured_by(ws, told)
    if of is None or told.best is None:
        return {}
    numbers, rows, folds = [], [], []
    for trial in filter(told.keeps, told.finished):
        key, beside = losses_key(trial.id, of), f"runs/{trial.id}/{FILE}"
        if ws.artifacts.exists(key):
            numbers.append(trial.number)
            rows.append(np.frombuffer(ws.artifacts.read_bytes(key), dtype=np.float32))
            there = ws.artifacts.exists(beside)
            folds.append(unkept(ws.artifacts.read_bytes(beside)) if there else Kept())
    if len(rows) < 2 or len({len(one) for one in rows}) > 1:
        return {}
    wide = min(len(rows[0]), _LOSSES // len(rows))
    # What a cell gives by row may be better the greater it is.
    turned = -1.0 if of == ROWS and told.goal.maximize else 1.0
    losses = turned * np.stack([one[:wide] for one in rows]).astype(np.float64)
    groups = _same([one.groups for one in folds], wide)
    best = told.best.metrics[told.goal.metric]
    found: dict[str, Any] = {}
    if (wide if groups is None else len(np.unique(groups))) >= FEWEST:
        fair = corrected(losses, groups=groups, seed=plan["seed"])
        ends = (turned * one for one in (fair.value, fair.low, fair.high))
        found = _in_unit(of, "corrected", *ends)
        found["optimism"] = abs(found["corrected"] - best)
    nested = _nested(of, losses, folds, groups, numbers)
    return found | ({"nested": nested} if nested else {})


def _nested(
    of: str, losses: Any, folds: list[Kept], groups: Any, numbers: list[int]
) -> dict[str, Any] | None:
    """What nested folds tell of the search; None where trials had none, or others."""
    import numpy as np

    from jupyter_mlops.experiments.search.nesting import nested

    outer = _same([one.outer for one in folds], losses.shape[1])
    inner = [one.inner for one in folds if one.inner is not None]
    if outer is None or len({len(one) for one in inner}) != 1:
        return None
    found = nested(losses, np.stack(inner), outer, groups)
    told = _in_unit(of, "value", found.value, found.low, found.high)
    return {**told, "winners": [numbers[place] for place in found.winners]}


def _in_unit(of: str, name: str, value: float, low: float, high: float) -> dict[str, Any]:
    """A mean loss and its interval as the metric that people read."""
    from jupyter_mlops.experiments.search.folds import in_unit_of

    ends = sorted((in_unit_of(of, low), in_unit_of(of, high)))
    return {name: in_unit_of(of, value), "low": ends[0], "high": ends[1]}


def _same(arrays: list[Any], wide: int) -> Any:
    """What all trials have in common; None where it isn't the same or some lack it."""
    import numpy as np

    first, *others = arrays
    if first is None or not all(np.array_equal(first, one) for one in others):
        return None
    return first[:wide]


def losses_key(trial: str, of: str) -> str:
    """Where the rows' losses of a trial are, and which metric is their mean."""
    return f"runs/{trial}/losses-{of}.f32"


def _measured_by(ws: Workspace, told: Experiment) -> str | None:
    """The metric whose losses by row were kept; None where none were."""
    if told.best is None:
        return None
    trial = told.best.id
    # Each mean loss is a metric, too.
    known = dict.fromkeys(
        [ROWS, *MEAN_OF, *(one for several in LOSSES.values() for one in several)]
    )
    return next((one for one in known if ws.artifacts.exists(losses_key(trial, one))), None)
