"""Labels: none is lost, nobody works twice, few are needed, and the next item is there at once.

Usage: ``python benchmarks/labeling.py [PART …]``, all parts when none is named:

- *kills* kills the Jupyter server at random moments while six people, who run the labeler's own
  queue and outbox, label pictures, texts and pairs; now and then a page dies too.
- *faults* takes the network from a real browser, reloads its page, and ends the kernel.
- *people* lets processes claim and label at the same time, on SQLite and on PostgreSQL; the peer
  is a queue that reads the next item and then marks it, as notebook labelers with a database do.
- *queue* claims 16 items of very many. *first* waits for the first of 100,000 in a browser.
- *kept* asks a real server to keep one label after the other.
- *painted* labels 200 pictures in a real browser; the peer is a Button and an Output of
  ipywidgets in the same notebook, as pigeon has them.
- *learning* labels scikit-learn's 1,797 digits in batches of 10 until a logistic regression is
  right on 95 % of 500 digits that were held back: once in the order that the queue gives with its
  default strategy, audit items counted, once at random. The seeds aren't those that the strategy
  was chosen on. The accuracy that the product states at 150 labels is held against the 500.

Each prints its figures, whether they hold, and how busy the machine was. Parts with a browser
need what the browser tests need.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import label_browser
import label_kills
import label_people
import numpy as np
import polars as pl
from grounds import tell
from label_people import Rows

TARGET, HELD_BACK, STATED_AT, MOST = 0.95, 500, 150, 900
BATCH = 10
# The default strategy was chosen on the seeds below 20: others tell what it is worth.
FIRST_SEED = 100


def learning(given: argparse.Namespace) -> bool:
    """Labels until the target, and whether the stated interval holds the truth."""
    from sklearn.datasets import load_digits

    from jupyter_mlops.labeling.ranking import alone

    alone()  # from here on: labels are counted, not seconds

    pixels, truth = load_digits(return_X_y=True)
    seeds = given.seeds
    chosen, drawn, held, stated = [], [], 0, []
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        order = np.random.default_rng(seed).permutation(len(truth))
        test, pool = order[:HELD_BACK], order[HELD_BACK:]
        labels, inside, said = _by_queue(pixels, truth, pool, test, seed)
        chosen.append(labels)
        drawn.append(_at_random(pixels, truth, pool, test, seed))
        held += inside
        stated.append(said)
        told = "held" if inside else "missed"
        print(f"  seed {seed}: {labels} labels, {drawn[-1]} at random, {told}", flush=True)
    few, many = statistics.median(chosen), statistics.median(drawn)
    figure = f"{few:.0f} (at random {many:.0f}, {many / few:.1f} times as many), {seeds} seeds"
    holds = tell(f"labels to {TARGET:.0%}, median", figure, few <= 150)
    figure = (
        f"its 95 % interval holds the truth in {held} of {seeds} seeds; "
        f"off by {statistics.mean(stated):+.3f} on average"
    )
    what = f"stated accuracy at {STATED_AT} labels"
    return tell(what, figure, held >= 0.9 * seeds) and holds


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


PARTS: dict[str, Callable[[argparse.Namespace], bool]] = {
    "queue": label_people.queue,
    "kept": label_people.kept,
    "first": label_browser.first,
    "painted": label_browser.painted,
    "people": label_people.people,
    "faults": label_browser.faults,
    "learning": learning,
    "kills": label_kills.kills,
}


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument(
        "--kills", type=int, default=300, help="of the server; a tenth on PostgreSQL"
    )
    parser.add_argument("--offline", type=float, default=60.0, help="seconds without network")
    parser.add_argument("--reloads", type=int, default=10)
    parser.add_argument("--kernels", type=int, default=5, help="killed, and restarted")
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--items", type=int, default=4000, help="that they label")
    parser.add_argument("--queue", type=int, default=1_000_000, help="items of the long queue")
    parser.add_argument("--first", type=int, default=100_000, help="items of the task to open")
    parser.add_argument("--kept", type=int, default=400, help="labels by HTTP")
    parser.add_argument("--shown", type=int, default=200, help="pictures to label")
    parser.add_argument("--seeds", type=int, default=20, help="of learning")
    parser.add_argument("--seed", type=int, default=1, help="of kills and faults")
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    # Whoever is told to end cleans up first.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    held = True
    for part in given.parts or PARTS:
        print(part, flush=True)
        held = PARTS[part](given) and held
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
