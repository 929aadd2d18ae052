"""What labelling processes do in the fault tests."""

from __future__ import annotations

from pathlib import Path

from faults.kill import Acknowledge
from jupyter_mlops.labeling import Decision, claim, commit
from jupyter_mlops.workspace import Workspace

__all__ = ["label_everything", "label_until_killed"]


def label_everything(acknowledge: Acknowledge, number: int, root: Path, task: str) -> None:
    """Claim and label until nothing is left; acknowledge each stored decision's id."""
    ws = Workspace.open(root)
    person = f"person{number}"
    while items := claim(ws, task, person, 4, session=person).items:
        for one in items:
            ev = f"{person}:{one.item}"
            decision = Decision(ev, one.item, "label", "a", session=person, digest=one.digest)
            # Every third answer "gets lost": the decision is sent again.
            for _ in range(1 + (one.item % 3 == 0)):
                receipt = commit(ws, task, person, [decision])
            assert receipt.accepted == (ev,)
            acknowledge(f"{ev} {one.item}")


def label_until_killed(acknowledge: Acknowledge, turn: int, root: Path, task: str) -> None:
    """Label, skip and undo until killed."""
    ws = Workspace.open(root)
    number = 0
    while items := claim(ws, task, "jo", 8, session=f"s{turn}").items:
        for one in items:
            number += 1
            ev = f"{turn}-{number}"
            decision = Decision(ev, one.item, "label", "a", session=f"s{turn}")
            commit(ws, task, "jo", [decision])
            acknowledge(ev)
            if number % 5 == 0:
                undo = Decision(f"{ev}-undo", one.item, "undo", undoes=ev, session=f"s{turn}")
                commit(ws, task, "jo", [undo])
                acknowledge(f"{ev}-undo")
