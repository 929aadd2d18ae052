"""What bare ``%mlops`` answers: five questions, and the records of each part of the work."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from jupyter_mlops.workspace.results import Result

if TYPE_CHECKING:
    from jupyter_mlops.views.blocks import View

__all__ = ["SHOWN", "Answer", "Entry", "Level", "Section", "Status"]

Level = Literal["info", "good", "warn", "bad"]
SHOWN = 20


@dataclass(frozen=True)
class Answer:
    """A question and its answer; `hint` says more."""

    question: str
    answer: str
    hint: str = ""


@dataclass(frozen=True)
class Entry:
    """A record: its reference, its state, and when that began.

    `label`, `short` and `more` are its name, its state and how far it is, apart from each other.
    """

    ref: str
    state: str
    level: Level
    at: datetime
    label: str = ""
    short: str = ""
    more: str = ""


@dataclass(frozen=True)
class Section:
    """The records of one part of the work, the one that changed last first."""

    title: str
    entries: tuple[Entry, ...]
    total: int
    empty: str


@dataclass(frozen=True)
class Status(Result):
    """What is running, served, changed, waiting, and whether it can be trusted."""

    root: str
    answers: tuple[Answer, ...]
    sections: tuple[Section, ...]

    def as_view(self) -> View:
        from jupyter_mlops.views.blocks import Column, Fact, Facts, Table, View

        facts = Facts(
            items=[
                Fact(label=one.question, value=one.answer, hint=one.hint) for one in self.answers
            ]
        )
        columns = [
            Column(key="name", label="Name", kind="ref"),
            Column(key="state", label="State", kind="badge"),
            Column(key="when", label="When", kind="time"),
        ]
        tables = [
            Table(
                title=section.title,
                columns=columns,
                rows=[_row(entry) for entry in section.entries[:SHOWN]],
                total=section.total,
                empty=section.empty,
            )
            for section in self.sections
        ]
        return View(
            kind="status",
            title="MLOps",
            subtitle=self.root,
            line="%mlops",
            blocks=[facts, *tables],
        )


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.ref,
        "state": {"text": entry.state, "level": entry.level},
        "when": entry.at.isoformat(),
        **({"label": entry.label, "short": entry.short} if entry.label else {}),
        **({"more": entry.more} if entry.more else {}),
    }
