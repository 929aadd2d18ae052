"""Many people at one queue, and very many items in it: see `labeling.py`, which calls this."""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import sqlite3
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
from grounds import quantile, tell
from label_kills import databases

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

__all__ = ["kept", "people", "queue"]


class Rows:
    """A table as the data room hands it over."""

    ref = None

    def __init__(self, frame: pl.DataFrame, digest: str) -> None:
        self.frame, self.digest = frame, digest

    def scan(self) -> pl.LazyFrame:
        return self.frame.lazy()


def people(given: argparse.Namespace) -> bool:
    """Many processes that label at the same moment, ours on each database, and the peer's."""
    _at_once("a queue that reads, then marks, on SQLite", _marker, given, 1)
    held = True
    for overlap in (1, 2):
        for name, _ in databases(given.databases):
            held &= _at_once(name, _labeler, given, overlap)
    return held


def _at_once(name: str, worker: Any, given: argparse.Namespace, overlap: int) -> bool:
    """Let everybody begin at the same moment; whether anything was given too often."""
    context = multiprocessing.get_context("spawn")
    count, items = given.people, given.items
    with TemporaryDirectory() as folder:
        _prepare(folder, items, overlap)
        gate, said = context.Barrier(count + 1), context.Queue()
        work = [
            context.Process(target=worker, args=(folder, number, gate, said))
            for number in range(count)
        ]
        for one in work:
            one.start()
        gate.wait()
        began = time.perf_counter()
        got: list[tuple[int, str]] = []
        claims: list[float] = []
        for _ in work:
            labelled, took = said.get()
            got += labelled
            claims += took
        seconds = time.perf_counter() - began
        for one in work:
            one.join()
    times = Counter(item for item, _ in got)
    often = sum(found > overlap for found in times.values())
    same = len(got) - len(set(got))
    missing = sum(found < overlap for found in times.values()) + items - len(times)
    middle, late = 1000 * quantile(claims, 0.5), 1000 * quantile(claims, 0.99)
    figure = (
        f"{often} items given too often, {same} twice to the same person, {missing} missing; "
        f"{len(claims) / seconds:,.0f} claims/s, {len(got) / seconds:,.0f} labels/s; "
        f"a claim p50 {middle:.0f} ms, p99 {late:.0f} ms"
    )
    what = f"{name}, {count} people at once, {items:,} items, overlap {overlap}"
    return tell(what, figure, not (often or same or missing))


def _prepare(folder: str, items: int, overlap: int) -> None:
    from jupyter_mlops.labeling import create
    from jupyter_mlops.workspace import Workspace

    ws = Workspace.open(Path(folder), user="maria")
    texts = pl.DataFrame({"x": [f"remark {number}" for number in range(items)]})
    create(ws, "t", Rows(texts, "d"), "text", ["a", "b"], settings={"overlap": overlap})
    with sqlite3.connect(Path(folder) / "peer.db") as peer:
        peer.execute("PRAGMA journal_mode = WAL")
        peer.execute("CREATE TABLE queue (id INTEGER PRIMARY KEY, popped INTEGER)")
        peer.executemany("INSERT INTO queue VALUES (?, 0)", ((one,) for one in range(items)))


def _labeler(folder: str, number: int, gate: Any, said: Any) -> None:
    from jupyter_mlops.labeling import Decision, claim, commit
    from jupyter_mlops.workspace import Workspace

    ws, person, given, took = Workspace.open(Path(folder)), f"person{number}", [], []
    gate.wait()
    while True:
        began = time.perf_counter()
        found = claim(ws, "t", person, 16, session=person).items
        took.append(time.perf_counter() - began)
        if not found:
            break
        decisions = [
            Decision(f"{person}:{one.item}", one.item, "label", "a", session=person)
            for one in found
        ]
        given += [(one.item, person) for one in found]
        assert len(commit(ws, "t", person, decisions).accepted) == len(found)
    said.put((given, took))


def _marker(folder: str, number: int, gate: Any, said: Any) -> None:
    peer = sqlite3.connect(Path(folder) / "peer.db", timeout=60, isolation_level=None)
    given, took = [], []
    gate.wait()
    try:
        while True:
            began = time.perf_counter()
            query = "SELECT id FROM queue WHERE popped = 0 ORDER BY id LIMIT 1"
            row = peer.execute(query).fetchone()
            if row is None:
                break
            peer.execute("UPDATE queue SET popped = 1 WHERE id = ?", row)
            given.append((row[0], f"person{number}"))
            took.append(time.perf_counter() - began)
    except sqlite3.OperationalError as error:  # it waited a minute for its turn
        print(f"  person{number} of the peer gave up: {error}")
    finally:
        said.put((given, took))


