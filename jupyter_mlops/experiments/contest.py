"""Several runs side by side: what they were given, what came of it, and which is better."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from jupyter_mlops.experiments.browsing import find_trial
from jupyter_mlops.experiments.comparison import compare
from jupyter_mlops.experiments.studies import find_experiment
from jupyter_mlops.experiments.trials import Run, find_run
from jupyter_mlops.experiments.verdict import Comparison
from jupyter_mlops.experiments.winner import winner
from jupyter_mlops.workspace import Invalid, NotFound, Result, Workspace

__all__ = ["Contest", "Entrant", "contest"]


@dataclass(frozen=True)
class Entrant:
    """A run and what to call it: ``delay/12`` or ``run:1f3c``; `name` is what a person wrote."""

    name: str
    label: str
    run: Run


@dataclass(frozen=True)
class Contest(Result):
    """Runs side by side.

    Attributes
    ----------
    entrants : tuple of Entrant
    pairs : tuple of Comparison
        The first of them against each other one with which it shares validation rows.
    notes : tuple of str
        Why the others can't be compared row by row.
    """

    entrants: tuple[Entrant, ...]
    pairs: tuple[Comparison, ...]
    notes: tuple[str, ...]


def contest(ws: Workspace, names: Sequence[str]) -> Contest:
    """Put runs side by side.

    Parameters
    ----------
    names : sequence of str
        Two or more: experiments, which means their best trials, ``NAME/NUMBER``, or runs.

    Raises
    ------
    NotFound
        One of them is nothing of that.
    Invalid
        Two of them are the same run.
    """
    entrants = _told_apart([_entrant(ws, name) for name in names])
    ids = [one.run.id for one in entrants]
    for place, one in enumerate(entrants):
        if one.run.id in ids[:place]:
            other = entrants[ids.index(one.run.id)]
            raise Invalid(
                f"{other.label} and {one.label} are the same run",
                fix="name others, or other trials as NAME/NUMBER",
                code="E-TRIALS-006",
            )
    first, *others = entrants
    pairs, reasons = [], []
    for other in others:
        try:
            pairs.append(compare(ws, first.run, other.run))
        except (Invalid, NotFound) as error:
            # Side by side they are worth looking at all the same.
            why = f"{error.what}: {error.why}".rstrip(": ")
            reasons.append(f"{first.label} and {other.label} aren't compared row by row: {why}")
    return Contest(entrants, tuple(pairs), tuple(reasons))


def _told_apart(entrants: list[Entrant]) -> tuple[Entrant, ...]:
    """Trials of the same number of experiments of the same name get their runs' ids."""
    labels = Counter(one.label for one in entrants)
    return tuple(
        replace(one, label=f"{one.label} ({one.run.short})") if labels[one.label] > 1 else one
        for one in entrants
    )


def _entrant(ws: Workspace, name: str) -> Entrant:
    kind, _, rest = name.rpartition(":")
    experiment, slash, number = rest.rpartition("/")
    if slash and number.isdecimal() and kind in {"", "experiment"}:
        detail = find_trial(ws, experiment, int(number))
        label = f"{detail.experiment.name}/{number}"
        return Entrant(name, label, find_run(ws, f"run:{detail.trial.id}"))
    if kind not in {"", "experiment"}:
        return Entrant(name, name, find_run(ws, name))
    try:
        found = find_experiment(ws, name, with_trials=False)
    except NotFound:
        if kind:
            raise
        return Entrant(name, name, find_run(ws, name))
    best = winner(ws, found.id).detail.trial
    return Entrant(name, f"{found.name}/{best.number}", find_run(ws, f"run:{best.id}"))
