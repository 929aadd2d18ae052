"""Verbs that run many trials of a cell, and go on with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from jupyter_mlops.verbs.table import Body, Data, Namespace, verb

if TYPE_CHECKING:
    from jupyter_mlops.experiments import Run
    from jupyter_mlops.experiments.driver import Verification, Watch
    from jupyter_mlops.experiments.studies import Experiment
    from jupyter_mlops.workspace import Workspace


@verb("experiment", writes=True, isolated=True)
def experiment(
    ws: Workspace,
    name: str,
    body: Body = "",
    namespace: Namespace = {},  # noqa: B006  never changed; the magic hands in the kernel's
    *,
    metric: list[str],
    maximize: bool = False,
    trials: int = 20,
    data: Data | None = None,
    labels: str | None = None,
    model: str | None = None,
    target: str | None = None,
    valid: Data | None = None,
    metrics: list[str] | None = None,
    sampler: Literal[
        "auto", "random", "tpe", "gp", "cmaes", "nsga2", "nsga3", "grid", "qmc"
    ] = "auto",
    pruner: Literal["none", "median", "percentile", "halving", "hyperband", "patient"] = "none",
    timeout: str | None = None,
    trial_timeout: str | None = None,
    budget: str | None = None,
    patience: int | None = None,
    constraints: list[str] | None = None,
    nested: int | None = None,
    keep: int = 1,
    seed: int | None = None,
    cluster: str = "auto",
    workers: int | None = None,
    env: str | None = None,
    gpus: int = 0,
    gpu_memory: str | None = None,
    warm_start: str | None = None,
    call: Data | None = None,
    resume: bool = False,
    detach: bool = False,
    one_model: bool = False,
) -> Experiment | Run:
    """Run a cell many times with other parameters, in parallel, and keep what is best.

    The body is one trial. It asks for parameters where it uses them, as in
    `lr = suggest.float("lr", 1e-4, 1e-1, log=True)`, and sets the metric. `report(step, value)`
    lets the search end a trial that promises little; `trial.seed` is its own; `evaluate(...)`
    cross-validates; `notebook(path, lr=lr)` runs a notebook and returns its numbers.

    Parameters
    ----------
    name : str
        What the experiment is called.
    metric : list of str
        What the cell sets and the search improves; loss:min,auc:max for several. An array, one
        number for each held-out row, counts as its mean, and lets the luck of the best be told.
    maximize : bool
        More of the metric is better.
    trials : int
        How many.
    data : Data
        A dataset that the body sees as a pandas frame called `data`.
    labels : str
        A labeling task's labels, such as tickets@2, or tickets as they are now; the body sees
        them as a pandas frame called `labels`, with the columns item, label and content.
    model : str
        The variable that holds the model after the body; `model` when the cell sets it.
    target : str
        The column to predict.
    valid : Data
        Held-out rows with the target, on which each trial's model is scored.
    metrics : list of str
        Which scores to compute on them, such as log_loss,auc; all that fit when not given.
    sampler : str
        How parameters are suggested. `auto` draws at random first, then learns (TPE), or keeps
        a front of trade-offs where there are several metrics (NSGA-II).
    pruner : str
        How trials that report are ended early.
    timeout : str
        Wall time after which no more trials begin: 90s, 10m, 2h.
    trial_timeout : str
        Wall time after which a trial is ended and has failed, whatever it hangs in.
    budget : str
        CPU time of all trials after which no more begin.
    patience : int
        Trials without a better value after which it ends.
    constraints : list of str
        Numbers the cell sets that must not be above 0 in a trial worth choosing.
    nested : int
        Outer folds by which the search as a whole is validated, where the cell calls
        `evaluate(...)`: in each, trials are compared without the rows that the best is scored on.
    keep : int
        How many of the best models are kept.
    seed : int
        Seeds the search, and through it each trial; drawn and recorded when not given.
    cluster : str
        auto (this machine's cores or GPUs), the name of a cluster or of a profile in the
        settings, or the address of a Dask scheduler.
    workers : int
        Trials at a time; as many as there are cores when not given.
    env : str
        The environment that trials run in, as `env create` made it.
    gpus : int
        GPUs that each trial needs. They are asked for in turn with others, and held by the
        cluster as long as it runs.
    gpu_memory : str
        Instead, memory of one GPU that each trial needs, such as 8GB; several share a GPU.
    warm_start : str
        An earlier experiment whose trials the search learns from.
    call : Data
        A {function} that is the trial, instead of a cell: it takes `suggest`, and by their names
        `report`, `trial`, `evaluate` and `notebook`, and returns the metric or a dict of metrics.
    resume : bool
        Go on with the latest experiment of this name, cell and plan, if there is one: what ended
        is kept, and nothing is run again once all is done.
    detach : bool
        Go on under the agent, also after this process is gone.
    one_model : bool
        Run the cell once, with the whole cluster: `client` is Dask's, and what scikit-learn does
        in parallel is done by its workers.

    Examples
    --------
    >>> %%mlops experiment delay --metric log_loss --trials 64
    ... C = suggest.float("C", 1e-3, 1e2, log=True)
    ... model = LogisticRegression(C=C).fit(X_train, y_train)
    ... log_loss = metrics.log_loss(y_valid, model.predict_proba(X_valid))
    """
    from jupyter_mlops import labeling, models
    from jupyter_mlops.experiments import driver

    __tracebackhide__ = True
    asked = driver.Asked(
        metric=metric,
        maximize=maximize,
        trials=trials,
        data=data,
        labels=None if labels is None else labeling.label_set(ws, labels),
        model=model,
        target=target,
        valid=valid,
        metrics=metrics,
        sampler=sampler,
        pruner=pruner,
        timeout=timeout,
        trial_timeout=trial_timeout,
        budget=budget,
        patience=patience,
        constraints=constraints,
        nested=nested,
        seed=seed,
        keep=keep,
        cluster=cluster,
        workers=workers,
        environment=env,
        gpus=gpus,
        gpu_memory=gpu_memory,
        warm_start=warm_start,
        call=call,
        detached=detach,
    )
    if one_model:
        return driver.train_on_cluster(ws, name, body, asked, namespace, models.freeze, _watch())
    plan = {"trials": trials, "sampler": sampler, "pruner": pruner, "nested": nested, "keep": keep}
    before = driver.begun_before(ws, name, body, plan) if resume else None
    if before is not None:
        return before if before.status == "finished" else _go_on(ws, before, detach)
    begun = driver.launch(ws, name, body, asked, namespace)
    if detach:
        from jupyter_mlops import agent
        from jupyter_mlops.experiments.studies import find_experiment

        agent.ensure(ws)
        return find_experiment(ws, begun)
    return driver.drive(ws, begun, models.freeze, _watch())


@verb("experiment resume", writes=True, isolated=True)
def resume(ws: Workspace, name: str, *, detach: bool = False) -> Experiment:
    """Go on with an experiment whose process was interrupted or died; what ended is kept.

    Parameters
    ----------
    name : str
        The experiment: its name, which means the latest, or experiment:1f3c.
    detach : bool
        Go on under the agent, also after this process is gone.

    Examples
    --------
    >>> %mlops experiment resume delay
    """
    from jupyter_mlops.experiments.studies import find_experiment

    return _go_on(ws, find_experiment(ws, name), detach)


def _go_on(ws: Workspace, found: Experiment, detach: bool) -> Experiment:
    from jupyter_mlops import models
    from jupyter_mlops.experiments import driver

    if detach:
        from jupyter_mlops import agent
        from jupyter_mlops.experiments.studies import find_experiment

        driver.detach(ws, found.id)
        agent.ensure(ws)
        return find_experiment(ws, found.id)
    return driver.drive(ws, found.id, models.freeze, _watch())


@verb("experiment stop", writes=True)
def stop(ws: Workspace, name: str, *, trial: int | None = None) -> Experiment:
    """Stop a running experiment, or one of its trials, from anywhere; what ended is kept.

    Parameters
    ----------
    name : str
        The experiment.
    trial : int
        The number of the one trial to stop.

    Examples
    --------
    >>> %mlops experiment stop delay --trial 12
    """
    from jupyter_mlops.experiments import driver

    return driver.stop(ws, name) if trial is None else driver.stop_trial(ws, name, trial)


@verb("experiment enqueue", writes=True)
def enqueue(ws: Workspace, name: str, *, params: str) -> Experiment:
    """Have a running experiment try the parameters you choose next.

    Parameters
    ----------
    name : str
        The experiment.
    params : str
        lr=0.1,depth=4; what is left out is suggested.

    Examples
    --------
    >>> %mlops experiment enqueue delay --params lr=0.1,depth=4
    """
    from jupyter_mlops.experiments import driver

    return driver.enqueue(ws, name, driver.read_params(params))


@verb("verify", writes=True, isolated=True)
def verify(ws: Workspace, run: str) -> Verification:
    """Run a trial again from what was recorded, and say whether its numbers come out the same.

    Parameters
    ----------
    run : str
        A trial's run: run:1f3c, or an experiment's name, which means its latest.

    Examples
    --------
    >>> %mlops verify run:1f3c
    """
    from jupyter_mlops.experiments import driver

    return driver.verify(ws, run)


def _watch() -> Watch:
    from jupyter_mlops.experiments.driver import Watch
    from jupyter_mlops.verbs.progress import teller_of_search

    return Watch(step=teller_of_search())
