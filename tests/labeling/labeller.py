"""A labelling process for the tests: claims, labels, and says what was acknowledged.

Usage: ``python labeller.py ROOT TASK PERSON CLAIM [PAUSE]``. Each line it prints is the id of a
decision and its item, after the store has acknowledged them.
"""

from __future__ import annotations

import sys
import time

from jupyter_mlops.labeling import Decision, claim, commit
from jupyter_mlops.workspace import Workspace


def main(root: str, task: str, person: str, size: str, pause: str = "0") -> None:
    ws = Workspace.open(root, user=person)
    print("ready", flush=True)
    while items := claim(ws, task, person, int(size), session=person).items:
        for one in items:
            ev = f"{person}:{one.item}:{time.monotonic_ns()}"
            decision = Decision(ev, one.item, "label", "a", session=person, digest=one.digest)
            receipt = commit(ws, task, person, [decision])
            for accepted in receipt.accepted:
                print(accepted, flush=True)
            time.sleep(float(pause))


if __name__ == "__main__":
    main(*sys.argv[1:])
