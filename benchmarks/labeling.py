"""Labels: how few are needed, whether the stated accuracy is true, and whether anybody works twice.

Usage: ``python benchmarks/labeling.py [--seeds 20] [--people 20] [--items 4000]
[--queue 1000000] [--only learning|people|queue]``

*Learning* labels scikit-learn's 1,797 digits in batches of 10 until a logistic regression is right
on 95 % of 500 digits that were held back: once in the order that the queue gives with its default
strategy, audit items counted, once at random. The seeds aren't those that the strategy was chosen
on. The accuracy that the product states at 150 labels
is held against the 500. *People* are processes that claim and label at the same time; the peer is
a queue that reads the next item and then marks it as taken, as notebook labelers with a database
do. *Queue* claims 16 items of very many.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sqlite3
import statistics
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

TARGET, HELD_BACK, STATED_AT, MOST = 0.95, 500, 150, 900
BATCH = 10
# The default strategy was chosen on the seeds below 20: others tell what it is worth.
FIRST_SEED = 100


class Rows:
    """A table as the data room hands it over."""

    ref = None

    def __init__(self, frame: pl.DataFrame, digest: str) -> None:
        self.frame, self.digest = frame, digest

    def scan(self) -> pl.LazyFrame:
        return self.frame.lazy()


def learning(seeds: int) -> None:
    """Labels until the target, and whether the stated interval holds the truth."""
    from sklearn.datasets import load_digits

    pixels, truth = load_digits(return_X_y=True)
    chosen, drawn, held, stated = [], [], 0, []
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        order = np.random.default_rng(seed).permutation(len(truth))
        test, pool = order[:HELD_BACK], order[HELD_BACK:]
        labels, inside, said = _by_queue(pixels, truth, pool, test, seed)
        chosen.append(labels)
        drawn.append(_at_random(pixels, truth, pool, test, seed))
        held += inside
        stated.append(said)
        print(f"  seed {seed}: {labels} labels, {drawn[-1]} at random", flush=True)
    print(f"labels to {TARGET:.0%}, median of {seeds} seeds:", end=" ")
    few, many = statistics.median(chosen), statistics.median(drawn)
    print(f"{few:.0f} (at random {many:.0f}, {many / few:.1f} times as many)")
    off = statistics.mean(stated)
    print(f"stated accuracy at {STATED_AT} labels: its 95 % interval holds the truth in", end=" ")
    print(f"{held} of {seeds} seeds; off by {off:+.3f} on average")


def _by_queue(pixels: Any, truth: Any, pool: Any, test: Any, seed: int) -> tuple[int, bool, float]:
    """Label what the queue hands out; labels needed, and how the stated accuracy did."""
    from jupyter_mlops.labeling import Decision, claim, commit, create, pick, png, rank
    from jupyter_mlops.labeling.records import ItemRecord
    from jupyter_mlops.workspace import Workspace

    with TemporaryDirectory() as folder:
        ws = Workspace.open(Path(folder), user="maria")
        images = [png(pixels[at].reshape(8, 8).astype(np.uint8)) for at in pool]
        names = [str(one) for one in range(10)]
        create(ws, "digits", Rows(pl.DataFrame({"x": images}), "d"), "image", names)
        pick(ws, "digits", batch=BATCH, seed=seed)
        rows = pixels[pool] / 16
        count, needed, inside, off = 0, 0, False, 0.0
        while count < MOST and (not needed or count <= STATED_AT):
            found = rank(ws, "digits", vectors=lambda items: rows[list(items)], seed=seed + count)
            if count:
                right = _score(ws, ItemRecord, pixels, truth, pool, test)
                if right >= TARGET and not needed:
                    needed = count
                if count == STATED_AT:
                    stated = found.accuracy
                    inside = bool(stated.low <= right <= stated.high)  # type: ignore[operator]
                    off = float(stated.value or 0) - right
            given = claim(ws, "digits", "jo", BATCH, session="s").items
            commit(
                ws,
                "digits",
                "jo",
                [
                    Decision(f"e{one.item}", one.item, "label", str(truth[pool[one.item]]))
                    for one in given
                ],
            )
            count += len(given)
        return needed or MOST, inside, off


def _score(ws: Any, records: Any, pixels: Any, truth: Any, pool: Any, test: Any) -> float:
    """How right the product's model is on what was held back."""
    from sqlalchemy import select

    from jupyter_mlops.labeling.ranking import learner

    with ws.read() as session:
        query = select(records.item).where(records.state == "labeled", records.audit == 0)
        items = pool[list(session.scalars(query.order_by(records.item)))]
    if len(set(truth[items])) < 2:
        return 0.0
    model = learner().fit(pixels[items] / 16, truth[items])
    return float(model.score(pixels[test] / 16, truth[test]))


