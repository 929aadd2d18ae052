"""People label through a real server that is killed again and again; what became of it all."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sqlalchemy import func, select

from jupyter_mlops.labeling import Task, create, get, png
from jupyter_mlops.labeling.annotations import _digest
from jupyter_mlops.labeling.records import AnnotationRecord, ItemRecord, OpinionRecord, TaskRecord
from jupyter_mlops.workspace import Workspace
from servers.jupyter import JupyterServer

__all__ = ["Found", "Heard", "Rows", "judge", "storm"]

CHECKOUT = Path(__file__).parents[2]
FRONT = CHECKOUT / "jupyter_mlops" / "labeling" / "widgets" / "front"
CLASSES = ["a", "b", "c"]
#: Some are killed before anybody was answered: while the server starts.
EARLY = 1 / 8
#: After each so many kills of the server somebody's page dies too, and comes back.
CRASHES = 3
#: This share of the server's answers is lost on its way, so that what is stored is sent again.
DEAF = 0.08


@dataclass(frozen=True)
class Rows:
    """A table as the data room hands it over."""

    frame: pl.DataFrame
    digest: str
    ref: str | None = None

    def scan(self) -> pl.LazyFrame:
        return self.frame.lazy()


@dataclass
class Heard:
    """What everybody said: decisions by person in their order, and what was acknowledged."""

    decided: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    #: When each was sent, in seconds; more than once when an answer was missing.
    sent: dict[str, list[float]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(len(one) for one in self.decided.values())


@dataclass(frozen=True)
class Found:
    """What a storm came to. Everything from `lost` on should be zero or empty."""

    decided: int
    acknowledged: int
    kinds: dict[str, int]
    kills: int
    crashes: int
    sent_again: int
    known_already: int
    lost: int
    missing: int
    twice: int
    altered: int
    out_of_order: int
    beyond_overlap: int
    refused: int
    faults: tuple[str, ...]

    @property
    def holds(self) -> bool:
        told = (self.lost, self.missing, self.twice, self.altered, self.out_of_order)
        return not (any(told) or self.beyond_overlap or self.refused or self.faults)


class _Person:
    """One person's page: a process that outlives the server, and may be killed itself."""

    def __init__(self, name: str, given: dict[str, Any], heard: Heard) -> None:
        self.name, self.given, self.heard = name, given, heard
        self.turn = 0
        self.start()

    def start(self) -> None:
        given = self.given | {"seed": self.given["seed"] + 7919 * self.turn}
        self.turn += 1
        self.process = subprocess.Popen(
            ["node", str(Path(__file__).with_name("person.mjs")), json.dumps(given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.reader = threading.Thread(target=self._listen, args=(self.process,))
        self.reader.start()

    def crash(self) -> None:
        """Die as a page's process does, and be opened again."""
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.start()

    def leave(self) -> None:
        """Decide nothing more; the page closes when all is acknowledged."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def end(self, seconds: float) -> None:
        try:
            code = self.process.wait(seconds)
            assert code == 0, f"{self.name} ended with {code}"
        finally:
            self.process.kill()
            self.reader.join()

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.endswith(b"\n"):
                self._hear(json.loads(line))

    def _hear(self, told: dict[str, Any]) -> None:
        if "decided" in told:
            self.heard.decided.setdefault(self.name, []).append(told["decided"])
        elif "acknowledged" in told:
            self.heard.acknowledged.add(told["acknowledged"])
        elif "sent" in told:
            for ev in told["sent"]:
                self.heard.sent.setdefault(ev, []).append(told["at"] / 1000)
        else:
            self.heard.said.append(told["said"])


def storm(
    root: Path,
    *,
    kills: int,
    items: int,
    seed: int | None = None,
    pace: float = 40,
    window: float = 0.4,
    after: Callable[[int, Heard], None] | None = None,
) -> Found:
    """Kill the server at random moments while six people label pictures, texts and pairs.

    Parameters
    ----------
    root : Path
        An empty folder for the workspace; what serves and who labels keep theirs below it.
    kills : int
        How many times the server is killed.
    items : int
        In each of the three tasks; more than are labelled meanwhile.
    seed : int, optional
        Where the random moments start; default: the variable FAULT_SEED, else new.
    pace : float
        Milliseconds between two decisions of a person, on average.
    window : float
        Seconds after the first answer of a started server within which it is killed.
    after : callable, optional
        Called as ``after(kills, heard)`` after each.

    Returns
    -------
    Found
    """
    if seed is None:
        seed = int(os.environ.get("FAULT_SEED", random.randrange(1 << 32)))
    print(f"FAULT_SEED={seed} replays these moments")
    moments = random.Random(seed)
    home = root / "home"
    home.mkdir()
    front = home / "front"
    shutil.copytree(FRONT, front)
    (front / "package.json").write_text('{"type": "module"}')
    ws = Workspace.open(root, user="owner")
    tasks = _tasks(ws, items)
    heard = Heard()
    server = JupyterServer(root, home)
    server.start()
    people = []
    crashes = 0
    try:
        for number in range(6):
            task = tasks[number % len(tasks)]
            given = {
                "front": str(front),
                "shelf": str(home / f"person{number}"),
                "base": server.url,
                "token": server.token(f"person{number}"),
                "task": task.id,
                "kind": task.kind,
                "answer": task.answer,
                "classes": list(task.classes),
                "seed": seed + number,
                "pace": pace,
                "deaf": DEAF,
            }
            people.append(_Person(f"person{number}", given, heard))
        for turn in range(kills):
            early = turn > 0 and moments.random() < EARLY
            moment = moments.uniform(0, 1 if early else window)
            if not early:
                server.wait()
                _answered(heard)
            time.sleep(moment)
            server.kill()
            if turn % CRASHES == 1:
                crashes += 1
                moments.choice(_waiting(people, heard)).crash()
            server.begin()
            if after is not None:
                after(turn + 1, heard)
        server.wait()
        for one in people:
            one.leave()
        for one in people:
            one.end(60)
    finally:
        for one in people:
            one.process.kill()
        server.close()
    return judge(ws, tasks, heard, kills, crashes)


def _tasks(ws: Workspace, items: int) -> list[Task]:
    """Pictures that two people are asked about, texts and pairs that one is."""
    numbers = np.arange(items)
    grey = np.zeros((items, 4, 4), np.uint8)
    for place in range(4):
        grey[:, 0, place] = numbers >> (8 * place)
    pictures = pl.DataFrame({"picture": [png(one) for one in grey]})
    texts = pl.DataFrame({"text": [f"remark {one} on a late flight" for one in numbers]})
    pairs = pl.DataFrame({"left": texts["text"], "right": texts["text"].reverse()})
    create(ws, "pictures", Rows(pictures, "p"), "image", CLASSES, settings={"overlap": 2})
    create(ws, "spans", Rows(texts, "t"), "text", CLASSES, answer="spans")
    create(ws, "pairs", Rows(pairs, "q"), "pair")
    return [get(ws, name) for name in ("pictures", "spans", "pairs")]


def _answered(heard: Heard) -> None:
    """Wait until somebody is answered."""
    before, deadline = len(heard.acknowledged), time.monotonic() + 60
    while len(heard.acknowledged) == before:
        assert time.monotonic() < deadline, f"nobody was answered: {heard.said[-3:]}"
        time.sleep(0.005)


def _waiting(people: list[_Person], heard: Heard) -> list[_Person]:
    """Those who decided something that only their outbox has; somebody soon will."""
    deadline = time.monotonic() + 60
    while True:
        found = [
            one
            for one in people
            if any(
                event["ev"] not in heard.acknowledged
                for event in heard.decided.get(one.name, [])[-1:]
            )
        ]
        if found:
            return found
        assert time.monotonic() < deadline, "nobody decides anything"
        time.sleep(0.005)


def judge(
    ws: Workspace, tasks: list[Task], heard: Heard, kills: int = 0, crashes: int = 0
) -> Found:
    """Hold the store against what everybody said."""
    decided = {one["ev"]: one for told in heard.decided.values() for one in told}
    with ws.read() as session:
        rows = list(session.scalars(select(AnnotationRecord).order_by(AnnotationRecord.number)))
        session.expunge_all()
        faults = [*_miscounted(session, tasks), *_unvouched(ws, rows)]
        often = session.execute(
            select(OpinionRecord.task, OpinionRecord.item, func.count())
            .where(OpinionRecord.state == "label")
            .group_by(OpinionRecord.task, OpinionRecord.item)
        ).all()
    overlap = {task.id: task.settings.get("overlap", 1) for task in tasks}
    stored = {row.ev: row for row in rows}
    same = [
        ev
        for ev, one in decided.items()
        if (row := stored.get(ev))
        and (row.item, row.kind, row.value, row.undoes)
        == (one["item"], one["kind"], one["value"], one["undoes"])
    ]
    # A page that died after a decision was kept, before it said so, announced it to nobody.
    unknown = len(stored.keys() - decided.keys())
    if unknown > crashes:
        faults.append(f"{unknown} decisions that nobody took are stored")
    again = [ev for ev, times in heard.sent.items() if len(times) > 1]
    known = [ev for ev in again if ev in stored and _before(stored[ev], heard.sent[ev][-1])]
    return Found(
        decided=len(decided),
        acknowledged=len(heard.acknowledged),
        kinds=dict(Counter(row.kind for row in rows)),
        kills=kills,
        crashes=crashes,
        sent_again=len(again),
        known_already=len(known),
        lost=len(heard.acknowledged - stored.keys()),
        missing=len(decided.keys() - stored.keys()),
        twice=len(rows) - len(stored),
        altered=len([ev for ev in decided if ev in stored]) - len(same),
        out_of_order=sum(_disordered(told, stored) for told in heard.decided.values()),
        beyond_overlap=sum(count > overlap[task] for task, _, count in often),
        refused=sum("refused" in one for one in heard.said),
        faults=tuple(faults),
    )


def _before(row: AnnotationRecord, moment: float) -> bool:
    return row.stored_at.timestamp() < moment


def _disordered(told: list[dict[str, Any]], stored: dict[str, AnnotationRecord]) -> int:
    numbers = [stored[one["ev"]].number for one in told if one["ev"] in stored]
    return sum(second < first for first, second in pairwise(numbers))


def _miscounted(session: Any, tasks: list[Task]) -> list[str]:
    """Tasks whose counts aren't those of their items."""
    faults = []
    for task in tasks:
        counted = dict(
            session.execute(
                select(ItemRecord.state, func.count())
                .where(ItemRecord.task == task.id)
                .group_by(ItemRecord.state)
            )
            .tuples()
            .all()
        )
        row = session.get_one(TaskRecord, task.id)
        if (counted.get("labeled", 0), counted.get("skipped", 0)) != (row.labeled, row.skipped):
            faults.append(f"{task.name} says {row.labeled}, {row.skipped} and has {counted}")
    return faults


def _unvouched(ws: Workspace, rows: list[AnnotationRecord]) -> list[str]:
    """What the chain of events says otherwise than the decisions themselves."""
    audit = ws.audit()
    faults = [] if audit.intact else [f"the chain is broken: {audit.reason}"]
    events = [
        event
        for after in range(0, audit.events, 1000)
        for event in ws.events(after=after, limit=1000)
        if event.kind == "label.committed"
    ]
    at = 0
    for event in events:
        part = rows[at : at + event.payload["decisions"]]
        at += len(part)
        if _digest(part) != event.payload["digest"]:
            faults.append(f"event {event.seq} vouches for other decisions")
            break
    if at != len(rows):
        faults.append(f"events tell of {at} decisions, and {len(rows)} are stored")
    return faults
