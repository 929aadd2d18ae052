"""Labels from files that other tools wrote: read whole, checked whole, then committed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import select

from jupyter_mlops.labeling.annotations import MOST_EVENTS, commit
from jupyter_mlops.labeling.charter import Charter, take_on
from jupyter_mlops.labeling.decisions import REASON_LIMIT, Decision, Past
from jupyter_mlops.labeling.formats import (
    Files,
    Format,
    Given,
    Reading,
    find,
    fitting,
    read_files,
    recognize,
)
from jupyter_mlops.labeling.kinds import check
from jupyter_mlops.labeling.labelsets import take
from jupyter_mlops.labeling.progress import TaskState, status
from jupyter_mlops.labeling.records import AnnotationRecord
from jupyter_mlops.labeling.tasks import Task, get
from jupyter_mlops.workspace.errors import Invalid, MLOpsError
from jupyter_mlops.workspace.results import Result

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["Import", "import_file"]

LONGEST_NAME = 255
MOST_STRATEGY = 32


@dataclass(frozen=True)
class Import(Result):
    """What an import did: how many decisions are new, and what the file couldn't say here."""

    state: TaskState
    path: str
    format: str
    found: int
    new: int
    notes: tuple[str, ...] = ()


def import_file(
    ws: Workspace,
    name: str,
    path: str | Path,
    format: str | None = None,
    *,
    keep_people: bool = False,
) -> Import:
    """Label items from a file, a folder or a ZIP archive that another tool wrote.

    The same import again changes nothing. Who is named in the file is noted with each label,
    and whoever imports it says it here, unless people are kept.

    Parameters
    ----------
    ws : Workspace
    name : str
        The task's name or id.
    path : str or Path
        From the working folder, or else from the workspace's.
    format : str, optional
        One of `formats.FORMATS`; found out when left out.
    keep_people : bool
        Let the people whom the file names be those who say it; only an owner of the task may.
        JSON lines that have all decisions then bring the task's rules, its guidelines with
        their versions, roles, suggestions and audit along, unless somebody has labelled
        already.

    Raises
    ------
    Denied
        The user may not label, or not bring what others said.
    NotFound
        There is no such file.
    Invalid
        A line makes no sense, or names an item or a class that the task hasn't; the error
        names the file and the line, and nothing is imported.
    """
    task = get(ws, name)
    place = _path(ws, path)
    files = read_files(place)
    chosen = _format(files, task, place, format)
    reading = _read(ws, task, files, chosen)
    notes = reading.notes
    if keep_people and reading.head is not None and _take_on(ws, task, reading):
        task = get(ws, task.id)
        notes += ("The task's rules, guidelines and roles came along.",)
    source = _digest(files)
    decisions = [_decision(task, one, source, ws.user, keep_people) for one in reading.given]
    decisions = _own_ids(ws, task, decisions)
    _check(task, reading, decisions)
    there = _ids(ws, task)
    pairs = zip(reading.given, decisions, strict=True)
    new = [(given, one) for given, one in pairs if one.ev not in there]
    for person, turn in _turns(new, ws.user, keep_people):
        for start in range(0, len(turn), MOST_EVENTS):
            batch = turn[start : start + MOST_EVENTS]
            receipt = commit(ws, task.id, person, [one for _, one in batch], by=ws.user)
            for wrong in receipt.refused:
                given = next(given for given, one in batch if one.ev == wrong.ev)
                raise _refused(given, wrong.what)
    if not keep_people:
        notes += tuple(_people([given for given, _ in new], ws.user))
    return Import(status(ws, task.id), str(place), chosen.name, len(decisions), len(new), notes)


Turn = list[tuple[Given, Decision]]


def _turns(new: Turn, user: str, keep_people: bool) -> list[tuple[str, Turn]]:
    """Decisions by who says them, in as few turns as keep the order in which an item's came."""
    if not keep_people:
        return [(user, new)]
    last: dict[int, tuple[int, str]] = {}
    turns: dict[tuple[int, str], Turn] = {}
    for given, one in new:
        person = given.act.person or user
        turn, before = last.get(given.item, (0, person))
        turn += person != before
        last[given.item] = (turn, person)
        turns.setdefault((turn, person), []).append((given, one))
    ordered = sorted(turns.items(), key=lambda found: found[0][0])
    return [(person, found) for (_, person), found in ordered]


def _path(ws: Workspace, path: str | Path) -> Path:
    given = Path(path).expanduser()
    here = Path.cwd() / given
    return here if here.exists() or given.is_absolute() else ws.root / given


def _format(files: Files, task: Task, place: Path, format: str | None) -> Format:
    if format is not None:
        return find(format)
    found = recognize(files, task.kind)
    if found is None:
        raise Invalid(
            f"which format {place.name!r} is in isn't clear",
            f"{task.answer} of {task.kind}s come in {', '.join(fitting(task.kind, task.answer))}",
            "name it with --format",
            code="E-LABEL-321",
        )
    return found


