"""Labels taken out: as a frame, as CSV, or as JSON lines with the whole history."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from jupyter_mlops.labeling.records import AnnotationRecord, ItemRecord
from jupyter_mlops.labeling.tasks import Task, get
from jupyter_mlops.workspace.errors import Invalid
from jupyter_mlops.workspace.results import Result

if TYPE_CHECKING:
    import pandas as pd

    from jupyter_mlops.workspace import Workspace

__all__ = ["Export", "export", "labels"]

COLUMNS = ("item", "key", "label", "person", "at", "digest", "content")


@dataclass(frozen=True)
class Export(Result):
    """Labels that were taken out: the frame, and the file if one was written."""

    task: Task
    frame: pd.DataFrame
    path: str | None
    format: str


def labels(ws: Workspace, name: str) -> pd.DataFrame:
    """The current label of each labelled item.

    Returns
    -------
    pandas.DataFrame
        Columns ``item`` (the row's number in the data, from 0), ``key`` (the row's name, if
        the task has a key column), ``label``, ``person``, ``at`` (UTC), ``digest`` (SHA-256 of the
        content) and ``content`` (the text, or the file's path); one row a labelled item, in
        the order of the data.
    """
    import pandas as pd

    task = get(ws, name)
    with ws.read() as session:
        rows = list(_labelled(session, task.id))
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype({"item": "int64"}).assign(at=pd.to_datetime(frame["at"], utc=True))


def export(ws: Workspace, name: str, to: str | None = None) -> Export:
    """Take the labels out, into a file if one is named.

    Parameters
    ----------
    ws : Workspace
    name : str
        The task's name or id.
    to : str, optional
        A file below the workspace's folder that ends in ``.csv`` or ``.jsonl``. CSV holds the
        current labels; JSON lines hold each item's too, with every decision that led there.

    Raises
    ------
    Invalid
        The file's ending or place won't do.
    """
    task = get(ws, name)
    frame = labels(ws, name)
    if to is None:
        return Export(task, frame, None, "")
    path = _place(to, ws)
    format = path.suffix.lstrip(".").lower()
    if format not in {"csv", "jsonl"}:
        raise Invalid(
            f"labels can't be written as {path.name!r}",
            "the formats are CSV and JSON lines",
            "end the name in .csv or .jsonl",
            code="E-LABEL-017",
        )
    content = _csv(frame) if format == "csv" else _json_lines(ws, task)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.draft")
        draft.write_text(content, "utf-8", newline="")
        draft.replace(path)
    except OSError as error:
        raise Invalid(
            f"labels can't be written to {path}",
            error.strerror or str(error),
            "name a folder you may write to",
            code="E-LABEL-018",
        ) from None
    return Export(task, frame, str(path), format)


def _place(to: str, ws: Workspace) -> Path:
    """The file that is meant. A browser may ask for it as well, so it stays in the workspace."""
    root = ws.root.resolve()
    here = Path.cwd().resolve()
    path = ((here if here.is_relative_to(root) else root) / to).resolve()
    if not path.is_relative_to(root) or path.is_relative_to(ws.home.resolve()):
        raise Invalid(
            f"labels can't be written to {to}",
            f"it isn't among the files of {root}",
            "name a file below that folder, or use the result's .frame",
            code="E-LABEL-032",
        )
    return path


def _csv(frame: pd.DataFrame) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")  # RFC 4180
    writer.writerow(COLUMNS)
    times = [time.isoformat() for time in frame["at"]]
    writer.writerows(frame.assign(at=times).itertuples(index=False))
    return out.getvalue()


def _json_lines(ws: Workspace, task: Task) -> str:
    """One line for the task, then one for each decided item with its whole history."""
    head = {
        "task": task.name,
        "kind": task.kind,
        "classes": list(task.classes),
        "data": task.data_ref,
        "data_digest": task.data_digest,
        "column": task.column,
        "items": task.counts.total,
        "labeled": task.counts.labeled,
        "skipped": task.counts.skipped,
    }
    history: dict[int, list[dict[str, Any]]] = {}
    with ws.read() as session:
        for event in session.scalars(
            select(AnnotationRecord)
            .where(AnnotationRecord.task == task.id)
            .order_by(AnnotationRecord.number)
        ):
            history.setdefault(event.item, []).append(_decision(event))
        lines = [json.dumps(head, ensure_ascii=False)]
        decided = select(AnnotationRecord.item).where(AnnotationRecord.task == task.id)
        rows = session.scalars(
            select(ItemRecord)
            .where(ItemRecord.task == task.id, ItemRecord.item.in_(decided))
            .order_by(ItemRecord.item)
        )
        for row in rows:
            line = {
                "item": row.item,
                "key": row.key,
                "digest": row.digest,
                "content": row.content,
                "state": row.state,
                "label": row.label,
                "person": row.person,
                "decisions": history[row.item],
            }
            lines.append(json.dumps(line, ensure_ascii=False))
    return "\n".join(lines) + "\n"


def _decision(event: AnnotationRecord) -> dict[str, Any]:
    return {
        "ev": event.ev,
        "kind": event.kind,
        "value": event.value,
        "reason": event.reason,
        "undoes": event.undoes,
        "person": event.person,
        "decided_at": event.decided_at.isoformat(),
        "active_ms": event.active_ms,
    }


def _labelled(session: Session, task: str) -> Iterator[tuple[Any, ...]]:
    query = (
        select(ItemRecord, AnnotationRecord.decided_at)
        .join(AnnotationRecord, AnnotationRecord.ev == ItemRecord.ev)
        .where(ItemRecord.task == task, ItemRecord.state == "labeled")
        .order_by(ItemRecord.item)
    )
    for row, at in session.execute(query):
        yield (row.item, row.key, row.label, row.person, at, row.digest, row.content)
