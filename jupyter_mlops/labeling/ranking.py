"""The queue in a new order, and how good the model is by items that nobody chose.

A ranking reads without a lock, thinks as long as it has to, and writes the new order in one
short transaction: it never keeps a label waiting.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from jupyter_mlops.labeling.choosing import DEFAULT, Pool, strategy
from jupyter_mlops.labeling.coefficients import Estimate, wilson
from jupyter_mlops.labeling.desk import OPEN
from jupyter_mlops.labeling.membership import demand
from jupyter_mlops.labeling.records import ItemRecord, TaskRecord
from jupyter_mlops.labeling.rules import Rules
from jupyter_mlops.labeling.tasks import Task, get, locked
from jupyter_mlops.labeling.vectors import vectors as describe
from jupyter_mlops.workspace.errors import Invalid
from jupyter_mlops.workspace.records import utcnow
from jupyter_mlops.workspace.results import Result

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["Predict", "Ranking", "last_ranking", "learner", "pick", "rank"]

Floats = npt.NDArray[np.float64]
Predict = Callable[[Sequence[int]], Floats]
"""Items' numbers in, probabilities out: shape (items, classes), in the order of the task's."""

MOST_SCORED = 20_000
MOST_AUDITED = 5_000
# How far the queue is put in order: enough for many people until the next ranking.
LEAST_RANKED, BATCHES_RANKED = 200, 20


@dataclass(frozen=True)
class Ranking(Result):
    """How a task's queue was last put in order.

    `accuracy` is that of the model on items drawn at random, which it was not trained on,
    with Wilson's 95 % interval; the items a strategy chose are harder than most and would
    mislead. `labeled` counts the labels there were, `scored` the items looked at.
    """

    task: Task
    epoch: int
    strategy: str
    model: str
    batch: int
    labeled: int
    scored: int
    ranked: int
    accuracy: Estimate
    seconds: float
    at: str


def pick(
    ws: Workspace,
    name: str,
    *,
    strategy_name: str = DEFAULT,
    model: str = "",
    batch: int = 10,
    seed: int = 0,
) -> Task:
    """Let a strategy choose what is labelled next, from now on.

    A share of the open items, the task's `audit`, is drawn at random and mixed in among the
    chosen: by their labels alone the model's accuracy is told.

    Parameters
    ----------
    ws : Workspace
        Its user must own the task.
    name : str
        The task's name or id.
    strategy_name : str
        One of `jupyter_mlops.labeling.choosing.STRATEGIES`.
    model : str
        What gives probabilities, as a reference for others; empty for a logistic regression
        that learns from the labels.
    batch : int
        How many new labels it takes until the queue is put in order again, 1 to 1,000.
    seed : int
        Which items are drawn.

    Raises
    ------
    Denied, Invalid
        The user isn't the owner, or the strategy or the batch can't be used.
    """
    strategy(strategy_name)
    if not 1 <= batch <= 1000:
        raise Invalid(f"a batch can't have {batch} items", "it has 1 to 1,000", code="E-LABEL-117")
    with ws.write() as tx:
        row = locked(tx.session, name)
        demand(tx.session, row, ws.user, "owner")
        if "pick" not in row.settings:
            _draw_audits(tx.session, row, Rules.of(row.settings).audit, seed)
        chosen = {"strategy": strategy_name, "model": model, "batch": batch}
        row.settings = {**row.settings, "pick": chosen}
        tx.emit("label.strategy_set", f"label:{row.name}", payload=chosen)
        return Task.of(row)


def rank(
    ws: Workspace,
    name: str,
    *,
    by: Any = None,
    predict: Predict | None = None,
    vectors: Callable[[Sequence[int]], npt.ArrayLike] | None = None,
    batch: int | None = None,
    seed: int | None = None,
) -> Ranking:
    """Put a task's queue in order, once.

    Parameters
    ----------
    ws : Workspace
    name : str
        The task's name or id.
    by : str or object with ``score(pool)``, optional
        The strategy; the task's own unless given.
    predict : callable, optional
        Items' numbers to probabilities, shape (items, classes). Without it a logistic
        regression is trained on the labels, audit items left out.
    vectors : callable, optional
        Items' numbers to vectors, shape (items, features); without it they are made from
        the items' content.
    batch : int, optional
        How many items are chosen together.
    seed : int, optional
        For strategies that draw; another one each time unless given.

    Returns
    -------
    Ranking

    Raises
    ------
    Invalid
        The task asks for no single class, or its items have no vectors.
    """
    began = time.perf_counter()
    task = get(ws, name)
    settings = dict(task.settings.get("pick") or {})
    wanted = by if by is not None else settings.get("strategy", DEFAULT)
    chooser = strategy(wanted)
    called = wanted if isinstance(wanted, str) else type(wanted).__name__
    if task.answer != "class" and called != "random":
        raise Invalid(
            f"{task.name!r} can't be put in order by {called}",
            f"strategies need one class an item, the task asks for {task.answer}",
            "choose with --by random",
            code="E-LABEL-118",
        )
    size = batch or int(settings.get("batch", 10))
    known, audited, open_items = _look(ws, task)
    chance = np.random.default_rng(task.counts.labeled if seed is None else seed)
    if len(open_items) > MOST_SCORED:
        open_items = np.sort(chance.choice(open_items, MOST_SCORED, replace=False))
    with alone():
        pool, accuracy = _pool(
            ws, task, known, audited, open_items, called, predict, vectors, size, chance
        )
        scores = np.asarray(chooser.score(pool), float) if len(open_items) else np.zeros(0)
    order = open_items
    if len(open_items):
        if scores.shape != (len(open_items),) or not np.isfinite(scores).all():
            raise Invalid(
                f"the strategy {called} gave no score for each item",
                f"it gave an array of shape {scores.shape} for {len(open_items):,} items",
                code="E-LABEL-119",
            )
        order = open_items[np.argsort(-scores, kind="stable")]
    order = order[: max(LEAST_RANKED, BATCHES_RANKED * size)]
    told = {
        "strategy": called[:32],
        "model": str(settings.get("model", "")) if predict is not None else "",
        "batch": size,
        "labeled": task.counts.labeled,
        "scored": len(open_items),
        "ranked": len(order),
        "accuracy": asdict(accuracy),
        "seconds": round(time.perf_counter() - began, 3),
        "at": utcnow().isoformat(),
    }
    return _write(ws, task, order, told)


def last_ranking(ws: Workspace, name: str) -> Ranking | None:
    """How a task's queue was last put in order, if it ever was."""
    task = get(ws, name)
    with ws.read() as session:
        row = session.get_one(TaskRecord, task.id)
        return _ranking(row) if row.ranking else None


