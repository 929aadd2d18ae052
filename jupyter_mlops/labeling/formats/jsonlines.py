"""Our own JSON lines: the task with its rules, guidelines and roles, then each item with all
that was ever decided on it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jupyter_mlops.labeling.formats import faults
from jupyter_mlops.labeling.formats.files import Files, Written
from jupyter_mlops.labeling.formats.labelset import Act, Entry, Given, LabelSet, Reading
from jupyter_mlops.labeling.formats.lines import records
from jupyter_mlops.labeling.formats.matching import Items

__all__ = ["read", "write"]


def write(labels: LabelSet) -> Written:
    """All decisions, none left out: the one format that loses nothing."""
    head = {
        "task": labels.task,
        "kind": labels.kind,
        "answer": labels.answer,
        "classes": list(labels.classes),
        "data": labels.data,
        "data_digest": labels.data_digest,
        **labels.charter,
    }
    lines = [head, *(_line(entry) for entry in labels.entries if _told(entry))]
    content = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
    return Written({"labels.jsonl": content.encode()})


def _told(entry: Entry) -> bool:
    """Whether there is more to say of an item than what it shows."""
    return bool(entry.history or entry.standing or entry.suggestion or entry.audit)


def _line(entry: Entry) -> dict[str, Any]:
    standing = entry.standing
    state = "open" if standing is None else "skipped" if standing.skipped else "labeled"
    return {
        "item": entry.item,
        "key": entry.key,
        "digest": entry.digest,
        "content": entry.content if entry.text is None else entry.text,
        "state": state,
        "label": entry.value,
        "person": None if standing is None else standing.person,
        **({"suggestion": dict(entry.suggestion)} if entry.suggestion else {}),
        **({"audit": entry.audit} if entry.audit else {}),
        "decisions": [dict(one) for one in entry.history],
    }


def read(files: Files, known: LabelSet) -> Reading:
    """All decisions; items are found by what they show, and by their number among equals."""
    items = Items(known)
    given: list[Given] = []
    head: dict[str, Any] | None = None
    waiting: dict[int, tuple[Mapping[str, Any], int]] = {}
    for place, line in records(files):
        if "classes" in line and "item" not in line:
            _check(line, known, place)
            head = line
            continue
        found = faults.fields(place, line, "item", "digest", "decisions")
        entry = items.entries.get(found["item"]) if isinstance(found["item"], int) else None
        if entry is None or entry.digest != found["digest"]:
            entry = items.digested(str(found["digest"]))
        if entry is None:
            raise faults.misfit(place, f"{known.task!r} has no item that shows the same")
        if found.get("suggestion") or found.get("audit"):
            proposed = faults.fields(place, found.get("suggestion") or {"value": None}, "value")
            number = faults.whole(place, found.get("audit") or 0)
            waiting[entry.item] = (proposed if found.get("suggestion") else {}, number)
        for one in faults.items(place, found["decisions"]):
            decision = faults.fields(place, one, "ev", "kind")
            person = str(decision.get("person") or "")
            at = faults.date(decision.get("decided_at"))
            skipped = decision["kind"] == "skip"
            act = Act(decision.get("value"), person, at, skipped, str(decision.get("reason") or ""))
            given.append(Given(entry.item, act, place, decision))
    return Reading(tuple(given), (), head, waiting)


def _check(head: dict[str, Any], known: LabelSet, place: str) -> None:
    answer = head.get("answer", "class")
    if answer != known.answer:
        raise faults.misfit(place, f"it holds {answer}, and {known.task!r} asks for {known.answer}")
    missing = [name for name in head["classes"] if name not in known.classes]
    if missing:
        raise faults.misfit(place, f"{known.task!r} has no class {missing[0]!r}")