def _at_random(pixels: Any, truth: Any, pool: Any, test: Any, seed: int) -> int:
    from jupyter_mlops.labeling.ranking import learner

    order = np.random.default_rng(1000 + seed).permutation(pool)
    for count in range(BATCH, MOST, BATCH):
        items = order[:count]
        if len(set(truth[items])) > 1:
            model = learner().fit(pixels[items] / 16, truth[items])
            if model.score(pixels[test] / 16, truth[test]) >= TARGET:
                return count
    return MOST


def people(count: int, items: int) -> None:
    """Many processes that label at the same moment, ours and the peer's."""
    context = multiprocessing.get_context("spawn")
    for name, worker in (("read, then mark", _marker), ("leases", _labeler)):
        for overlap in (1, 2) if worker is _labeler else (1,):
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
                given: list[tuple[int, str]] = []
                for _ in work:
                    given += said.get()
                seconds = time.perf_counter() - began
                for one in work:
                    one.join()
            times = Counter(item for item, _ in given)
            twice = sum(found > overlap for found in times.values())
            same = len(given) - len(set(given))
            print(
                f"{name}, {count} people, {items:,} items, overlap {overlap}: "
                f"{twice} items given too often, {same} twice to the same person, "
                f"{sum(found < overlap for found in times.values()) + items - len(times)} missing, "
                f"{len(given) / seconds:,.0f} labels/s",
                flush=True,
            )


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

    ws, person, given = Workspace.open(Path(folder)), f"person{number}", []
    gate.wait()
    while found := claim(ws, "t", person, 16, session=person).items:
        decisions = [
            Decision(f"{person}:{one.item}", one.item, "label", "a", session=person)
            for one in found
        ]
        given += [(one.item, person) for one in found]
        assert len(commit(ws, "t", person, decisions).accepted) == len(found)
    said.put(given)


def _marker(folder: str, number: int, gate: Any, said: Any) -> None:
    peer = sqlite3.connect(Path(folder) / "peer.db", timeout=60, isolation_level=None)
    given = []
    gate.wait()
    try:
        while True:
            query = "SELECT id FROM queue WHERE popped = 0 ORDER BY id LIMIT 1"
            row = peer.execute(query).fetchone()
            if row is None:
                break
            peer.execute("UPDATE queue SET popped = 1 WHERE id = ?", row)
            given.append((row[0], f"person{number}"))
    except sqlite3.OperationalError as error:  # it waited a minute for its turn
        print(f"  person{number} of the peer gave up: {error}")
    finally:
        said.put(given)


def queue(size: int, claims: int = 400) -> None:
    """How long a claim of 16 takes when there are very many items."""
    from sqlalchemy import text

    from jupyter_mlops.labeling import claim, commit, create, get
    from jupyter_mlops.labeling.decisions import Decision
    from jupyter_mlops.workspace import Workspace

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
            took = []
            for turn in range(claims):
                person = f"person{turn % 20}"
                began = time.perf_counter()
                given = claim(ws, task, person, 16, session=person).items
                took.append(1000 * (time.perf_counter() - began))
                decisions = [Decision(f"{person}:{i.item}", i.item, "label", "a") for i in given]
                commit(ws, task, person, decisions)
            middle, worst = np.quantile(took, [0.5, 0.99])
            print(
                f"claim(16) of {size:,} items, overlap {overlap}: p50 {middle:.1f} ms, "
                f"p99 {worst:.1f} ms over {claims} claims; the first {1000 * first:.0f} ms",
                flush=True,
            )


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--items", type=int, default=4000)
    parser.add_argument("--queue", type=int, default=1_000_000)
    parser.add_argument("--only", choices=["learning", "people", "queue"])
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    if given.only in (None, "queue"):
        queue(given.queue)
    if given.only in (None, "people"):
        people(given.people, given.items)
    if given.only in (None, "learning"):
        learning(given.seeds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
