"""Labeling tasks: made once from a table, found again by name or id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Select, insert, or_, select
from sqlalchemy.orm import Session

from jupyter_mlops.labeling import guidelines
from jupyter_mlops.labeling.kinds import ANSWERS, FREE, Answer, Kind, fit
from jupyter_mlops.labeling.records import ItemRecord, RoleRecord, TaskRecord
from jupyter_mlops.labeling.rules import Rules
from jupyter_mlops.workspace.errors import Conflict, Invalid, NotFound, closest
from jupyter_mlops.workspace.records import new_id, utcnow
from jupyter_mlops.workspace.references import check_name

if TYPE_CHECKING:
    from jupyter_mlops.labeling.items import Item, Source
    from jupyter_mlops.workspace import Workspace
    from jupyter_mlops.workspace.store import Transaction

__all__ = [
    "Answer",
    "Counts",
    "Task",
    "create",
    "find",
    "get",
    "locked",
    "pack_key",
    "rows_of",
    "same_rules",
]

MOST_CLASSES = 500
CHUNK = 5000


@dataclass(frozen=True)
class Counts:
    """How far a task is."""

    total: int
    labeled: int
    skipped: int

    @property
    def open(self) -> int:
        return self.total - self.labeled - self.skipped


@dataclass(frozen=True)
class Task:
    """A labeling task as it was made.

    `id` is its identity; `name` is how people call it. `kind` is how an item is shown,
    `answer` what is said about it.
    """

    id: str
    name: str
    kind: Kind
    classes: tuple[str, ...]
    data_ref: str | None
    data_digest: str
    column: str
    key: str | None
    counts: Counts
    answer: Answer = "class"
    settings: Mapping[str, Any] = field(default_factory=dict)
    actor: str = ""

    @property
    def ref(self) -> str:
        return f"label:{self.name}"

    @classmethod
    def of(cls, row: TaskRecord) -> Task:
        return cls(
            row.id,
            row.name,
            cast("Kind", row.kind),
            tuple(row.classes),
            row.data_ref,
            row.data_digest,
            row.column,
            row.key,
            Counts(row.items, row.labeled, row.skipped),
            cast("Answer", row.answer),
            row.settings,
            row.actor,
        )


def create(
    ws: Workspace,
    name: str,
    source: Source,
    kind: Kind | None = None,
    classes: list[str] | None = None,
    *,
    answer: Answer | None = None,
    settings: Mapping[str, Any] | None = None,
    column: str | None = None,
    key: str | None = None,
    marks: Mapping[str, Any] | None = None,
) -> Task:
    """Make a task, or find the one of that name that asks the same of the same data.

    Parameters
    ----------
    ws : Workspace
    name : str
        What the task is called.
    source : Source
        The table; each row becomes an item.
    kind : {"image", "text", "audio", "video", "row", "pair"}
        How an item is shown. A task that is there already has one.
    classes : list of str
        The labels to choose from, in the order of their keys. More may be added at the
        end later; none is renamed or dropped, since labels already name them. A rating,
        a text and a choice of two need none.
    answer : str, optional
        What is said about an item: a ``class`` unless told otherwise.
    settings : dict, optional
        The task's rules: ``overlap``, ``requeue``, ``scale``, ``guideline`` and the like.
    column, key : str, optional
        The column to show, and the one that names a row.
    marks : dict, optional
        What whoever makes the task wants to find among its settings again.

    Returns
    -------
    Task

    Raises
    ------
    Conflict
        There is a task of that name that labels other data, has other classes, or never had
        one of the rules.
    Invalid, NotFound
        The classes, the column or a row can't be used.
    """
    check_name(name, "labeling task")
    if answer is not None:
        _check_answer(answer)
    found = find(ws, name)
    fitting = found.answer if found else fit(kind, answer) if kind else answer
    if classes is not None:
        _check_classes(classes, least=2 if fitting == "class" else 1)
    if found is not None:
        _same_answer(found, answer)
        same_rules(ws, found, settings or {})
        return _resume(ws, found, source, kind or found.kind, classes or list(found.classes))
    if kind is None or (classes is None and fitting not in FREE):
        raise Invalid(
            f"the new task {name!r} needs {'a kind' if kind is None else 'classes'}",
            fix=f"`%mlops label {name} DATA --kind text --classes a,b` makes it",
            code="E-LABEL-033",
        )
    from jupyter_mlops.labeling.items import read_items  # data frames: not for every claim

    chosen, items = read_items(source, kind, column, key, ws.root)
    task = TaskRecord(
        id=new_id(),
        name=name,
        kind=kind,
        answer=fitting or "class",
        classes=list(classes or []),
        settings={**Rules.changed({}, settings or {}), **(marks or {})},
        data_ref=source.ref,
        data_digest=source.digest,
        column=chosen,
        key=key,
        items=len(items),
        labeled=0,
        skipped=0,
        actor=ws.user,
        created_at=utcnow(),
    )
    rows = rows_of(ws, task.id, items)
    with ws.write() as tx:
        # Somebody may have made it while the items were read.
        if _select(tx.session, name) is None:
            _insert(tx, task, rows)
    return get(ws, name)


def get(ws: Workspace, name: str) -> Task:
    """The task of a name or an id.

    Raises
    ------
    NotFound
        There is none.
    """
    task = find(ws, name)
    if task is None:
        with ws.read() as session:
            known = list(session.scalars(select(TaskRecord.name).order_by(TaskRecord.name)))
        raise unknown(name, known)
    return task


def find(ws: Workspace, name: str) -> Task | None:
    """The task of a name or an id, or None."""
    with ws.read() as session:
        row = _select(session, name)
        return Task.of(row) if row else None


def locked(session: Session, name: str) -> TaskRecord:
    """The task's row, with other writers of this task kept waiting (PostgreSQL).

    SQLite has one writer at a time anyway.

    Raises
    ------
    NotFound
        There is no task of that name or id.
    """
    row: TaskRecord | None = session.scalars(_named(name).with_for_update()).first()
    if row is None:
        raise unknown(name, list(session.scalars(select(TaskRecord.name))))
    return row


def unknown(name: str, known: list[str]) -> NotFound:
    """The error for a task that isn't there."""
    return NotFound(
        f"no labeling task is called {name!r}",
        f"there are {', '.join(known[:12])}" if known else "there is none yet",
        closest(name, known) or "`%mlops label TASK DATA --kind image --classes a,b` makes one",
        code="E-LABEL-001",
    )


