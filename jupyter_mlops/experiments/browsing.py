"""Looking through an experiment of any size: pages of its trials, one trial, and the winner.

Ten thousand trials take a second to read whole. What is shown of all of them (fates, values,
parameters) is read once and kept while a process looks; the rest is read of those on the page.
"""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, Final

from sqlalchemy import Text, cast, select

from jupyter_mlops.experiments.filters import Columns, choose, value_of
from jupyter_mlops.experiments.records import TrialRecord
from jupyter_mlops.experiments.studies import (
    Experiment,
    Experiments,
    Trial,
    experiments,
    find_experiment,
)
from jupyter_mlops.workspace import Invalid, NotFound, Result, Workspace

__all__ = ["TrialDetail", "TrialPage", "browse", "find_trial", "first_page", "glance", "overview"]

#: Experiments whose trials are kept in memory, and rows that a page may have.
_KEPT: Final = 4
LARGEST: Final = 200
#: Trials whose curves are drawn beside each other.
CURVES: Final = 12
#: Nobody has summed these up yet.
_OPEN_ENDED: Final = {"running", "waiting", "interrupted"}
# The table's own columns: as attributes of records, thousands of rows take twice as long.
_TABLE: Final = TrialRecord.__table__.c
_LIGHT: Final = (
    _TABLE.id,
    _TABLE.number,
    _TABLE.status,
    _TABLE.started_at,
    _TABLE.seconds,
    cast(_TABLE.metrics, Text),
    cast(_TABLE.params, Text),
    _TABLE.worker,
    _TABLE.attempts,
    _TABLE.error,
)
_seen: OrderedDict[tuple[str, str], dict[int, Trial]] = OrderedDict()
_lock = Lock()


@dataclass(frozen=True)
class TrialPage(Result):
    """An experiment, and some of its trials in an order.

    Attributes
    ----------
    experiment : Experiment
        With all its trials, which lack their curves, usage and distributions.
    trials : tuple of Trial
        The page, whole.
    matching : int
        Trials that the condition leaves.
    where : str
        The condition; empty when all are meant.
    sort : str
        A column's name; empty when the best come first.
    page, size : int
        Counted from 1, and how many fit.
    curves : tuple of Trial
        The best trials and some others, whole, for drawing what they reported.
    whole : bool
        Whether all of the experiment is to be shown, or the page alone.
    """

    experiment: Experiment
    trials: tuple[Trial, ...]
    matching: int
    where: str = ""
    sort: str = ""
    descending: bool = False
    page: int = 1
    size: int = 20
    curves: tuple[Trial, ...] = ()
    whole: bool = True


@dataclass(frozen=True)
class TrialDetail(Result):
    """One trial with all that is known of it, and its place among the others.

    Attributes
    ----------
    place : int or None
        1 of the best by the first metric; None where it has no value.
    of : int
        How many have one.
    """

    experiment: Experiment
    trial: Trial
    place: int | None
    of: int


def glance(ws: Workspace, name: str) -> Experiment:
    """An experiment with all its trials, which lack their curves, usage and distributions.

    Parameters
    ----------
    name : str
        As for `find_experiment`.
    """
    experiment = find_experiment(ws, name, with_trials=False)
    # A copied workspace has the same ids.
    key = (str(ws.home), experiment.id)
    with _lock:
        known = _seen.pop(key, {})
    with ws.read() as session:
        of = _TABLE.experiment == experiment.id
        every = select(*_LIGHT).where(of)
        if known:
            found = session.execute(
                select(_TABLE.number, _TABLE.status, _TABLE.attempts).where(of)
            ).tuples()
            signs = {int(number or 0): (status, attempts) for number, status, attempts in found}
            stale = [n for n, sign in signs.items() if n not in known or _sign(known[n]) != sign]
            if stale:
                some = len(stale) <= LARGEST
                query = every.where(_TABLE.number.in_(stale)) if some else every
                known |= _lights(session.execute(query))
            known = {number: known[number] for number in signs}
        else:
            known = _lights(session.execute(every))
    with _lock:
        _seen[key] = known
        while len(_seen) > _KEPT:
            _seen.popitem(last=False)
    trials = tuple(known[number] for number in sorted(known))
    if experiment.status != "running":
        # Their process is gone, and nobody has recorded so yet.
        trials = tuple(
            replace(one, status="interrupted") if one.status == "running" else one for one in trials
        )
    return replace(experiment, trials=trials)


def overview(ws: Workspace) -> Experiments:
    """Experiments, the newest first, with the best values of those that run, too."""
    found = experiments(ws)
    bests = dict(found.bests)
    for one in found:
        if one.id not in bests and one.status in _OPEN_ENDED:
            best = glance(ws, one.id).best
            if best is not None:
                bests[one.id] = best.metrics[one.goal.metric]
    return replace(found, bests=bests)


