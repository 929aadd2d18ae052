"""Verbs that look through experiments: lists, pages of trials, winners, and what is better."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_mlops.verbs.table import verb

if TYPE_CHECKING:
    from jupyter_mlops.experiments.browsing import TrialDetail, TrialPage
    from jupyter_mlops.experiments.contest import Contest
    from jupyter_mlops.experiments.studies import Experiments
    from jupyter_mlops.experiments.winner import Winner
    from jupyter_mlops.workspace import Workspace


@verb("experiment ls")
def experiment_ls(ws: Workspace) -> Experiments:
    """List experiments, the newest first, with how many of their trials are done.

    Examples
    --------
    >>> %mlops experiment ls
    """
    from jupyter_mlops.experiments import browsing

    return browsing.overview(ws)


@verb("experiment show")
def experiment_show(
    ws: Workspace,
    name: str,
    *,
    trial: int | None = None,
    where: str = "",
    sort: str = "",
    descending: bool = False,
    page: int | None = None,
    size: int = 20,
) -> TrialPage | TrialDetail:
    """Show an experiment: what was found, how it went, and its trials, the best first.

    Parameters
    ----------
    name : str
        The experiment: its name, which means the latest, or experiment:1f3c.
    trial : int
        The number of one trial to show instead.
    where : str
        Only trials for which this holds, such as "lr < 0.1 and status = finished".
    sort : str
        A metric, a parameter, number or seconds; trials that lack it come last.
    descending : bool
        Whether the greatest comes first.
    page : int
        Counted from 1. With it, --where or --sort the trials alone are shown.
    size : int
        Trials on a page, 200 at most.

    Examples
    --------
    >>> %mlops experiment show delay --where "lr < 0.1 and status = finished" --sort seconds
    """
    from jupyter_mlops.experiments import browsing

    if trial is not None:
        return browsing.find_trial(ws, name, trial)
    return browsing.browse(
        ws,
        name,
        where=where,
        sort=sort,
        descending=descending,
        page=1 if page is None else page,
        size=size,
        whole=page is None and not where.strip() and not sort,
    )


@verb("experiment winner")
def experiment_winner(ws: Workspace, name: str, *, trial: int | None = None) -> Winner:
    """Write the best trial's parameters as a cell, with the line that registers its model.

    Parameters
    ----------
    name : str
        The experiment.
    trial : int
        Another trial instead of the best.

    Examples
    --------
    >>> %mlops experiment winner delay
    """
    from jupyter_mlops.experiments.winner import winner

    return winner(ws, name, trial)


@verb("experiment compare")
def experiment_compare(
    ws: Workspace,
    a: str,
    b: str,
    c: str | None = None,
    d: str | None = None,
    e: str | None = None,
    f: str | None = None,
) -> Contest:
    """Put up to six runs, trials or experiments' best trials side by side.

    Where two kept their predictions on the same rows, the difference comes with an interval.

    Parameters
    ----------
    a : str
        An experiment, which means its best trial; delay/12, its trial 12; or run:1f3c.
    b : str
        Another one.
    c : str
        A third one.
    d : str
        A fourth one.
    e : str
        A fifth one.
    f : str
        A sixth one.

    Examples
    --------
    >>> %mlops experiment compare delay delay/12 run:1f3c
    """
    from jupyter_mlops.experiments.contest import contest

    return contest(ws, [one for one in (a, b, c, d, e, f) if one is not None])