def pack_key(task: str) -> str:
    """Where a task's media are kept among the artifacts: one file, one flush for all."""
    return f"labels/{task}.pack"


def _select(session: Session, name: str) -> TaskRecord | None:
    return session.scalars(_named(name)).first()


def _named(name: str) -> Select[Any]:
    found = select(TaskRecord).where(or_(TaskRecord.name == name, TaskRecord.id == name))
    return found.order_by(TaskRecord.created_at)


def _insert(tx: Transaction, task: TaskRecord, rows: list[dict[str, object]]) -> None:
    tx.session.add(task)
    tx.session.flush()
    tx.session.add(
        RoleRecord(
            task=task.id, person=task.actor, role="owner", actor=task.actor, given_at=utcnow()
        )
    )
    guidelines.keep(tx.session, task, Rules.of(task.settings).guideline, task.actor)
    for start in range(0, len(rows), CHUNK):
        tx.session.execute(insert(ItemRecord), rows[start : start + CHUNK])
    tx.emit(
        "label.task_created",
        f"label:{task.name}",
        payload={
            "task": task.id,
            "kind": task.kind,
            "answer": task.answer,
            "settings": task.settings,
            "classes": task.classes,
            "items": task.items,
            "data": task.data_digest,
        },
        inputs=[task.data_ref] if task.data_ref else [],
    )