def _read(ws: Workspace, task: Task, files: Files, format: Format) -> Reading:
    labels = {one: content for one, content in files.items() if Path(one).name != "manifest.json"}
    known = take(ws, task, whole=True, measure=format.measures)
    reading = format.read(labels, known) if labels else Reading(())
    if not reading.given and reading.head is None:
        raise Invalid(
            f"there are no labels in {next(iter(files), 'the folder')}",
            f"it was read as {format.title}",
            "name another format with --format",
            code="E-LABEL-322",
        )
    return reading


def _take_on(ws: Workspace, task: Task, reading: Reading) -> bool:
    waiting = reading.waiting
    found = Charter(
        reading.head or {},
        {item: proposed for item, (proposed, _) in waiting.items() if proposed},
        {item: audit for item, (_, audit) in waiting.items() if audit},
    )
    # Files written before tasks had their rules in them bring none.
    return "rules" in found.head and take_on(ws, task, found)


def _digest(files: Files) -> str:
    state = hashlib.sha256()
    for name, content in sorted(files.items()):
        state.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    return state.hexdigest()


def _decision(task: Task, given: Given, source: str, person: str, keep_people: bool) -> Decision:
    said = given.act.person
    if keep_people and (len(said) > LONGEST_NAME or "\0" in said):
        raise _refused(given, f"a person's name has up to {LONGEST_NAME} characters")
    told = "" if keep_people or said in {"", person} else f"said by {said}"
    if given.decision is not None:
        return _stored(given, told, keep_people)
    act = given.act
    content = f"{task.id}\0{source}\0{given.item}\0{given.place}\0{act.person}".encode()
    # The id follows from the content, so that a notebook run twice labels once.
    ev = f"import:{hashlib.sha256(content).hexdigest()[:40]}"
    return Decision(
        ev,
        given.item,
        "skip" if act.skipped else "label",
        None if act.skipped else act.value,
        _reason(act.reason, told),
        session="import",
        decided_at=act.at,
        active_ms=act.active_ms,
    )


def _stored(given: Given, told: str, keep_people: bool) -> Decision:
    """A decision as our own JSON lines have it."""
    found: Mapping[str, Any] = {**(given.decision or {}), "item": given.item}
    kind = found.get("kind")
    if kind in ("adjudicate", "gold"):
        found = {**found, "kind": "label"}
    try:
        decision = Decision.read(found)
    except MLOpsError as error:
        raise _refused(given, f"{error.what}: {error.why}") from None
    decision = replace(decision, reason=_reason(decision.reason, told))
    if not keep_people:
        # A reviewer's word is a label then: whoever imports it may be no reviewer.
        return decision
    kept = kind if kind in ("adjudicate", "gold") else decision.kind
    return replace(decision, kind=cast("Any", kept), past=_past(given, found))


def _past(given: Given, found: Mapping[str, Any]) -> Past | None:
    """What the store that it comes from had noted of a decision."""
    if not found.get("stored_at"):
        return None
    try:
        at = datetime.fromisoformat(str(found["stored_at"]))
    except ValueError:
        at = None
    strategy, audit = found.get("strategy", ""), found.get("audit", False)
    if at is None or at.tzinfo is None or not isinstance(audit, bool):
        raise _refused(given, "stored_at is a time with its zone, and audit is true or false")
    if not isinstance(strategy, str) or len(strategy) > MOST_STRATEGY:
        raise _refused(given, f"strategy is a text of up to {MOST_STRATEGY} characters")
    return Past(strategy, audit, at)


def _reason(reason: str, told: str) -> str:
    return "; ".join(one for one in (reason, told) if one)[:REASON_LIMIT]


def _own_ids(ws: Workspace, task: Task, decisions: list[Decision]) -> list[Decision]:
    """Decisions with ids of this task's own, where another task of the workspace has theirs."""
    elsewhere = _ids(ws, task, others=True)

    def own(ev: str) -> str:
        if ev not in elsewhere:
            return ev
        return f"import:{hashlib.sha256(f'{task.id} {ev}'.encode()).hexdigest()[:40]}"

    return [
        replace(one, ev=own(one.ev), undoes=None if one.undoes is None else own(one.undoes))
        for one in decisions
    ]


def _check(task: Task, reading: Reading, decisions: list[Decision]) -> None:
    """Refuse before anything is stored what could only be refused afterwards."""
    for given, one in zip(reading.given, decisions, strict=True):
        if one.kind in ("label", "adjudicate", "gold") and (wrong := check(one.value, task)):
            raise _refused(given, wrong)


def _refused(given: Given, what: str) -> Invalid:
    return Invalid(
        f"{given.place.rstrip(',')} can't be imported",
        what,
        "put that right, and import it again",
        code="E-LABEL-323",
    )


def _ids(ws: Workspace, task: Task, *, others: bool = False) -> set[str]:
    """The ids of the decisions that the task has, or that all others have."""
    mine = AnnotationRecord.task == task.id
    with ws.read() as session:
        return set(session.scalars(select(AnnotationRecord.ev).where(~mine if others else mine)))


def _people(new: list[Given], person: str) -> list[str]:
    """What becomes of the people that a file names."""
    others = Counter(one.act.person for one in new if one.act.person not in {"", person})
    if not others:
        return []
    names = ", ".join(name for name, _ in others.most_common(3))
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    return [f"{names}{more} said so elsewhere, and here it is {person} who does."]
