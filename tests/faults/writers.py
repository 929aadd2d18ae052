"""Writers for the fault tests: what rooms do to a store, mixed at random."""

from __future__ import annotations

import random
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from faults.kill import Acknowledge
from jupyter_mlops.workspace import Workspace

__all__ = [
    "Note",
    "lost",
    "make_notes",
    "mixed_writes",
    "open_workspace",
    "write_for_ever",
    "write_mixed",
]


class Base(DeclarativeBase):
    """Tables of the tests alone, so that the product's schema stays as it is."""


class Note(Base):
    """A row that is written together with its event."""

    __tablename__ = "test_note"

    token: Mapped[str] = mapped_column(primary_key=True)
    text: Mapped[str]


class ChangedMind(Exception):
    """What a caller raises to take a transaction back."""


def make_notes(ws: Workspace) -> None:
    """Make the tests' own table."""
    with ws.write() as tx:
        Base.metadata.create_all(tx.session.connection())


def mixed_writes(
    ws: Workspace, acknowledge: Acknowledge, chance: random.Random, name: str, count: int
) -> None:
    """Do `count` writes: single events, several at once, with rows, taken back; and reads."""
    seen = 0
    for number in range(count):
        token = f"{name}-{number}"
        what = chance.random()
        if what < 0.5:
            with ws.write() as tx:
                tx.emit("run.started", f"run:{token}", payload={"number": number, "share": what})
            acknowledge(f"event {token}")
        elif what < 0.7:
            with ws.write(actor=name) as tx:
                tx.session.add(Note(token=token, text="x" * chance.randrange(2000)))
                tx.emit("label.committed", f"label:{token}", inputs=["data:flights@1"])
            acknowledge(f"row {token}")
        elif what < 0.85:
            with ws.write() as tx:
                for part in range(3):
                    tx.emit("dataset.added", f"data:{token}@{part + 1}")
            acknowledge(f"three {token}")
        elif what < 0.95:
            try:
                with ws.write() as tx:
                    tx.session.add(Note(token=token, text="never"))
                    tx.emit("run.failed", f"run:{token}")
                    raise ChangedMind
            except ChangedMind:
                acknowledge(f"back {token}")
        else:
            found = ws.events(after=seen, limit=50)
            assert [one.seq for one in found] == list(range(seen + 1, seen + 1 + len(found)))
            seen = found[-1].seq if found else seen
            acknowledge(f"read {token}")


def write_for_ever(acknowledge: Acknowledge, turn: int, root: Path, seed: int) -> None:
    """Open the workspace and write until killed."""
    ws = Workspace.open(root)
    mixed_writes(ws, acknowledge, random.Random(f"{seed} {turn}"), f"w{turn}", 100_000)


def open_workspace(acknowledge: Acknowledge, _turn: int, root: Path) -> None:
    """Open a workspace that may not be there yet."""
    ws = Workspace.open(root)
    with ws.write() as tx:
        tx.emit("dataset.added", "data:first@1")
    acknowledge("opened")


def lost(ws: Workspace, acknowledged: list[str]) -> list[str]:
    """What was acknowledged and isn't there as it should be, whole and once."""
    subjects: dict[str, int] = {}
    after = 0
    while page := ws.events(after=after, limit=5000):
        for one in page:
            subjects[one.subject] = subjects.get(one.subject, 0) + 1
        after = page[-1].seq
    with ws.read() as session:
        notes = set(session.scalars(select(Note.token)))
    missing = []
    for line in acknowledged:
        what, token = line.split()
        there = {
            "event": subjects.get(f"run:{token}") == 1,
            "row": subjects.get(f"label:{token}") == 1 and token in notes,
            "three": all(subjects.get(f"data:{token}@{part}") == 1 for part in (1, 2, 3)),
            "back": f"run:{token}" not in subjects and token not in notes,
            "read": True,
        }[what]
        if not there:
            missing.append(line)
    # Halves of a transaction, acknowledged or not.
    missing += [f"half {token}" for token in notes if subjects.get(f"label:{token}") != 1]
    for subject in subjects:
        if subject.startswith("data:") and subject.endswith("@1"):
            base = subject.removesuffix("1")
            if not all(subjects.get(f"{base}{part}") == 1 for part in (2, 3)):
                missing.append(f"half {subject}")
    return missing


def write_mixed(acknowledge: Acknowledge, number: int, root: Path, seed: int, count: int) -> None:
    """Open the workspace and do `count` mixed writes."""
    ws = Workspace.open(root)
    mixed_writes(ws, acknowledge, random.Random(f"{seed} {number}"), f"w{number}", count)