def browse(
    ws: Workspace,
    name: str,
    *,
    where: str = "",
    sort: str = "",
    descending: bool = False,
    page: int = 1,
    size: int = 20,
    whole: bool = True,
) -> TrialPage:
    """A page of an experiment's trials.

    Parameters
    ----------
    name : str
        As for `find_experiment`.
    where : str
        A condition such as ``lr < 0.1 and status = finished``.
    sort : str
        A metric, a parameter, ``number`` or ``seconds``; the best come first when empty.
    page, size : int
        Counted from 1; 200 at most.

    Raises
    ------
    Invalid
        The condition can't be read, nothing is called so, or there is no such page.
    """
    if not 1 <= size <= LARGEST or page < 1:
        raise Invalid(
            f"there is no page {page} of {size} trials",
            f"pages count from 1 and have up to {LARGEST}",
            code="E-TRIALS-003",
        )
    experiment = glance(ws, name)
    columns = Columns(experiment.trials)
    kept = choose(experiment.trials, where, columns)
    ranked = _ordered(experiment, kept, "", False, columns)
    ordered = _ordered(experiment, kept, sort, descending, columns) if sort else ranked
    start = (page - 1) * size
    wanted = ordered[start : start + size]
    drawn = _drawn(ranked) if whole else []
    full = _whole(ws, {one.id for one in (*wanted, *drawn)})
    return TrialPage(
        experiment,
        tuple(full.get(one.id, one) for one in wanted),
        len(kept),
        where.strip(),
        sort,
        descending,
        page,
        size,
        tuple(full.get(one.id, one) for one in drawn),
        whole,
    )


def first_page(experiment: Experiment, size: int = 20) -> TrialPage:
    """The first page of an experiment that is there with all its trials, the best first."""
    columns = Columns(experiment.trials)
    ranked = _ordered(experiment, experiment.trials, "", False, columns)
    return TrialPage(
        experiment,
        tuple(ranked[:size]),
        len(ranked),
        size=size,
        curves=tuple(_drawn(ranked)),
    )


def find_trial(ws: Workspace, name: str, number: int) -> TrialDetail:
    """One trial of an experiment.

    Raises
    ------
    NotFound
        It has no trial of that number.
    """
    experiment = glance(ws, name)
    light = next((one for one in experiment.trials if one.number == number), None)
    if light is None:
        many = len(experiment.trials)
        raise NotFound(
            f"experiment {experiment.name!r} has no trial {number}",
            f"it has {many:,}, counted from 0" if many else "it has none yet",
            code="E-TRIALS-004",
        )
    columns = Columns(experiment.trials)
    ranked = [
        one.number
        for one in _ordered(experiment, experiment.finished, "", False, columns)
        if experiment.keeps(one)
        and not math.isnan(one.metrics.get(experiment.goal.metric, math.nan))
    ]
    place = ranked.index(number) + 1 if number in ranked else None
    trial = _whole(ws, {light.id}).get(light.id, light)
    return TrialDetail(experiment, trial, place, len(ranked))


def _drawn(ranked: Sequence[Trial]) -> list[Trial]:
    """The best, and as many others, evenly over the ranks."""
    done = [one for one in ranked if one.status in {"finished", "pruned", "running"}]
    half = CURVES // 2
    best, rest = done[:half], done[half:]
    step = max(1, len(rest) // half)
    return best + rest[step - 1 :: step][:half]


def _ordered(
    experiment: Experiment,
    trials: Sequence[Trial],
    sort: str,
    descending: bool,
    columns: Columns,
) -> list[Trial]:
    """In the order of a column, the best first by default; those without a value come last."""
    if not sort:
        goal = experiment.goal
        home, descending = ("metrics", goal.metric), goal.maximize
    else:
        home = columns.find(sort)
    have: list[tuple[Any, Trial]] = []
    lack: list[Trial] = []
    for one in trials:
        value = value_of(one, home)
        missing = value is None or (isinstance(value, float) and math.isnan(value))
        if missing or (not sort and not (one.status == "finished" and experiment.keeps(one))):
            lack.append(one)
        else:
            have.append((value, one))
    if not all(isinstance(value, int | float) for value, _ in have):
        have = [(str(value), one) for value, one in have]
    have.sort(key=lambda pair: pair[0], reverse=descending)
    if not sort:
        # What runs is news; then what breaks a constraint, and what failed or was given up.
        lack.sort(key=lambda one: (one.status != "running", one.status != "finished", -one.number))
    return [one for _, one in have] + lack


def _whole(ws: Workspace, ids: set[str]) -> dict[str, Trial]:
    with ws.read() as session:
        rows = session.scalars(select(TrialRecord).where(TrialRecord.id.in_(ids)))
        return {row.id: Trial.of(row) for row in rows}


def _sign(trial: Trial) -> tuple[str, int]:
    return trial.status, trial.attempts


def _lights(rows: Iterable[Any]) -> dict[int, Trial]:
    """Trials by number, from rows of `_LIGHT`."""
    found = list(rows)
    metrics = _read([row[5] for row in found])
    params = _read([row[6] for row in found])
    return {
        number or 0: Trial(identity, number or 0, status, started_at, seconds, values, given, [],
                           worker, attempts, {}, error, None, {}, False)
        for (identity, number, status, started_at, seconds, _, _, worker, attempts, error),
            values, given in zip(found, metrics, params, strict=True)
    }  # fmt: skip


def _read(texts: Sequence[str | None]) -> list[Any]:
    """Many JSON texts at once, which takes a tenth of the time of one after another."""
    read: list[Any] = json.loads(f"[{','.join(one or '{}' for one in texts)}]")
    return read
