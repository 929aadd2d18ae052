"""What every store promises, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import math
import threading
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from jupyter_mlops.workspace import Invalid, MLOpsError, Unavailable, Workspace
from jupyter_mlops.workspace.records import EventRecord, new_id, utcnow

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 70), 1 << 70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def test_a_write_is_there_for_the_next_reader(ws: Workspace) -> None:
    with ws.write() as tx:
        event = tx.emit(
            "run.finished",
            "run:1f3c",
            payload={"auc": 0.71},
            inputs=["data:flights@3"],
            outputs=["model:delay@1"],
        )
    (found,) = Workspace.open(ws.root).events()
    assert found == event
    assert (found.seq, found.actor, found.kind) == (1, "maria", "run.finished")
    assert found.payload == {"auc": 0.71}
    assert (found.inputs, found.outputs) == (("data:flights@3",), ("model:delay@1",))


def test_an_error_takes_everything_back(ws: Workspace) -> None:
    with pytest.raises(ZeroDivisionError):
        with ws.write() as tx:
            tx.emit("run.started", "run:a")
            tx.emit("run.started", "run:b")
            raise ZeroDivisionError
    assert ws.events() == []
    with ws.write() as tx:
        tx.emit("run.started", "run:c")
    assert [one.seq for one in ws.events()] == [1]
    assert ws.audit().intact


def test_only_what_may_be_forgotten_does_not_wait_for_the_disk(
    ws: Workspace, database: str
) -> None:
    asked = "PRAGMA synchronous" if database == "sqlite" else "SHOW synchronous_commit"
    hurried, patient = (1, 2) if database == "sqlite" else ("off", "on")
    # On one connection, so that what one write sets must be set back for the next.
    for lasting in (True, False, True, False, True):
        with ws.write(lasting=lasting) as tx:
            found = tx.session.execute(text(asked)).scalar_one()
            assert found == (patient if lasting else hurried)
            tx.emit("run.started", f"run:{lasting}")
    assert len(Workspace.open(ws.root).events()) == 5


def test_several_events_of_one_write_are_chained(ws: Workspace) -> None:
    with ws.write(actor="ada") as tx:
        for number in range(5):
            tx.emit("dataset.added", f"data:flights@{number + 1}")
    assert [one.seq for one in ws.events()] == [1, 2, 3, 4, 5]
    assert {one.actor for one in ws.events()} == {"ada"}
    assert ws.audit().events == 5


def test_events_are_found_by_number_kind_and_subject(ws: Workspace) -> None:
    with ws.write() as tx:
        for number in range(6):
            tx.emit("run.started" if number % 2 else "run.finished", f"run:{number // 2}")
    assert [one.seq for one in ws.events(after=4)] == [5, 6]
    assert [one.seq for one in ws.events(limit=2)] == [1, 2]
    assert [one.seq for one in ws.events(limit=2, newest=True)] == [6, 5]
    assert [one.seq for one in ws.events(kind="run.started")] == [2, 4, 6]
    assert [one.seq for one in ws.events(subject="run:1")] == [3, 4]


def test_times_are_aware_and_in_utc(ws: Workspace) -> None:
    before = utcnow()
    with ws.write() as tx:
        written = tx.emit("run.started", "run:a").at
    (found,) = ws.events()
    assert found.at == written
    assert found.at.tzinfo is UTC
    assert before <= found.at <= utcnow()


def test_a_time_of_another_zone_is_the_same_moment(ws: Workspace) -> None:
    there = datetime(2013, 3, 1, 1, 30, 0, 123456, tzinfo=timezone(timedelta(hours=-5)))
    with ws.write() as tx:
        tx.emit("run.started", "run:a")
    with ws.write() as tx:
        row = tx.session.get(EventRecord, 1)
        assert row is not None
        row.at = there
    with ws.read() as session:
        found = session.get(EventRecord, 1)
        assert found is not None
        assert found.at == there
        assert found.at.utcoffset() == timedelta(0)


def test_a_time_without_a_zone_is_refused(ws: Workspace) -> None:
    with pytest.raises(StatementError, match="without a zone"):
        with ws.write() as tx:
            tx.emit("run.started", "run:a")
            row = tx.session.get(EventRecord, 1)
            assert row is not None
            row.at = datetime(2013, 1, 1)
    assert ws.events() == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(payload=st.dictionaries(st.text(max_size=8), VALUES, max_size=5), actor=st.text())
def test_any_json_comes_back_as_it_went_in(
    ws: Workspace, payload: dict[str, Any], actor: str
) -> None:
    with ws.write(actor=actor) as tx:
        event = tx.emit("run.started", "run:a", payload=payload)
    (found,) = ws.events(after=event.seq - 1)
    assert found.payload == payload
    # Equal isn't enough: the order of keys and 1 against 1.0 are kept too.
    assert repr(found.payload) == repr(payload)
    audit = ws.audit()
    assert audit.intact, audit.reason


@pytest.mark.parametrize("wrong", [math.nan, math.inf, {1, 2}, object()])
def test_what_is_not_json_is_refused(ws: Workspace, wrong: object) -> None:
    with pytest.raises(Invalid, match="E-STORE-004"):
        with ws.write() as tx:
            tx.emit("run.started", "run:a", payload={"value": wrong})
    assert ws.events() == []


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_a_json_column_refuses_what_postgresql_would(ws: Workspace, wrong: float) -> None:
    with pytest.raises((StatementError, ValueError), match="not JSON compliant"):
        with ws.write() as tx:
            tx.emit("run.started", "run:a")
            row = tx.session.get(EventRecord, 1)
            assert row is not None
            row.payload = {"value": wrong}


def test_a_payload_has_a_limit(ws: Workspace) -> None:
    with pytest.raises(Invalid, match="E-STORE-005"):
        with ws.write() as tx:
            tx.emit("run.started", "run:a", payload={"text": "x" * (64 << 10)})


@pytest.mark.parametrize("kind", ["", "run", "run.", "Run.started", "run started", "r." + "x" * 70])
def test_the_kind_of_an_event_is_noun_and_past_verb(ws: Workspace, kind: str) -> None:
    with pytest.raises(Invalid, match="E-STORE-007"):
        with ws.write() as tx:
            tx.emit(kind, "run:a")


def test_the_longest_reference_fits(ws: Workspace) -> None:
    longest = f"prediction:{'n' * 128}@{'v' * 128}"
    with ws.write() as tx:
        tx.emit("feedback.received", longest)
    assert ws.events()[0].subject == longest


def test_a_reader_writes_nothing(ws: Workspace) -> None:
    with ws.write() as tx:
        tx.emit("run.started", "run:a")
    with pytest.raises((MLOpsError, DBAPIError)):
        with ws.read() as session:
            session.execute(text("DELETE FROM event"))
    assert len(ws.events()) == 1
    # The connection is good for writes again.
    with ws.write() as tx:
        tx.emit("run.started", "run:b")
    assert len(ws.events()) == 2


def test_a_reader_sees_one_state_while_others_write(ws: Workspace) -> None:
    with ws.write() as tx:
        tx.emit("run.started", "run:a")
    with ws.read() as session:
        count = text("SELECT count(*) FROM event")
        assert session.scalar(count) == 1
        with ws.write() as tx:
            tx.emit("run.started", "run:b")
        assert session.scalar(count) == 1
    assert len(ws.events()) == 2


def test_what_a_writer_read_stays_true_until_it_commits(ws: Workspace) -> None:
    """Numbers are given by reading the highest: two writers must not read the same."""
    seen: list[int] = []

    def number(name: str) -> None:
        for _ in range(10):
            with ws.write() as tx:
                found = tx.session.scalar(text("SELECT count(*) FROM event"))
                assert found is not None
                time.sleep(0.001)
                tx.emit("dataset.added", f"data:{name}@{found + 1}")
                seen.append(found)

    threads = [threading.Thread(target=number, args=(f"t{one}",)) for one in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(40))


def test_many_threads_share_a_workspace(ws: Workspace) -> None:
    """More threads than connections are kept: all wait for their turn, none fails."""
    failures: list[BaseException] = []

    def write(name: int) -> None:
        try:
            for number in range(3):
                with ws.write() as tx:
                    tx.emit("run.started", f"run:{name}-{number}")
                ws.events(limit=1)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(one,)) for one in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert ws.audit().events == 120


def test_a_write_within_a_write_is_told_at_once(ws: Workspace) -> None:
    with pytest.raises(RuntimeError, match="hand its transaction on"):
        with ws.write(), ws.write():
            pass
    with ws.write() as tx:
        tx.emit("run.started", "run:a")
    assert len(ws.events()) == 1


def test_a_writer_that_waits_too_long_says_so(ws: Workspace) -> None:
    impatient = Workspace.open(ws.root, busy_timeout=0.2)
    with ws.write() as tx:
        tx.emit("run.started", "run:a")
        with pytest.raises(Unavailable, match="E-STORE-010"):
            with impatient.write() as other:
                other.emit("run.started", "run:b")
    assert [one.subject for one in ws.events()] == ["run:a"]


def test_a_broken_rule_of_the_tables_stays_an_error_for_programs(ws: Workspace) -> None:
    with ws.write() as tx:
        tx.emit("run.started", "run:a")
    with pytest.raises(IntegrityError):
        with ws.write() as tx:
            tx.session.execute(text("INSERT INTO event SELECT * FROM event"))


def test_ids_sort_by_time_and_are_version_7() -> None:
    ids = []
    for _ in range(5):
        ids.append(new_id())
        time.sleep(0.002)
    assert ids == sorted(ids)
    assert all(len(one) == 32 and one[12] == "7" and one[16] in "89ab" for one in ids)
    assert len({new_id() for _ in range(10_000)}) == 10_000
