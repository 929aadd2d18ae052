"""A decision as its sender writes it: checked before it comes near the store."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast, get_args

from jupyter_mlops.workspace.errors import Invalid

__all__ = ["Decision"]

Act = Literal["label", "skip", "undo"]
_ID = re.compile(r"[A-Za-z0-9_.:\-]{1,64}")
REASON_LIMIT = 1000


@dataclass(frozen=True)
class Decision:
    """One label, skip or undo.

    Parameters
    ----------
    ev : str
        The sender's id, up to 64 letters, digits, ``_ . : -``; unique for ever.
    item : int
        The item's number in its task.
    kind : {"label", "skip", "undo"}
    value : str, optional
        The class, of a label.
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
    """

    ev: str
    item: int
    kind: Act
    value: str | None = None
    reason: str = ""
    undoes: str | None = None
    digest: str = ""
    session: str = ""
    shown_at: datetime | None = None
    decided_at: datetime | None = None
    active_ms: int | None = None

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
        if kind not in get_args(Act):
            raise _misfit("kind", f"it is one of {', '.join(get_args(Act))}")
        value = _text(found, "value", 255)
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
        )


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
