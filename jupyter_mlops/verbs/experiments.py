"""Verbs that train, list and compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from jupyter_mlops.verbs.table import Body, Data, Namespace, verb

if TYPE_CHECKING:
    from jupyter_mlops.experiments import Comparison, Run, Runs
    from jupyter_mlops.workspace import Workspace


@verb("train", writes=True, isolated=True)
def train(
    ws: Workspace,
    name: str,
    body: Body,
    namespace: Namespace,
    *,
    data: Data | None = None,
    labels: str | None = None,
    model: str = "model",
    target: str | None = None,
    valid: Data | None = None,
    seed: int | None = None,
    metrics: list[str] | None = None,
    contract: str | None = None,
    contract_mode: Literal["fail", "observe", "quarantine"] = "fail",
) -> Run:
    """Run a cell that trains a model, and record all that its outcome depends on.

    The body is Python. It binds a fitted model, and may bind a dict `metrics` of numbers.

    Parameters
    ----------
    name : str
        What the runs of this cell are called.
    data : Data
        Training data; the body sees it as a pandas frame called `data`.
    labels : str
        A labeling task's labels, such as tickets@2, or tickets as they are now; the body sees
        them as a pandas frame called `labels`, with the columns item, label and content.
    model : str
        The variable that holds the model after the body.
    target : str
        The column to predict.
    valid : Data
        Held-out rows with the target, on which the model is scored: a dataset, a
        {frame}, or the name of a frame that the body binds.
    seed : int
        Seeds Python's and NumPy's generators; drawn and recorded when not given.
    metrics : list of str
        Which scores to compute, such as log_loss,auc; all that fit when not given.
    contract : str
        A contract that the training data is checked against before the body runs.
    contract_mode : str
        When the data breaks it: fail, go on and say so (observe), or go on without the rows
        that break it (quarantine).

    Examples
    --------
    >>> %%mlops train delay --data flights --target late --valid {february}
    ... model = LogisticRegression().fit(data[columns], data["late"])
    """
    from jupyter_mlops import experiments, labeling
    from jupyter_mlops.models.freezing import freezer

    __tracebackhide__ = True
    return experiments.train(
        ws,
        name,
        body,
        freeze=freezer(ws, name),
        namespace=namespace,
        data=data,
        labels=None if labels is None else labeling.label_set(ws, labels),
        model=model,
        target=target,
        valid=valid,
        seed=seed,
        metrics=metrics,
        contract=contract,
        contract_mode=contract_mode,
    )


@verb("runs")
def runs(ws: Workspace, name: str | None = None) -> Runs | Run:
    """List runs, the newest first, or show one.

    Parameters
    ----------
    name : str
        Only the runs of that name; or run:1f3c, which shows that run alone.

    Examples
    --------
    >>> %mlops runs delay
    """
    from jupyter_mlops import experiments

    if name is not None and name.startswith("run:"):
        return experiments.find_run(ws, name)
    found = experiments.runs(ws, name)
    experiments.send_overdue(ws)
    return found


@verb("compare")
def compare(
    ws: Workspace,
    a: str,
    b: str,
    *,
    by: list[str] | None = None,
    metric: str | None = None,
) -> Comparison:
    """Say whether one run is better than another on the same validation rows.

    Parameters
    ----------
    a : str
        A run: its id, the beginning of it, or a name, which means its latest.
    b : str
        Another one.
    by : list of str
        Columns that group rows which aren't independent, such as the day.
    metric : str
        log_loss, brier or error_rate; squared_error or absolute_error of numbers.

    Examples
    --------
    >>> %mlops compare delay baseline --by month,day
    """
    from jupyter_mlops import experiments

    return experiments.compare(ws, a, b, by=by, metric=metric)
