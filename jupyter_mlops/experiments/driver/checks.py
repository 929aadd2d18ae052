"""What can be known of an experiment before anything of it runs: its search, its code, its call."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from jupyter_mlops.experiments.driver.trial import CALL, PROVIDED
from jupyter_mlops.experiments.studies import Goal, find_experiment
from jupyter_mlops.workspace import Invalid, Workspace, closest

if TYPE_CHECKING:
    from jupyter_mlops.experiments.body import Body
    from jupyter_mlops.experiments.driver.launching import Asked

__all__ = ["calling", "check_code", "check_search"]


def calling(body: str, call: Callable[..., Any], goals: Sequence[Goal]) -> str:
    """The cell that a callable stands for."""
    if body.strip():
        raise Invalid(
            "there are a cell and a function, and one of them must be the trial",
            fix="call the function in the cell, or leave the cell empty",
            code="E-EXPERIMENT-035",
        )
    if not callable(call):
        raise Invalid(f"{call!r} can't be called", fix="give a function",
                      code="E-EXPERIMENT-036")  # fmt: skip
    first = goals[0].metric
    takes: Collection[str] = ()
    # What is written in C may not tell.
    with contextlib.suppress(TypeError, ValueError):
        takes = inspect.signature(call).parameters.keys()
    more = "".join(f", {name}={name}" for name in PROVIDED[1:] if name in takes)
    return (
        f"_found = {CALL}(suggest{more})\n"
        "metrics = dict(_found) if hasattr(_found, 'keys') else {}\n"
        f"{first} = metrics.get({first!r}) if metrics else _found\n"
    )


def check_search(
    ws: Workspace,
    goals: Sequence[Goal],
    asked: Asked,
    timeout: float | None,
    budget: float | None,
) -> None:
    """Refuse a search that can't be, before anybody is told that it begins."""
    from jupyter_mlops.experiments.search import Plan

    Plan(
        goals=tuple((one.metric, one.maximize) for one in goals),
        sampler=asked.sampler,
        pruner=asked.pruner,
        trials=asked.trials,
        timeout=timeout,
        budget=budget,
        patience=asked.patience,
        constraints=tuple(asked.constraints or ()),
    )
    if asked.warm_start:
        find_experiment(ws, asked.warm_start, with_trials=False)


def check_code(parsed: Body, code: str, goals: Sequence[Goal], asked: Asked) -> None:
    """Refuse a cell that workers can't run, or that never binds what it is asked for."""
    if "get_ipython" in code and "get_ipython" not in parsed.source:
        raise Invalid(
            "the cell uses a notebook command (a line with % or !), which workers don't have",
            fix="write it in plain Python, or put it into a cell of its own",
            code="E-EXPERIMENT-037",
        )
    told = {"metrics"} & parsed.mentions
    scored = asked.valid is not None
    for metric in (*(goal.metric for goal in goals), *(asked.constraints or ())):
        if metric in parsed.binds or told & parsed.binds or scored:
            continue
        raise Invalid(
            f"the cell never sets `{metric}`",
            f"it sets {', '.join(sorted(parsed.binds)[:10])}" if parsed.binds else "",
            closest(metric, parsed.binds) or f"end it with `{metric} = …`",
            code="E-EXPERIMENT-038",
        )
    if asked.model is not None and asked.model not in parsed.binds:
        raise Invalid(
            f"the cell binds no model called `{asked.model}`",
            f"it sets {', '.join(sorted(parsed.binds)[:10])}" if parsed.binds else "",
            closest(asked.model, parsed.binds) or f"end it with `{asked.model} = …`, fitted",
            code="E-EXPERIMENT-039",
        )
