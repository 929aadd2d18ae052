"""Labels that are most likely wrong, found by models that haven't seen them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
from sqlalchemy import select, update

from jupyter_mlops.labeling.choosing import suspicion
from jupyter_mlops.labeling.membership import demand
from jupyter_mlops.labeling.progress import shown
from jupyter_mlops.labeling.ranking import Predict, alone, learner
from jupyter_mlops.labeling.records import ItemRecord, TaskRecord
from jupyter_mlops.labeling.tasks import Task, get, locked
from jupyter_mlops.labeling.vectors import vectors as describe
from jupyter_mlops.workspace.errors import Conflict, Invalid, Unavailable
from jupyter_mlops.workspace.results import Result

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["Suspect", "Suspects", "suspects"]

By = Literal["confident-learning", "cleanlab"]
LEAST = 20
MOST = 50_000
_FOLDS = 5


@dataclass(frozen=True)
class Suspect:
    """A label that may be wrong; `score` is one minus the probability the label is given."""

    item: int
    key: str
    shown: str
    label: str
    likely: str
    score: float


@dataclass(frozen=True)
class Suspects(Result):
    """The labels that most likely are wrong, the worst first; `queued` wait for a reviewer."""

    task: Task
    looked: int
    total: int
    queued: int
    items: tuple[Suspect, ...]
    by: By = "confident-learning"


def suspects(
    ws: Workspace,
    name: str,
    *,
    by: By = "confident-learning",
    predict: Predict | None = None,
    vectors: Callable[[Sequence[int]], npt.ArrayLike] | None = None,
    count: int = 50,
    queue: bool = False,
) -> Suspects:
    """Find labels that are most likely wrong.

    Parameters
    ----------
    ws : Workspace
        Its user must be a reviewer.
    name : str
        The task's name or id.
    by : {"confident-learning", "cleanlab"}
        What judges: `choosing.suspicion`, or cleanlab (the extra ``cleanlab``), which says of
        how many labels of each class it may be so, and names that many.
    predict : callable, optional
        Items' numbers to probabilities, from a model that wasn't trained on these labels.
        Without it five logistic regressions each learn from four fifths of the labels and
        judge the rest.
    vectors : callable, optional
        Items' numbers to vectors; made from the items' content unless given.
    count : int
        How many to return at the most.
    queue : bool
        Whether to put them before reviewers, as items that people disagree about.

    Returns
    -------
    Suspects

    Raises
    ------
    Conflict
        There are too few labels to tell.
    Unavailable
        cleanlab is asked for and isn't installed.
    """
    task = get(ws, name)
    if task.answer != "class":
        raise Invalid(
            f"labels of {task.name!r} can't be judged",
            f"it asks for {task.answer}; a model judges one class an item",
            code="E-LABEL-123",
        )
    with ws.read() as session:
        demand(session, session.get_one(TaskRecord, task.id), ws.user, "reviewer")
        wanted = (ItemRecord.task == task.id) & (ItemRecord.state == "labeled")
        rows = session.scalars(
            select(ItemRecord)
            .where(wanted, ItemRecord.label.is_not(None))
            .order_by(ItemRecord.item)
            .limit(MOST)
        ).all()
        session.expunge_all()
    codes = {one: number for number, one in enumerate(task.classes)}
    said = np.array([codes[str(row.label)] for row in rows], np.int64)
    items = [row.item for row in rows]
    if predict is not None and items:
        probabilities = np.asarray(predict(items), float)
    else:
        _enough(task, said)
        points = vectors(items) if vectors is not None else describe(ws, task, items)
        with alone():
            probabilities = _out_of_sample(np.asarray(points, float), said, len(codes))
    score, wrong = (_cleanlab if by == "cleanlab" else suspicion)(probabilities, said)
    order = [int(one) for one in np.argsort(-score, kind="stable") if wrong[one]]
    found = tuple(
        Suspect(
            rows[one].item,
            rows[one].key or "",
            shown(rows[one]),
            str(rows[one].label),
            task.classes[int(probabilities[one].argmax())],
            float(score[one]),
        )
        for one in order[:count]
    )
    queued = _queue(ws, task, [one.item for one in found]) if queue else 0
    return Suspects(task, len(rows), len(order), queued, found, by)


def _cleanlab(
    probabilities: npt.NDArray[np.float64], said: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """What `suspicion` says, by cleanlab's estimate of the joint of given and true labels."""
    try:
        from cleanlab.filter import find_label_issues
        from cleanlab.rank import get_label_quality_scores
    except ImportError:
        raise Unavailable(
            "cleanlab isn't installed",
            fix="`pip install jupyter_mlops[cleanlab]`, or leave --by away",
            code="E-LABEL-126",
        ) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # on classes that nobody was given yet
        # One process: this one may hold a store's connections, which don't survive a fork.
        wrong = find_label_issues(said, probabilities, n_jobs=1)
    score = 1 - get_label_quality_scores(said, probabilities)
    return np.asarray(score, float), np.asarray(wrong, bool)


def _enough(task: Task, said: npt.NDArray[np.int64]) -> None:
    counts = np.bincount(said) if len(said) else np.zeros(1, np.int64)
    if len(said) < LEAST or (counts > 1).sum() < 2:
        raise Conflict(
            f"{task.name!r} has too few labels to tell which are wrong",
            f"there are {len(said):,}; {LEAST} of two classes or more are the least",
            "label more, or give a model with --model",
            code="E-LABEL-124",
        )


def _out_of_sample(
    points: npt.NDArray[np.float64], said: npt.NDArray[np.int64], size: int
) -> npt.NDArray[np.float64]:
    """Probabilities from models that were trained without the item."""
    from sklearn.model_selection import KFold

    found = np.full((len(said), size), 1 / size)
    for train, test in KFold(_FOLDS, shuffle=True, random_state=0).split(points):
        if len(np.unique(said[train])) < 2:
            continue
        model = learner().fit(points[train], said[train])
        found[test] = 0
        found[np.ix_(test, model.classes_)] = model.predict_proba(points[test])
    return found


def _queue(ws: Workspace, task: Task, items: list[int]) -> int:
    if not items:
        return 0
    with ws.write() as tx:
        row = locked(tx.session, task.id)
        demand(tx.session, row, ws.user, "reviewer")
        done = tx.session.execute(
            update(ItemRecord)
            .where(
                ItemRecord.task == task.id,
                ItemRecord.item.in_(items),
                ItemRecord.state == "labeled",
            )
            .values(disputed=True)
            .execution_options(synchronize_session=False)
            .returning(ItemRecord.item)
        ).all()
        tx.emit("label.suspected", task.ref, payload={"items": sorted(one[0] for one in done)})
    return len(done)