def _ranking(task: TaskRecord) -> Ranking:
    told = {**task.ranking, "accuracy": Estimate(**task.ranking["accuracy"])}
    return Ranking(Task.of(task), task.epoch, **told)


def _draw_audits(session: Session, row: TaskRecord, share: float, seed: int) -> None:
    wanted = (ItemRecord.task == row.id) & (ItemRecord.state == OPEN)
    items = np.array(session.scalars(select(ItemRecord.item).where(wanted)).all(), np.int64)
    count = min(MOST_AUDITED, round(share * len(items)))
    if not count:
        return
    drawn = np.random.default_rng(seed).choice(items, count, replace=False)
    _number(session, row.id, drawn, ItemRecord.audit.key, 1)


def _number(session: Session, task: str, items: Iterable[Any], column: str, first: int) -> None:
    """Number items in a column, in their order."""
    table: Any = ItemRecord.__table__
    statement = (
        update(table)
        .where(table.c.task == task, table.c.item == bindparam("number"))
        .values({column: bindparam("turn")})
    )
    rows = [{"number": int(one), "turn": first + turn} for turn, one in enumerate(items)]
    if rows:
        session.connection().execute(statement, rows)


def _look(ws: Workspace, task: Task) -> tuple[dict[int, str], dict[int, str], Any]:
    """Labels to learn from, labels of audit items, and the open items that may be chosen."""
    mine = ItemRecord.task == task.id
    with ws.read() as session:
        labelled = session.execute(
            select(ItemRecord.item, ItemRecord.label, ItemRecord.audit).where(
                mine, ItemRecord.state == "labeled", ItemRecord.label.is_not(None)
            )
        ).all()
        free = session.scalars(
            select(ItemRecord.item).where(mine, ItemRecord.state == OPEN, ItemRecord.audit == 0)
        ).all()
    known = {item: str(label) for item, label, audit in labelled if not audit}
    audited = {item: str(label) for item, label, audit in labelled if audit}
    return known, audited, np.array(free, np.int64)