def queue(given: argparse.Namespace, claims: int = 400) -> bool:
    """How long a claim of 16 takes when there are very many items."""
    from sqlalchemy import text

    from jupyter_mlops.labeling import claim, commit, create, get
    from jupyter_mlops.labeling.decisions import Decision
    from jupyter_mlops.workspace import Workspace

    size, held = given.queue, True
    for overlap in (1, 2):
        with TemporaryDirectory() as folder:
            ws = Workspace.open(Path(folder), user="maria")
            one = Rows(pl.DataFrame({"x": ["remark"]}), "d")
            create(ws, "t", one, "text", ["a", "b"], settings={"overlap": overlap})
            task = get(ws, "t").id
            with ws.write() as tx:
                columns = "digest, place, content, media, start, size, key, state, rank, audit"
                columns += ", gold, opinions, disputed, suggestion"
                statement = (
                    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :n) "
                    f"INSERT INTO label_item (task, item, {columns}) "
                    f"SELECT task, n.i, {columns} FROM label_item, n WHERE item = 0"
                )
                tx.session.execute(text(statement), {"n": size - 1})
                tx.session.execute(text("UPDATE label_task SET items = :n"), {"n": size})
            began = time.perf_counter()
            claim(ws, task, "first", 16, session="first")
            first = time.perf_counter() - began
            took, busy = [], []
            for turn in range(claims):
                person = f"person{turn % 20}"
                began, cpu = time.perf_counter(), time.process_time()
                found = claim(ws, task, person, 16, session=person).items
                took.append(1000 * (time.perf_counter() - began))
                busy.append(1000 * (time.process_time() - cpu))
                decisions = [Decision(f"{person}:{i.item}", i.item, "label", "a") for i in found]
                commit(ws, task, person, decisions)
            middle, worst = np.quantile(took, [0.5, 0.99])
            figure = (
                f"p50 {middle:.1f} ms, p99 {worst:.1f} ms over {claims} claims, "
                f"CPU {np.median(busy):.1f} and {np.quantile(busy, 0.99):.1f} ms; "
                f"the first {1000 * first:.0f} ms"
            )
            what = f"claim(16) of {size:,} items, overlap {overlap}"
            held &= tell(what, figure, worst <= 10)
    return held


def kept(given: argparse.Namespace) -> bool:
    """How long the server takes to acknowledge one label, over HTTP, and how busy that keeps it."""
    import psutil

    from jupyter_mlops.labeling import create, get
    from jupyter_mlops.workspace import Workspace
    from servers.jupyter import JupyterServer

    with TemporaryDirectory() as folder:
        root = Path(folder)
        home = root / "home"
        home.mkdir()
        ws = Workspace.open(root, user="owner")
        texts = pl.DataFrame({"x": [f"remark {number}" for number in range(given.kept + 64)]})
        create(ws, "t", Rows(texts, "d"), "text", ["a", "b"])
        server = JupyterServer(root, home)
        server.start()
        address = server.url.removeprefix("http://").strip("/")
        wire = http.client.HTTPConnection(address)
        headers = {
            "Authorization": f"token {server.token('ada')}",
            "Content-Type": "application/json",
        }

        def ask(action: str, body: Any) -> Any:
            path = f"/mlops/api/labels/{get(ws, 't').id}/{action}"
            wire.request("POST", path, json.dumps(body), headers)
            answer = wire.getresponse()
            said = json.loads(answer.read())
            assert answer.status == 200, said
            return said

        try:
            hand: list[int] = []
            took: list[float] = []
            process = psutil.Process(server.pid)
            before = process.cpu_times()
            for number in range(given.kept):
                if len(hand) < 8:
                    claim = {"session": "s", "count": 16, "holding": hand}
                    hand += [one["item"] for one in ask("claim", claim)["items"]]
                event = {"ev": f"e{number}", "item": hand.pop(0), "kind": "label", "value": "a"}
                began = time.perf_counter()
                assert ask("events", {"events": [event]})["accepted"]
                took.append(1000 * (time.perf_counter() - began))
                time.sleep(0.03)
            after = process.cpu_times()
        finally:
            server.close()
    cpu = after.user + after.system - before.user - before.system
    middle, late = quantile(took, 0.5), quantile(took, 0.95)
    figure = (
        f"p50 {middle:.1f} ms, p95 {late:.1f} ms over {len(took)}; {1000 * cpu / len(took):.1f} ms "
        "of the server's CPU each, with claims and telling browsers"
    )
    return tell("one label by HTTP, durable", figure, middle <= 30 and late <= 100)
