"""Verbs that choose what to label next, and that propose labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from jupyter_mlops.verbs.table import Data, verb

if TYPE_CHECKING:
    from jupyter_mlops.labeling import Ranking, Suspects, Task, Votes
    from jupyter_mlops.workspace import Workspace

Chosen = Literal["margin-kmeans", "margin", "entropy", "least-confident", "rarest", "random"]


@verb("label pick", writes=True)
def label_pick(
    ws: Workspace,
    task: str,
    *,
    by: Chosen = "margin-kmeans",
    model: str | None = None,
    batch: int = 10,
) -> Ranking:
    """Let a strategy choose what is labelled next, now and after each batch of labels.

    Some items are drawn at random and mixed in: the accuracy that is shown comes from them
    alone. The agent puts the queue in order beside those who label.

    Parameters
    ----------
    task : str
        The task; only its owner may.
    by : str
        The strategy.
    model : str
        A registered model that gives probabilities; without one a logistic regression learns
        from the labels.
    batch : int
        After how many labels the queue is put in order again.

    Examples
    --------
    >>> %mlops label pick digits --by margin-kmeans
    """
    from jupyter_mlops import agent, labeling

    labeling.pick(ws, task, strategy_name=by, model=model or "", batch=batch)
    ranking = label_rank(ws, task)
    agent.ensure(ws)
    return ranking


@verb("label rank", writes=True)
def label_rank(
    ws: Workspace,
    task: str,
    *,
    by: Chosen | None = None,
    strategy: Data | None = None,
    model: Data | None = None,
    features: Data | None = None,
) -> Ranking:
    """Put a task's queue in order, once, by what a model is least sure about.

    Parameters
    ----------
    task : str
        The task.
    by : str
        The strategy; the task's own unless given.
    strategy : Data
        Instead, in Python an object with score(pool), such as one of another library.
    model : Data
        A registered model, or in Python an object with predict_proba.
    features : Data
        What the model takes, a row an item; the task's data unless given.

    Examples
    --------
    >>> %mlops label rank digits --by entropy
    >>> %mlops label rank digits --model {classifier} --features {X}
    >>> %mlops label rank digits --strategy {mine}
    """
    from jupyter_mlops import labeling

    found = labeling.get(ws, task)
    named = model if model is not None else (found.settings.get("pick") or {}).get("model") or None
    return labeling.rank(
        ws,
        task,
        by=by if strategy is None else strategy,
        predict=_predictor(ws, found, named, features),
        vectors=_vectors(ws, features) if named is None else None,
    )


@verb("label suspects", writes=True)
def label_suspects(
    ws: Workspace,
    task: str,
    *,
    by: Literal["confident-learning", "cleanlab"] = "confident-learning",
    model: Data | None = None,
    features: Data | None = None,
    count: int = 20,
    queue: bool = False,
) -> Suspects:
    """Find labels that are most likely wrong.

    Parameters
    ----------
    task : str
        The task; only its reviewers and its owner may.
    by : str
        How: built in, or by cleanlab where it is installed.
    model : Data
        A registered model, or in Python an object with predict_proba, that wasn't trained on
        these labels; without one, models are trained on parts of them.
    features : Data
        What the model takes, a row an item; the task's data unless given.
    count : int
        How many at the most.
    queue : bool
        Put them before the reviewers.

    Examples
    --------
    >>> %mlops label suspects digits --queue
    """
    from jupyter_mlops import labeling

    found = labeling.get(ws, task)
    return labeling.suspects(
        ws,
        task,
        by=by,
        predict=_predictor(ws, found, model, features),
        vectors=_vectors(ws, features) if model is None else None,
        count=count,
        queue=queue,
    )


@verb("label functions", writes=True)
def label_functions(
    ws: Workspace,
    task: str,
    functions: Data,
    *,
    combine: Literal["dawid-skene", "majority"] = "dawid-skene",
    suggest: bool = False,
    least: float = 0.5,
) -> Votes:
    """Let labeling functions vote on a task's items; show coverage, conflicts and accuracy.

    Parameters
    ----------
    task : str
        The task.
    functions : Data
        A list of functions that take an item's text, or its row as a dict, and return a class,
        or None where they can't tell.
    combine : str
        How votes become probabilities.
    suggest : bool
        Propose the likeliest class beside each open item.
    least : float
        The probability below which nothing is proposed.

    Examples
    --------
    >>> %mlops label functions remarks {[fog, crew]} --suggest
    """
    from dataclasses import replace

    from jupyter_mlops import labeling
    from jupyter_mlops.workspace import Invalid

    given = [functions] if callable(functions) else functions
    if not isinstance(given, list | tuple) or not all(map(callable, given)):
        raise Invalid(
            "labeling functions are given as a list of Python functions",
            fix="`%mlops label functions TASK {[first, second]}`",
            code="E-LABEL-130",
        )
    votes = labeling.apply_functions(ws, task, given, combine=combine)
    if not suggest:
        return votes
    items = [int(one) for one in votes.voted.nonzero()[0]]
    table = votes.probabilities[items]
    count = labeling.suggest(ws, task, table, by="functions", items=items, least=least)
    return replace(votes, suggested=count)


def _predictor(
    ws: Workspace, task: Task, model: Any, features: Any
) -> Callable[[Sequence[int]], Any] | None:
    """What gives items' probabilities, in the order of the task's classes."""
    if model is None:
        return None
    import numpy as np

    from jupyter_mlops.workspace import Invalid

    columns: list[str] = []
    if isinstance(model, str):
        from jupyter_mlops import models

        version = models.get(ws, model)
        columns = [str(one["name"]) for one in version.signature.get("inputs", []) if "name" in one]
        loaded: Any = models.load(ws, version)
    else:
        loaded = model
    if not hasattr(loaded, "predict_proba"):
        raise Invalid(
            f"{model if isinstance(model, str) else type(model).__name__} can't choose",
            "it gives no probabilities: it has no predict_proba",
            "use a classifier",
            code="E-LABEL-131",
        )
    rows = _inputs(ws, task, features, columns)
    names = [str(one) for one in getattr(loaded, "classes_", task.classes)]
    known = {name: number for number, name in enumerate(task.classes)}
    if unknown := [name for name in names if name not in known]:
        raise Invalid(
            f"the model knows a class {unknown[0]!r} that {task.name!r} hasn't",
            f"the task's classes are {', '.join(task.classes[:20])}",
            code="E-LABEL-132",
        )

    def predict(items: Sequence[int]) -> Any:
        found = np.zeros((len(items), len(known)))
        if len(items):
            given = np.asarray(loaded.predict_proba(rows(items)), float)
            if given.shape != (len(items), len(names)):
                raise Invalid(
                    "the model's probabilities don't fit the task",
                    f"they have the shape {given.shape} for {len(items):,} items "
                    f"and {len(names)} classes",
                    code="E-LABEL-133",
                )
            found[:, [known[name] for name in names]] = given
        return found

    return predict


def _inputs(
    ws: Workspace, task: Task, features: Any, columns: list[str]
) -> Callable[[Sequence[int]], Any]:
    """What a model takes for some items."""
    import numpy as np

    from jupyter_mlops import data as room
    from jupyter_mlops import labeling
    from jupyter_mlops.workspace import Invalid

    if isinstance(features, np.ndarray):
        return lambda items: features[list(items)]
    source = features if features is not None else task.data_ref
    if source is not None:
        frame = room.resolve(ws, source).scan().collect().to_pandas()
        if len(frame) != task.counts.total:
            raise Invalid(
                f"the features don't fit {task.name!r}",
                f"they have {len(frame):,} rows, the task {task.counts.total:,} items",
                code="E-LABEL-134",
            )
        known = [one for one in columns if one in frame.columns]
        return lambda items: frame.iloc[list(items)][known or list(frame.columns)]
    if task.kind == "text":
        return lambda items: labeling.texts(ws, task, items)
    raise Invalid(
        f"there is nothing to give the model for {task.name!r}",
        "the task was made from a frame, which isn't stored",
        "give --features with a row an item",
        code="E-LABEL-135",
    )


def _vectors(ws: Workspace, features: Any) -> Callable[[Sequence[int]], Any] | None:
    """Vectors from a table of numbers."""
    if features is None:
        return None
    import numpy as np

    if isinstance(features, np.ndarray):
        return lambda items: features[list(items)].reshape(len(items), -1)
    from jupyter_mlops import data as room

    frame = room.resolve(ws, features).scan().collect().to_numpy()
    return lambda items: frame[list(items)]
