"""What goes along with exported labels: whose they are, of what, and how items were chosen."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jupyter_mlops.labeling.formats.labelset import LabelSet

__all__ = ["NAME", "about", "items_digest", "manifest", "schema_digest"]

NAME = "manifest.json"


def schema_digest(labels: LabelSet) -> str:
    """SHA-256 of what is asked: the kind, the answer, the classes in order, and the scale."""
    asked = [labels.kind, labels.answer, list(labels.classes), list(labels.scale)]
    return hashlib.sha256(json.dumps(asked, ensure_ascii=True).encode()).hexdigest()


def items_digest(labels: LabelSet) -> str:
    """SHA-256 of the labelled items' numbers and digests, a line each, in order."""
    state = hashlib.sha256()
    for entry in labels.labelled():
        state.update(f"{entry.item} {entry.digest}\n".encode())
    return state.hexdigest()


def about(labels: LabelSet, agreement: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What is known of labels beside themselves, as JSON.

    Parameters
    ----------
    labels : LabelSet
        With the history of its items.
    agreement : mapping, optional
        How well people agree, where several were asked.
    """
    return {
        "task": f"label:{labels.task}",
        "kind": labels.kind,
        "answer": labels.answer,
        "classes": list(labels.classes),
        "schema": schema_digest(labels),
        "data": labels.data,
        "data_digest": labels.data_digest,
        "labeled": sum(1 for _ in labels.labelled()),
        "skipped": sum(1 for _ in labels.decided()) - sum(1 for _ in labels.labelled()),
        "items": items_digest(labels),
        "people": _people(labels),
        "agreement": None if agreement is None else dict(agreement),
        "selection": _selection(labels),
        "guidelines": _guidelines(labels),
    }


def manifest(
    labels: LabelSet,
    format: str,
    files: Mapping[str, bytes],
    *,
    version: str | None = None,
    notes: tuple[str, ...] = (),
    agreement: Mapping[str, Any] | None = None,
) -> bytes:
    """The manifest of exported files, with a digest of each of them and of each item."""
    made = {
        **about(labels, agreement),
        "version": version,
        "format": format,
        "notes": list(notes),
        "files": [
            {"path": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in files.items()
        ],
        "digests": [[one.item, one.name, one.digest] for one in labels.labelled()],
    }
    return (json.dumps(made, ensure_ascii=False, indent=1) + "\n").encode()


def _people(labels: LabelSet) -> list[dict[str, Any]]:
    """Who labelled and skipped how much, and between which times, by name."""
    counts: dict[str, Counter[str]] = {}
    times: dict[str, list[datetime]] = {}
    for entry in labels.decided():
        for act in entry.opinions or (entry.standing,):
            if act is not None:
                counts.setdefault(act.person, Counter())["skips" if act.skipped else "labels"] += 1
                times.setdefault(act.person, []).extend([act.at] if act.at else [])
    return [
        {
            "name": name,
            "labels": found["labels"],
            "skips": found["skips"],
            "first": min(times[name]).isoformat() if times[name] else None,
            "last": max(times[name]).isoformat() if times[name] else None,
        }
        for name, found in sorted(counts.items())
    ]


def _selection(labels: LabelSet) -> dict[str, Any]:
    """By which strategy the labelled items were chosen, and how many were drawn at random.

    Labels of items that a model chose aren't a sample of the data: what is measured on them
    is no estimate, except on those of the audit.
    """
    strategies: Counter[str] = Counter()
    audit = 0
    for entry in labels.labelled():
        last = entry.history[-1] if entry.history else {}
        strategies[str(last.get("strategy") or "in the data's order")] += 1
        audit += bool(last.get("audit"))
    return {"strategies": dict(sorted(strategies.items())), "audit": audit}


def _guidelines(labels: LabelSet) -> list[dict[str, Any]]:
    """How many of the labels that stand were given under which version of the guideline."""
    counts: Counter[str] = Counter(
        one.standing.guideline for one in labels.labelled() if one.standing
    )
    return [{"version": name, "labels": count} for name, count in sorted(counts.items())]
