"""What a claim costs doesn't grow with the queue: each statement follows an index, in its order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sqlalchemy import event, text

from jupyter_mlops.labeling import Decision, Task, claim, commit, create
from jupyter_mlops.workspace import Workspace

from .conftest import Rows

# How either database says that it reads a whole table, and that it sorts by itself.
WHOLE, SORTED = "SCAN|Seq Scan", "TEMP B-TREE|Sort"


@pytest.fixture
def ws(database: str, tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path, user="maria")


def make(ws: Workspace, overlap: int, **settings: Any) -> Task:
    frame = pl.DataFrame({"remark": [f"remark {n}" for n in range(300)]})
    rules = {"overlap": overlap, **settings}
    return create(ws, "remarks", Rows(frame), "text", ["a", "b"], settings=rules)


@contextmanager
def heard(ws: Workspace) -> Iterator[list[tuple[str, Any]]]:
    """The statements that are sent to the database meanwhile, with their parameters."""
    said: list[tuple[str, Any]] = []

    def listen(_connection: Any, _cursor: Any, statement: str, given: Any, *_: Any) -> None:
        said.append((statement, given))

    event.listen(ws.store.engine, "before_cursor_execute", listen)
    try:
        yield said
    finally:
        event.remove(ws.store.engine, "before_cursor_execute", listen)


def plan(ws: Workspace, statement: str, given: Any) -> str:
    """How the database would go about a statement, a line a step."""
    with ws.read() as session:
        connection = session.connection()
        if ws.store.sqlite:
            found = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given)
            return "\n".join(row[3] for row in found)
        # With this few rows it would read them all: it is asked what it can do without that.
        for setting in ("enable_seqscan", "enable_sort"):
            session.execute(text(f"SET LOCAL {setting} = off"))
        found = connection.exec_driver_sql(f"EXPLAIN {statement}", given)
        return "\n".join(row[0] for row in found)


def about_items(said: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [one for one in said if one[0].startswith("SELECT") and "FROM label_item" in one[0]]


@pytest.mark.parametrize("overlap", [1, 2])
def test_a_claim_follows_the_index_of_open_items(ws: Workspace, overlap: int) -> None:
    task = make(ws, overlap)
    given = claim(ws, task.id, "jo", 16, session="s").items
    commit(ws, task.id, "jo", [Decision(f"e{one.item}", one.item, "label", "a") for one in given])
    with heard(ws) as said:
        assert len(claim(ws, task.id, "jo", 16, session="s", holding=[20]).items) == 16
    asked = about_items(said)
    # What the person had in hand before, and what is next: nothing else of the items is read.
    assert len(asked) == 2
    returned, rest = (plan(ws, *one) for one in asked)
    assert "ix_label_item_open" in rest
    assert not re.search(WHOLE, f"{returned}\n{rest}")
    # In the queue's own order, so that it stops after sixteen.
    assert not re.search(SORTED, rest)
    assert "ix_label_lease_person" in returned


def test_a_commit_reads_no_item_but_its_own(ws: Workspace) -> None:
    task = make(ws, 2)
    (one,) = claim(ws, task.id, "jo", 1, session="s").items
    with heard(ws) as said:
        commit(ws, task.id, "jo", [Decision("e", one.item, "label", "a")])
    tables = ("label_item", "annotation", "label_opinion", "label_lease", "label_role")
    reads = [one for one in said if any(f"FROM {table}" in one[0] for table in tables)]
    assert len(reads) >= 4
    for statement, given in reads:
        steps = plan(ws, statement, given) if statement.startswith("SELECT") else ""
        assert not re.search(WHOLE, steps), f"{statement}\n{steps}"


def test_a_queue_in_another_order_is_followed_too(ws: Workspace) -> None:
    task = make(ws, 1)
    with ws.write() as tx:
        tx.session.execute(text("UPDATE label_item SET rank = -item"))
    with heard(ws) as said:
        found = claim(ws, task.id, "jo", 4, session="s").items
    assert [one.item for one in found] == [299, 298, 297, 296]
    steps = plan(ws, *about_items(said)[-1])
    assert not re.search(SORTED, steps)
