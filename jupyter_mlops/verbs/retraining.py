"""Verbs that train models again, by themselves and behind gates."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from jupyter_mlops.verbs.table import verb

if TYPE_CHECKING:
    from jupyter_mlops.retraining import Decision, Decisions, Policies, Policy
    from jupyter_mlops.retraining.backtesting.results import Backtest
    from jupyter_mlops.workspace import Workspace


@verb("retrain", writes=True)
def retrain(
    ws: Workspace,
    model: str,
    *,
    notebook: str | None = None,
    when: str | None = None,
    every: str | None = None,
    gate: str | None = None,
    approve: Literal["person", "auto"] | None = None,
    window: str | None = None,
    hold: str | None = None,
    over: str | None = None,
    endpoint: str | None = None,
    set: list[str] | None = None,
    env: str | None = None,
    timeout: str | None = None,
    retries: int | None = None,
    runs_a_week: int | None = None,
    cpu_a_week: str | None = None,
    name: str | None = None,
) -> Policy:
    """Set when a model is trained again, and what the result must show before it serves.

    The workspace's agent looks every so often. When the condition holds it runs the notebook on
    the rows whose truth has come, without the newest, and judges what the notebook trained on
    these: rows that neither the challenger nor the champion has seen. A challenger that passes
    is promoted to champion and served, by itself or when a person approves it; any other is held,
    with reasons. A version that then does worse than the one before on the rows it answered goes
    back. Setting a policy again changes what is given and leaves the rest; one that was stopped
    stays so until `retrain resume`.

    The notebook's cell tagged `parameters` gets `data` (a dataset of the rows to train on),
    `since`, `until`, `policy` and `decision`.

    Parameters
    ----------
    model : str
        Its name.
    notebook : str
        The notebook that trains it.
    when : str
        A condition, such as "loss > champion_at_promotion.loss + 0.01 (95%)", "drift or
        age > 30d", "drifted > 2 and rows > 1000"; each time it looks if not given.
    every : str
        How often it looks, such as 7d; each day if not given.
    gate : str
        What the challenger must show on the rows held back; a loss below the champion's with the
        whole 95 % interval, days taken as blocks, if not given.
    approve : str
        Who lets a challenger that passes serve: a person, unless it says auto.
    window : str
        Rows to train on: expanding (the first training data and all rows with truth), or the
        newest such as 90d.
    hold : str
        The newest rows with truth, kept from training to judge by: 20% of them if not given, or
        a length such as 14d.
    over : str
        How much of the newest traffic the condition is answered on; 30d if not given.
    endpoint : str
        Whose traffic and truth; the one called like the model if not given.
    set : list of str
        Parameters of the notebook as NAME=VALUE, separated by commas.
    env : str
        The environment whose kernel runs the notebook.
    timeout : str
        How long the notebook may take; 12h if not given.
    retries : int
        How often a notebook that failed is run again; 1 if not given.
    runs_a_week : int
        Notebooks in seven days at the most; 0 for any number.
    cpu_a_week : str
        Processor time of notebooks in seven days at the most, such as 2h.
    name : str
        What the policy is called; the model's name if not given.

    Examples
    --------
    >>> %mlops retrain delay --notebook train.ipynb --when "drift or age > 30d" --every 7d
    >>> %mlops retrain delay --approve auto --runs-a-week 2
    """
    from jupyter_mlops import agent, retraining

    found = retraining.set_policy(
        ws,
        model,
        name=name,
        notebook=notebook,
        when=when,
        every=every,
        gate=gate,
        approve=approve,
        window=window,
        hold=hold,
        over=over,
        endpoint=endpoint,
        parameters=_parameters(set),
        env=env,
        timeout=timeout,
        retries=retries,
        runs_a_week=runs_a_week,
        cpu_a_week=cpu_a_week,
    )
    agent.ensure(ws)
    return found


@verb("retrain run", writes=True, isolated=True)
def retrain_run(
    ws: Workspace, policy: str, *, dry_run: bool = False, detach: bool = False
) -> Decision:
    """Let a policy decide now, whether it is due or not, and wait for the end.

    Parameters
    ----------
    policy : str
        Its name.
    dry_run : bool
        Answer the condition and say what would be trained on; nothing is trained or kept as
        decided.
    detach : bool
        Leave it to the agent, and don't wait.

    Examples
    --------
    >>> %mlops retrain run delay --dry-run
    """
    from jupyter_mlops import agent, retraining

    found = retraining.policy(ws, policy)
    if detach and not dry_run:
        begun = retraining.begin(ws, found)
        agent.ensure(ws)
        return begun
    return retraining.decide(ws, retraining.begin(ws, found, dry=dry_run, mine=True).ref)


@verb("retrain stop", writes=True)
def retrain_stop(ws: Workspace, policy: str) -> Policy:
    """Stop a policy, and end the notebook that it runs right now; nothing is promoted any more.

    Parameters
    ----------
    policy : str
        Its name.

    Examples
    --------
    >>> %mlops retrain stop delay
    """
    from jupyter_mlops import retraining

    return retraining.pause(ws, policy)


@verb("retrain resume", writes=True)
def retrain_resume(ws: Workspace, policy: str) -> Policy:
    """Let a stopped policy go on; it looks at once.

    Parameters
    ----------
    policy : str
        Its name.

    Examples
    --------
    >>> %mlops retrain resume delay
    """
    from jupyter_mlops import agent, retraining

    found = retraining.pause(ws, policy, paused=False)
    agent.ensure(ws)
    return found


@verb("retrain remove", writes=True)
def retrain_remove(ws: Workspace, policy: str) -> Policies:
    """Take a policy away; its decisions stay.

    Parameters
    ----------
    policy : str
        Its name.

    Examples
    --------
    >>> %mlops retrain remove delay
    """
    from jupyter_mlops import retraining

    retraining.remove(ws, policy)
    return retraining.list_policies(ws)


@verb("backtest", writes=True, isolated=True)
def backtest(
    ws: Workspace,
    policy: str,
    *,
    over: str | None = None,
    seeds: int = 1,
    share: float = 1.0,
    against: list[str] | None = None,
    cluster: str | None = None,
    when: str | None = None,
    every: str | None = None,
    window: str | None = None,
    hold: str | None = None,
    gate: str | None = None,
) -> Backtest:
    """Play a policy through the traffic and the truth there are, beside others.

    At each look it knows what was known then. A fresh clone of the model's estimator is fitted in
    place of the notebook. It is held against training never, at each look with and without a
    gate, on drift, and on a worse loss. Terms that are given here are tried in place of the
    policy's own, which stay as they are.

    Parameters
    ----------
    policy : str
        Its name.
    over : str
        How much of the newest traffic, such as 365d; all of it if not given.
    seeds : int
        How often it is played, each time with other random numbers and other rows.
    share : float
        Of the rows that each seed draws.
    against : list of str
        Some of never, always, schedule, "on drift" and "on loss"; all if not given.
    cluster : str
        Play them at the same time on a Dask cluster: auto, a name, or an address.
    when : str
        Another condition.
    every : str
        Another time between looks.
    window : str
        Other rows to train on.
    hold : str
        Other rows to judge by.
    gate : str
        Another gate.

    Examples
    --------
    >>> %mlops backtest delay --every 30d
    >>> %mlops backtest delay --when drift --seeds 5 --share 0.4 --cluster auto
    """
    from dataclasses import replace

    from jupyter_mlops import retraining
    from jupyter_mlops.retraining.backtesting import backtest as playing
    from jupyter_mlops.retraining.backtesting.spreading import on_cluster

    found = retraining.policy(ws, policy)
    terms = found.terms.but(when=when, every=every, window=window, hold=hold, gate=gate)
    return playing.backtest(
        ws,
        replace(found, terms=terms),
        over=over,
        seeds=seeds,
        share=share,
        rivals=against,
        run=on_cluster(ws, cluster) if cluster else None,
    )


@verb("policies")
def policies(ws: Workspace, name: str | None = None) -> Policies | Policy:
    """List policies with when they look next, or show one.

    Parameters
    ----------
    name : str
        Show this one alone.

    Examples
    --------
    >>> %mlops policies
    >>> %mlops policies delay
    """
    from jupyter_mlops import retraining

    return retraining.list_policies(ws) if name is None else retraining.policy(ws, name)


@verb("decisions")
def list_decisions(ws: Workspace, name: str | None = None) -> Decisions | Decision:
    """List what policies decided and why, or show one decision with all it rests on.

    Parameters
    ----------
    name : str
        A policy, whose decisions are listed; or a decision (decision:ID), which is shown in full.

    Examples
    --------
    >>> %mlops decisions delay
    >>> %mlops decisions decision:01936f2e
    """
    from jupyter_mlops import retraining

    if name is not None and name.startswith("decision:"):
        return retraining.decision(ws, name)
    if name is not None:
        name = retraining.policy(ws, name).name if not _decided(ws, name) else name
    return retraining.list_decisions(ws, name)


def _decided(ws: Workspace, name: str) -> bool:
    """Whether there are decisions of a policy, which may be gone itself."""
    from jupyter_mlops import retraining

    return bool(retraining.list_decisions(ws, name, limit=1).total)


def _parameters(given: list[str] | None) -> dict[str, Any] | None:
    from jupyter_mlops.workspace import Invalid
    from jupyter_mlops.workspace.errors import about

    if given is None:
        return None
    found: dict[str, Any] = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not equals or not key.isidentifier():
            with about("set"):
                raise Invalid(
                    f"{one!r} is no parameter of a notebook",
                    fix="write --set NAME=VALUE,OTHER=VALUE",
                    code="E-RETRAIN-040",
                )
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value  # a word is a text
    return found
