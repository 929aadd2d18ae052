"""A decision as its sender writes it: checked before it comes near the store."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, cast, get_args

from jupyter_mlops.workspace.errors import Invalid

__all__ = ["Decision", "Past", "Requeue"]

Act = Literal["label", "skip", "undo", "adjudicate", "gold"]
Requeue = Literal["", "me", "others", "never"]
# Reviewers' decisions come by their own verbs; a labeler sends these.
_SENT = ("label", "skip", "undo")
_ID = re.compile(r"[A-Za-z0-9_.:\-]{1,64}")
REASON_LIMIT = 1000
# Characters of an answer as JSON: some thousand boxes, or a long text.
VALUE_LIMIT = 1 << 20


@dataclass(frozen=True)
class Past:
    """What another store had noted of a decision that is brought from there.

    A labeler can't say it: there it is the store that knows how an item came to be chosen.
    """

    strategy: str
    audit: bool
    stored_at: datetime


@dataclass(frozen=True)
class Decision:
    """One label, skip or undo, or a reviewer's last word.

    Parameters
    ----------
    ev : str
        The sender's id, up to 64 letters, digits, ``_ . : -``; unique for ever.
    item : int
        The item's number in its task.
    kind : {"label", "skip", "undo", "adjudicate", "gold"}
    value : JSON, optional
        The answer, of a label, an adjudication or a gold item: a class is a text, boxes are
        a list of objects.
    reason : str
        Why it was skipped.
    undoes : str, optional
        The id of the decision that an undo takes back.
    digest : str
        The content that was shown; empty when nobody looked.
    session : str
        The labeler it was taken in.
    shown_at, decided_at : datetime, optional
        When the item was shown and when it was decided, aware.
    active_ms : int, optional
        Milliseconds somebody was busy with it.
    requeue : {"", "me", "others", "never"}
        Who sees a skipped item again: the same person later, other people, or nobody; empty
        is the task's rule.
    suggestion : dict
        What was proposed when it was decided, ``{"value", "by", "confidence"}``.
    guideline : str, optional
        The version of the guideline that was shown, empty when there was none; the one that
        holds now when nobody says.
    past : Past, optional
        What another store had noted, of a decision that comes from there.
    """

    ev: str
    item: int
    kind: Act
    value: Any = None
    reason: str = ""
    undoes: str | None = None
    digest: str = ""
    session: str = ""
    shown_at: datetime | None = None
    decided_at: datetime | None = None
    active_ms: int | None = None
    requeue: Requeue = ""
    suggestion: Mapping[str, Any] = field(default_factory=dict)
    guideline: str | None = None
    past: Past | None = None

    @classmethod
    def read(cls, found: Any) -> Decision:
        """Read a decision from JSON.

        Raises
        ------
        Invalid
            It isn't one; the error names the field.
        """
        if not isinstance(found, Mapping):
            raise _misfit("a decision", "it is no object")
        ev, item, kind = found.get("ev"), found.get("item"), found.get("kind")
        if not isinstance(ev, str) or not _ID.fullmatch(ev):
            raise _misfit("ev", "it is 1 to 64 letters, digits, '_', '.', ':' or '-'")
        if not isinstance(item, int) or isinstance(item, bool) or not 0 <= item < 1 << 31:
            raise _misfit("item", "it is the number of an item")
        if kind not in _SENT:
            raise _misfit("kind", f"it is one of {', '.join(_SENT)}")
        value = _json(found.get("value"))
        undoes = _text(found, "undoes", 64)
        if (kind == "label") != (value is not None) or (kind == "undo") != (undoes is not None):
            raise _misfit(
                "kind", "a label has a value, an undo says what it undoes, a skip neither"
            )
        return cls(
            ev,
            item,
            cast(Act, kind),
            value,
            _text(found, "reason", REASON_LIMIT) or "",
            undoes,
            _text(found, "digest", 64) or "",
            _text(found, "session", 64) or "",
            _time(found, "shown_at"),
            _time(found, "decided_at"),
            _milliseconds(found.get("active_ms")),
            _requeue(found),
            _suggestion(found.get("suggestion")),
            _text(found, "guideline", 64),
        )


def _json(value: Any) -> Any:
    if value is None:
        return None
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError):
        raise _misfit("value", "it is JSON, without NaN or infinite numbers") from None
    if len(text) > VALUE_LIMIT or "\\u0000" in text:
        raise _misfit("value", f"it is JSON of up to {VALUE_LIMIT:,} characters, without NUL")
    return value


def _requeue(found: Mapping[str, Any]) -> Requeue:
    value = found.get("requeue") or ""
    if value not in get_args(Requeue):
        raise _misfit("requeue", "it is me, others or never")
    return cast(Requeue, value)


def _suggestion(value: Any) -> Mapping[str, Any]:
    if not value:
        return {}
    if not isinstance(value, Mapping) or "value" not in value:
        raise _misfit("suggestion", "it is an object with the value that was proposed")
    return dict(cast("Mapping[str, Any]", _json(dict(value))))


def _text(found: Mapping[str, Any], name: str, limit: int) -> str | None:
    value = found.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > limit or "\0" in value:
        raise _misfit(name, f"it is a text of up to {limit} characters")
    return value


def _time(found: Mapping[str, Any], name: str) -> datetime | None:
    value = found.get(name)
    if value is None:
        return None
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        time = None
    if time is None or time.tzinfo is None:
        raise _misfit(name, "it is an ISO 8601 time with its zone")
    return time


def _milliseconds(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _misfit("active_ms", "it is a number of milliseconds")
    if not math.isfinite(value) or not 0 <= value < 1 << 31:
        raise _misfit("active_ms", "it is a number of milliseconds")
    return round(value)


def _misfit(name: str, why: str) -> Invalid:
    return Invalid(f"{name} doesn't fit a labeling decision", why, code="E-LABEL-016")
