"""The chain of events tells of every change made behind the store's back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import text

from jupyter_mlops.workspace import Workspace


@pytest.fixture
def chained(ws: Workspace) -> Workspace:
    """A log of ten events."""
    for number in range(1, 11):
        with ws.write() as tx:
            tx.emit("dataset.added", f"data:flights@{number}", payload={"rows": number})
    return ws


@pytest.fixture
def tamper(chained: Workspace) -> Callable[[str], None]:
    """Run SQL on the store as an administrator would."""

    def run(sql: str) -> None:
        with chained.store.engine.execution_options(mlops_write=True).begin() as connection:
            for statement in sql.split(";"):
                connection.execute(text(statement.replace(":", r"\:")))

    return run


def test_an_untouched_log_verifies(chained: Workspace) -> None:
    audit = chained.audit()
    assert audit.intact
    assert audit.events == 10
    assert audit.head == chained.events(newest=True, limit=1)[0].hash


def test_an_empty_log_verifies(ws: Workspace) -> None:
    assert ws.audit().intact
    assert ws.audit().events == 0


@pytest.mark.parametrize(
    ("what", "sql", "broken", "reason"),
    [
        ("actor", "UPDATE event SET actor = 'eve' WHERE seq = 4", 4, "content was changed"),
        ("kind", "UPDATE event SET kind = 'run.started' WHERE seq = 1", 1, "content was changed"),
        ("subject", "UPDATE event SET subject = 'data:x' WHERE seq = 10", 10, "content"),
        ("payload", """UPDATE event SET payload = '{"rows": 40}' WHERE seq = 4""", 4, "content"),
        ("no JSON", "UPDATE event SET payload = '[1]' WHERE seq = 7", 7, "content was changed"),
        ("inputs", """UPDATE event SET inputs = '["data:x@1"]' WHERE seq = 5""", 5, "content"),
        ("outputs", """UPDATE event SET outputs = '["data:x@1"]' WHERE seq = 5""", 5, "content"),
        ("time", "UPDATE event SET at = '2013-01-01 00:00:00.000000' WHERE seq = 3", 3, "content"),
        ("id", "UPDATE event SET id = 'forged' WHERE seq = 3", 3, "content was changed"),
        ("hash", "UPDATE event SET hash = 'f00' WHERE seq = 6", 6, "content was changed"),
        ("previous", "UPDATE event SET previous = 'f00' WHERE seq = 6", 6, "doesn't follow"),
        ("delete", "DELETE FROM event WHERE seq = 5", 5, "an event is missing"),
        ("delete first", "DELETE FROM event WHERE seq = 1", 1, "an event is missing"),
        ("truncate", "DELETE FROM event WHERE seq > 7", 8, "cut off the end"),
        ("truncate all", "DELETE FROM event", 1, "cut off the end"),
        (
            "reorder",
            "UPDATE event SET seq = 99 WHERE seq = 4; UPDATE event SET seq = 4 WHERE seq = 5;"
            "UPDATE event SET seq = 5 WHERE seq = 99",
            4,
            "doesn't follow",
        ),
        (
            "renumber after a deletion",
            "DELETE FROM event WHERE seq = 10; UPDATE event SET seq = 10 WHERE seq = 9;"
            "UPDATE event SET seq = 9 WHERE seq = 8; DELETE FROM event WHERE seq = 8",
            8,
            "an event is missing",
        ),
        ("insert before", "UPDATE event SET seq = 0 WHERE seq = 1", 0, "it was put in"),
        (
            "append",
            "INSERT INTO event SELECT 11, 'new', at, actor, kind, subject, payload, inputs,"
            " outputs, hash, 'f00' FROM event WHERE seq = 10",
            11,
            "content was changed",
        ),
        ("head gone", "DELETE FROM event_head", 11, "cut off the end"),
        ("head back", "UPDATE event_head SET seq = 8", 9, "put at the end"),
        ("head forged", "UPDATE event_head SET hash = 'f00'", 10, "recorded last"),
    ],
)
def test_a_change_is_found_where_it_was_made(
    chained: Workspace,
    tamper: Callable[[str], None],
    what: str,
    sql: str,
    broken: int,
    reason: str,
) -> None:
    tamper(sql)
    audit = chained.audit()
    assert not audit.intact, what
    assert audit.broken == broken
    assert reason in audit.reason


def test_a_forged_event_with_a_right_hash_breaks_the_next(
    chained: Workspace, tamper: Callable[[str], None]
) -> None:
    """Who forges an event and computes its hash must forge all that follow, and the head."""
    from jupyter_mlops.workspace.events import _digest
    from jupyter_mlops.workspace.records import EventRecord

    with chained.read() as session:
        row = session.get(EventRecord, 4)
        assert row is not None
        row.actor = "eve"
        forged = _digest(row)
        session.expunge_all()
    tamper(f"UPDATE event SET actor = 'eve', hash = '{forged}' WHERE seq = 4")
    assert chained.audit().broken == 5


def test_what_is_no_json_at_all_is_found(chained: Workspace, tamper: Callable[[str], None]) -> None:
    if not chained.store.sqlite:
        pytest.skip("PostgreSQL lets no such text into a JSON column")
    tamper("UPDATE event SET payload = '{' WHERE seq = 4")
    assert chained.audit().broken == 4
    tamper("UPDATE event SET at = 'yesterday' WHERE seq = 2")
    assert chained.audit().broken == 2


def test_a_long_log_is_checked_in_pages(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jupyter_mlops.workspace.events.PAGE", 7)
    with ws.write() as tx:
        for number in range(28):
            tx.emit("run.started", f"run:{number}")
    assert ws.audit().events == 28
    assert ws.audit().intact


def test_a_writer_goes_on_after_an_audit_found_damage(
    chained: Workspace, tamper: Callable[[str], None]
) -> None:
    tamper("UPDATE event SET actor = 'eve' WHERE seq = 4")
    with chained.write() as tx:
        tx.emit("run.started", "run:a")
    assert chained.audit().broken == 4
    assert chained.events(newest=True, limit=1)[0].seq == 11