def _pool(
    ws: Workspace,
    task: Task,
    known: dict[int, str],
    audited: dict[int, str],
    open_items: Any,
    called: str,
    predict: Predict | None,
    vectors: Callable[[Sequence[int]], npt.ArrayLike] | None,
    batch: int,
    chance: np.random.Generator,
) -> tuple[Pool, Estimate]:
    """What a strategy scores, and how right the model is on audit items."""
    codes = {name: number for number, name in enumerate(task.classes)}
    said = np.array([codes[label] for label in known.values()], np.int64)
    truth = np.array([codes[label] for label in audited.values()], np.int64)
    counts = np.bincount(said, minlength=len(codes))
    if called == "random" and predict is None and task.answer != "class":
        return Pool(np.zeros((len(open_items), 1)), None, counts, batch, chance=chance), wilson(
            0, 0
        )
    every = [*known, *audited, *(int(one) for one in open_items)]
    if vectors is not None:
        points = np.asarray(vectors(every), float)
    elif predict is not None and task.kind not in ("image", "text", "row"):
        points = np.asarray(predict(every), float)
    else:
        points = describe(ws, task, every)
    learnt, seen, free = np.split(points, [len(known), len(known) + len(audited)])
    probabilities: Floats | None = None
    accuracy = wilson(0, 0)
    if predict is not None:
        probabilities = np.asarray(predict(every[len(known) + len(audited) :]), float)
        if audited:
            guessed = np.asarray(predict(list(audited)), float).argmax(axis=1)
            accuracy = wilson(int((guessed == truth).sum()), len(truth))
    elif len(np.unique(said)) > 1:
        model = learner().fit(learnt, said)
        probabilities = _spread_out(model, free, len(codes))
        if audited:
            accuracy = wilson(int((model.predict(seen) == truth).sum()), len(truth))
    pool = Pool(free, probabilities, counts, batch, learnt, said, chance)
    return pool, accuracy


def alone() -> AbstractContextManager[Any]:
    """One thread for what is small: beside people who label, threads that wait for each other
    take ten times as long as the work itself, on a machine with more to do.
    """
    # What isn't loaded yet can't be limited; both bring libraries with threads of their own.
    import sklearn.cluster
    import sklearn.linear_model  # noqa: F401
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    limits: AbstractContextManager[Any] = threadpool_limits(1)
    return limits


def learner() -> Any:
    """The model that learns from labels when nobody gives one: fast, and sure only when it may."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1.0, max_iter=500)


def _spread_out(model: Any, rows: Floats, size: int) -> Floats:
    """Probabilities for all classes, also those that no label has had yet."""
    found = np.zeros((len(rows), size))
    if len(rows):
        found[:, model.classes_] = model.predict_proba(rows)
    return found


def _write(ws: Workspace, task: Task, order: Any, told: dict[str, Any]) -> Ranking:
    with ws.write() as tx:
        row = locked(tx.session, task.id)
        tx.session.execute(
            update(ItemRecord)
            .where(
                ItemRecord.task == row.id,
                ItemRecord.state == OPEN,
                ItemRecord.audit == 0,
                ItemRecord.rank < 0,
            )
            .values(rank=0)
            .execution_options(synchronize_session=False)
        )
        _number(tx.session, row.id, order, ItemRecord.rank.key, -len(order))
        row.epoch += 1
        row.ranking = told
        tx.session.flush()
        tx.emit(
            "label.ranked",
            f"label:{row.name}",
            payload={"epoch": row.epoch, **told},
        )
        return _ranking(row)