def rows_of(
    ws: Workspace, task: str, items: list[Item], *, first: int = 0
) -> list[dict[str, object]]:
    """The items' rows; bytes the table carried are kept first, so that no row points nowhere."""
    rows: list[dict[str, object]] = []
    pack = bytearray()
    for number, item in enumerate(items, first):
        place = "text" if item.text is not None else "pack" if item.data is not None else "file"
        if item.broken:
            place = "broken"
        rows.append(
            {
                "task": task,
                "item": number,
                "digest": item.digest,
                "place": place,
                "content": item.text if item.text is not None else item.path or item.broken,
                "media": item.media,
                "start": len(pack) if item.data is not None else 0,
                "size": item.size,
                "key": item.key,
                "state": "open",
                "audit": 0,
            }
        )
        pack += item.data or b""
    if pack:
        ws.artifacts.write_bytes(pack_key(task), bytes(pack))
    return rows


def _resume(ws: Workspace, task: Task, source: Source, kind: Kind, classes: list[str]) -> Task:
    if task.data_digest != source.digest or task.kind != kind:
        raise Conflict(
            f"the task {task.name!r} labels other data",
            f"it was made for {task.data_ref or 'a frame'} as {task.kind}s",
            "give this one another name",
            code="E-LABEL-011",
        )
    added = classes[len(task.classes) :]
    if tuple(classes[: len(task.classes)]) != task.classes:
        raise Conflict(
            f"the task {task.name!r} has other classes",
            f"they are {', '.join(task.classes)}",
            "keep them in this order and add new ones at the end",
            code="E-LABEL-012",
        )
    if added:
        with ws.write() as tx:
            locked(tx.session, task.id).classes = list(classes)
            tx.emit("label.classes_added", task.ref, payload={"classes": added})
    return get(ws, task.id)


def _same_answer(task: Task, answer: str | None) -> None:
    if answer is not None and answer != task.answer:
        raise Conflict(
            f"the task {task.name!r} asks for {task.answer}, not for {answer}",
            fix="give this one another name",
            code="E-LABEL-100",
        )


def same_rules(ws: Workspace, task: Task, given: Mapping[str, Any]) -> None:
    """Refuse rules that a task never had; the line that made it goes on, whatever changed since.

    Raises
    ------
    Conflict
        The task keeps another rule: naming the task again doesn't change it.
    """
    asked, holds = (vars(Rules.of(one)) for one in (given, task.settings))
    other = [name for name in given if asked[name] != holds[name]]
    if other:
        made = ws.events(kind="label.task_created", subject=task.ref, newest=True, limit=1)
        first = vars(Rules.of(made[0].payload.get("settings", {}) if made else task.settings))
        other = [name for name in other if asked[name] != first[name]]
    if other:
        raise Conflict(
            f"the task {task.name!r} is there already, with another {' and '.join(other)}",
            fix=f"`%mlops label set {task.name} --{other[0]} …` changes it, or leave it out here",
            code="E-LABEL-127",
        )


def _check_answer(answer: str) -> None:
    if answer not in ANSWERS:
        raise Invalid(
            f"nobody can answer with {answer!r}",
            f"an answer is one of {', '.join(ANSWERS)}",
            code="E-LABEL-101",
        )


def _check_classes(classes: list[str], least: int) -> None:
    wrong = ""
    if len(classes) < least:
        wrong = "there are fewer than two" if least > 1 else "there is none"
    elif len(set(classes)) < len(classes):
        wrong = "one is named twice"
    elif len(classes) > MOST_CLASSES:
        wrong = f"there are {len(classes)}, more than {MOST_CLASSES}"
    elif any(not one.strip() or len(one) > 255 for one in classes):
        wrong = "a class has 1 to 255 characters"
    if wrong:
        raise Invalid(
            "these classes can't be labelled with",
            wrong,
            "give them as --classes cat,dog,bird",
            code="E-LABEL-013",
        )
