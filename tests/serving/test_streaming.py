"""Records of brokers and files get their answers, whatever is bad, restarted or killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl
import pytest

sys.path += [str(Path(__file__).parents[1] / "agent"), str(Path(__file__).parents[1])]

import flowing
from flowing import Place, dead_letters, numbers, until
from living import Version, end_all, up

from data.conftest import kafka_cluster, nats_server, redis_server  # noqa: F401  fixtures
from jupyter_mlops.serving import get as get_endpoint
from jupyter_mlops.serving import streaming
from jupyter_mlops.serving.modelfile import directory_digest
from jupyter_mlops.serving.streaming.messages import Document
from jupyter_mlops.serving.streaming.opening import open_sink
from jupyter_mlops.workspace import Conflict, Invalid, NotFound, Unavailable, Workspace

FIXTURES = {"kafka": "kafka_cluster", "redis": "redis_server", "nats": "nats_server"}
_MADE = count()
QUICK = streaming.Limits(batch=50, until_idle=0.5, patience=60)


@pytest.fixture(scope="module")
def version(model: Path) -> Version:
    return Version(model, directory_digest(model))


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory, version: Version) -> Iterator[Workspace]:
    """A workspace with the endpoint `delay` under an agent."""
    root = tmp_path_factory.mktemp("project")
    os.environ["JUPYTER_MLOPS_AGENT_IDLE"] = "20"
    workspace = Workspace.open(root)
    up(workspace, version)
    yield workspace
    end_all(root)
    del os.environ["JUPYTER_MLOPS_AGENT_IDLE"]


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Place]:
    """Make a stream, topic or file of its own."""

    def make(system: str) -> Place:
        server = request.getfixturevalue(FIXTURES[system]) if system in FIXTURES else None
        return Place(system, server, f"FLOW{next(_MADE)}", tmp_path)

    return make


def flow(
    ws: Workspace, source: str, sink: str, limits: streaming.Limits = QUICK, **more: Any
) -> streaming.Stream:
    name = more.pop("name", f"flow{next(_MADE)}")
    declared = streaming.declare(ws, "delay", source, sink, name=name, limits=limits, **more)
    return streaming.run(ws, declared.name)


@pytest.mark.parametrize(
    ("system", "to", "guarantee"),
    [
        ("redis", "redis", "exactly once"),
        ("nats", "nats", "exactly once"),
        ("kafka", "kafka", "exactly once"),
        ("kafka", "file", "exactly once"),
        ("file", "kafka", "at least once"),
        ("nats", "redis", "exactly once"),
    ],
)
def test_each_record_gets_the_prediction_of_the_model(
    ws: Workspace,
    model: Path,
    place: Callable[[str], Place],
    system: str,
    to: str,
    guarantee: str,
) -> None:
    source, sink = place(system), place(to)
    rows = flowing.records(230)
    source.put(rows)
    ended = flow(ws, source.uri, sink.uri)
    assert (ended.answered, ended.refused) == (230, 0)
    assert ended.guarantee == guarantee
    assert ended.why == ("ended" if system == "file" else "idle")
    every, predictions = numbers(source, sink, rows)
    assert sorted(every) == list(range(230))
    assert predictions == flowing.expected(rows, model)
    answer = sink.answers()[0]
    about = get_endpoint(ws, "delay")
    assert (answer["model"], answer["version"], answer["digest"]) == ("delay", "1", about.digest)
    ids = {one["prediction_id"] for one in sink.answers()}
    assert len(ids) == 230


def test_a_stream_goes_on_where_it_was(ws: Workspace, place: Callable[[str], Place]) -> None:
    source, sink = place("redis"), place("redis")
    rows = flowing.records(60)
    source.put(rows[:40])
    first = flow(ws, source.uri, sink.uri, name="onward")
    source.put(rows[40:])
    second = flow(ws, source.uri, sink.uri, name="onward")
    assert (first.answered, second.answered) == (40, 60)
    assert numbers(source, sink, rows)[0] == list(range(60))
    kinds = [one.kind for one in ws.events(limit=10, subject="stream:onward")]
    assert kinds == ["stream.declared", "stream.started", "stream.stopped"] * 2


@pytest.mark.parametrize("system", ["redis", "nats", "kafka", "file"])
def test_bad_records_are_dead_letters_and_their_neighbours_pass(
    ws: Workspace, model: Path, place: Callable[[str], Place], system: str
) -> None:
    source, sink = place(system), place("file")
    rows: list[Any] = flowing.records(120)
    good = [dict(one) for one in rows]
    bad = {17, 18, 60, 101}
    rows[17] = {**rows[17], "distance": "far"}
    rows[18] = {"n": 18, "hour": 7}
    rows[60] = b"no JSON"
    rows[101] = {**rows[101], "hour": "late"}
    source.put(rows)
    ended = flow(ws, source.uri, sink.uri)
    assert (ended.answered, ended.refused) == (116, 4)
    letters = dead_letters(ws, ended.name)
    if system == "kafka":
        letters.sort(
            key=lambda one: (
                int(one["position"].split("/")[2]) * 2 + int(one["position"].split("/")[1])
            )
        )
    far, lacking, junk, late = letters
    assert "distance" in far["reason"]
    assert far["code"].startswith("E-SERVE-")
    assert "far" in far["record"]
    assert "distance" in lacking["reason"] or "carrier" in lacking["reason"]
    assert "hour" in late["reason"]
    if system != "redis":  # whose entries are always objects
        assert junk["code"] == "E-STREAM-131"
        assert junk["record"] == "no JSON"
    assert all(one["position"] and one["stream"] == ended.name for one in letters)
    found = sink.answers()
    assert len(found) == 116
    if system != "redis":
        every, predictions = numbers(source, sink, good)
        assert set(every) == set(range(120)) - bad
        truth = flowing.expected(good, model)
        assert predictions == {n: truth[n] for n in every}


def test_csv_and_parquet_are_read_and_written(ws: Workspace, model: Path, tmp_path: Path) -> None:
    rows = flowing.records(500)
    truth = flowing.expected(rows, model)
    table = flowing.as_table(rows)
    table.write_csv(tmp_path / "flights.csv")
    folder = tmp_path / "parts"
    folder.mkdir()
    table.head(200).write_parquet(folder / "a.parquet")
    table.tail(300).write_parquet(folder / "b.parquet")
    flow(ws, str(tmp_path / "flights.csv"), str(tmp_path / "answers"))
    from_csv = pl.read_parquet(tmp_path / "answers" / "*.parquet")
    assert from_csv["position"].to_list() == [f"flights.csv:{n + 1}" for n in range(500)]
    assert from_csv["prediction"].to_list() == [truth[n] for n in range(500)]
    flow(ws, str(folder), str(tmp_path / "answers.csv"))
    from_parquet = pl.read_csv(tmp_path / "answers.csv")
    places = [f"a.parquet:{n + 1}" for n in range(200)] + [f"b.parquet:{n + 1}" for n in range(300)]
    assert from_parquet["position"].to_list() == places
    assert from_parquet["prediction"].to_list() == [truth[n] for n in range(500)]


def test_a_followed_file_gives_lines_as_they_are_ended(
    ws: Workspace, place: Callable[[str], Place]
) -> None:
    source, sink = place("file"), place("file")
    rows = flowing.records(30)
    source.put(rows[:10])
    limits = replace(QUICK, until_idle=None)
    declared = streaming.declare(
        ws, "delay", source.uri, sink.uri, name="followed", limits=limits, follow=True
    )
    ended: list[streaming.Stream] = []
    thread = threading.Thread(target=lambda: ended.append(streaming.run(ws, declared.name)))
    thread.start()
    until(lambda: sink.count() == 10)
    source.put(rows[10:20])
    with source.path.open("ab") as file:
        file.write(json.dumps(rows[20]).encode()[:12])
    until(lambda: sink.count() == 20)
    with source.path.open("ab") as file:
        file.write(json.dumps(rows[20]).encode()[12:] + b"\n")
    until(lambda: sink.count() == 21)
    assert streaming.get(ws, "followed").state == "running"
    streaming.stop(ws, "followed")
    thread.join(60)
    assert ended[0].state == "stopped"
    assert dead_letters(ws, "followed") == []


@pytest.mark.parametrize("system", ["redis", "nats", "kafka"])
def test_a_broker_restarted_in_the_middle_loses_and_doubles_nothing(
    ws: Workspace, place: Callable[[str], Place], system: str
) -> None:
    source, sink = place(system), place(system)
    rows = flowing.records(1500)
    source.put(rows)
    declared = streaming.declare(
        ws, "delay", source.uri, sink.uri, name=f"broken-{system}",
        limits=streaming.Limits(batch=10, until_idle=3.0, patience=60),
    )  # fmt: skip
    restarted: list[Any] = []

    def restart(_: streaming.Stream, tally: streaming.Tally) -> None:
        if restarted or tally.answered < 100:
            return
        if system == "kafka":
            source.server.down()
            restarted.append(threading.Timer(0.3, source.server.up))
            restarted[0].start()
        else:
            source.server.program.kill()
            source.server.program.begin()
            restarted.append(True)

    ended = streaming.run(ws, declared.name, restart)
    assert restarted
    assert (ended.answered, ended.refused) == (1500, 0)
    every, _ = numbers(source, sink, rows)
    # The mock cluster shows what an aborted transaction wrote.
    assert sorted(set(every) if system == "kafka" else every) == list(range(1500))


def test_an_endpoint_killed_in_the_middle_is_waited_for(
    ws: Workspace, model: Path, place: Callable[[str], Place]
) -> None:
    source, sink = place("file"), place("file")
    rows = flowing.records(2000)
    source.put(rows)
    declared = streaming.declare(
        ws, "delay", source.uri, sink.uri, name="patient",
        limits=streaming.Limits(batch=10, patience=60),
    )  # fmt: skip
    killed: list[int] = []

    def kill(_: streaming.Stream, tally: streaming.Tally) -> None:
        pid = get_endpoint(ws, "delay").pid
        if not killed and tally.answered >= 100 and pid:
            killed.append(pid)
            os.kill(pid, signal.SIGKILL)

    ended = streaming.run(ws, declared.name, kill)
    assert killed
    assert (ended.answered, ended.refused) == (2000, 0)
    every, predictions = numbers(source, sink, rows)
    assert every == list(range(2000))
    assert predictions == flowing.expected(rows, model)
    assert get_endpoint(ws, "delay").pid != killed[0]


def test_an_endpoint_that_stays_away_fails_the_stream_in_a_sentence(
    ws: Workspace, version: Version, place: Callable[[str], Place]
) -> None:
    source, sink = place("file"), place("file")
    source.put(flowing.records(5))
    found = streaming.declare(
        ws, "delay", source.uri, sink.uri, name="forlorn", limits=replace(QUICK, patience=0.5)
    )
    # A port on which nothing listens stands for an endpoint that doesn't come back.
    from jupyter_mlops.serving.records import EndpointRecord

    with ws.write() as tx:
        tx.session.add(
            EndpointRecord(
                **{
                    column.key: getattr(tx.session.get_one(EndpointRecord, "delay"), column.key)
                    for column in EndpointRecord.__table__.columns
                    if column.key != "name"
                }
                | {"name": "away", "url": "http://127.0.0.1:9", "desired": "stopped",
                   "state": "stopped", "serving": None, "pid": None}
            )
        )  # fmt: skip
        from jupyter_mlops.serving.records import StreamRecord

        tx.session.get_one(StreamRecord, found.name).endpoint = "away"
    from jupyter_mlops.serving.places import make_token

    make_token(ws, "away")
    with pytest.raises(Unavailable, match="endpoint 'away' gives no answers") as caught:
        streaming.run(ws, found.name)
    assert "refused" in caught.value.why
    after = streaming.get(ws, found.name)
    assert after.state == "failed"
    assert "gives no answers" in after.error
    assert ws.events(limit=1, subject=found.ref, newest=True)[0].kind == "stream.failed"
    with ws.write() as tx:
        tx.session.get_one(StreamRecord, found.name).endpoint = "delay"
    streaming.resume(ws, found.name)
    assert streaming.run(ws, found.name).answered == 5


@pytest.mark.parametrize(
    ("system", "to", "once"),
    [
        ("redis", "redis", True),
        ("nats", "nats", True),
        ("file", "file", True),
        ("kafka", "redis", True),
        # The mock cluster keeps no offsets of transactions: all is read again.
        ("kafka", "kafka", "KAFKA_BROKER" in os.environ),
        ("nats", "file", True),
        ("redis", "kafka", False),
    ],
)
def test_a_streamer_killed_again_and_again_loses_nothing(
    ws: Workspace,
    model: Path,
    place: Callable[[str], Place],
    system: str,
    to: str,
    once: bool,
) -> None:
    source, sink = place(system), place(to)
    rows = flowing.records(2400)
    written: list[Any] = [
        {"n": one["n"], "hour": "never"} if one["n"] % 400 == 399 else one for one in rows
    ]
    source.put(written)
    name = f"killed-{system}-{to}"
    streaming.declare(
        ws, "delay", source.uri, sink.uri, name=name,
        limits=streaming.Limits(batch=8, until_idle=1.0, patience=60),
    )  # fmt: skip
    command = [sys.executable, "-m", "jupyter_mlops.serving.streaming"]
    command += ["--workspace", str(ws.root), name]
    moments = random.Random(17)
    kills = 0
    for _ in range(3):
        before = sink.count()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as child:
            until(
                lambda before=before, child=child: sink.count() > before or child.poll() is not None
            )
            time.sleep(moments.uniform(0, 0.3))
            kills += child.poll() is None
            child.kill()
            told, _ = child.communicate(timeout=60)
    assert kills >= 2
    assert streaming.get(ws, name).state in ("interrupted", "finished"), told.decode()
    streaming.resume(ws, name)
    ended = streaming.run(ws, name)
    assert ended.state == "finished"
    every, predictions = numbers(source, sink, rows)
    good = [one["n"] for one in rows if one["n"] % 400 != 399]
    if once:
        assert sorted(every) == good
    assert sorted(set(every)) == good
    truth = flowing.expected(rows, model)
    assert predictions == {n: truth[n] for n in good}
    assert len(dead_letters(ws, name)) == 6


@pytest.mark.parametrize("to", ["redis", "nats", "file"])
def test_a_source_that_begins_again_further_back_has_nothing_written_twice(
    place: Callable[[str], Place], to: str
) -> None:
    uri = (kept := place(to)).uri

    def write(numbers: list[int], upto: int) -> None:
        found = [
            Document("0", str(n), None, {"position": f"flow/0/{n}", "prediction": 1})
            for n in numbers
        ]
        sink.write(found, {"0": str(upto)})

    for again in (False, True):
        sink = open_sink(uri, "again")
        sink.open("kafka://broker/flow")
        write([1, 4], 4)
        write([1], 2)
        write([4, 5] if again else [4], 5 if again else 4)
        sink.close()
    assert [one["position"] for one in kept.answers()] == ["flow/0/1", "flow/0/4", "flow/0/5"]


def test_sigterm_ends_after_what_is_in_flight(ws: Workspace, place: Callable[[str], Place]) -> None:
    source, sink = place("redis"), place("redis")
    rows = flowing.records(3000)
    source.put(rows)
    streaming.declare(
        ws, "delay", source.uri, sink.uri, name="graceful", limits=streaming.Limits(batch=8)
    )
    command = [sys.executable, "-m", "jupyter_mlops.serving.streaming"]
    command += ["--workspace", str(ws.root), "graceful"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        until(lambda: sink.count() > 50)
        child.send_signal(signal.SIGTERM)
        said, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    answered = sink.count()
    assert said == f"graceful: stopped, {answered:,} answered, 0 refused\n"
    assert 50 < answered < 3000
    # Nothing is left that was handed out and not acknowledged.
    with source.server.connect() as connection:
        (group,) = connection.xinfo_groups(source.name)
    assert group["pending"] == 0
    assert streaming.get(ws, "graceful").state == "stopped"


def test_nothing_is_read_beyond_what_may_be_in_flight(
    ws: Workspace, place: Callable[[str], Place]
) -> None:
    from jupyter_mlops.serving.streaming.asking import Asking
    from jupyter_mlops.serving.streaming.opening import open_sink, open_source
    from jupyter_mlops.serving.streaming.pump import Pump

    source, sink = place("file"), place("file")
    source.put(flowing.records(200))
    stop = threading.Event()
    opened = open_source(source.uri, "pressed", source.folder / "kept.json")
    asking = Asking(ws, "delay", "pressed", 10, stop)
    answer, held = asking.answer, threading.Event()

    def slow(*given: Any) -> Any:
        assert held.wait(60)
        return answer(*given)

    asking.answer = slow  # type: ignore[method-assign]
    limits = streaming.Limits(batch=10, flight=3, patience=10)
    dead = open_sink(str(source.folder / "dead.ndjson"), "pressed")
    pump = Pump(opened, open_sink(sink.uri, "pressed"), dead, asking, limits, lambda _: True, stop)
    thread = threading.Thread(target=pump.run)
    thread.start()
    until(lambda: pump.tally.read == 30)
    time.sleep(0.3)  # in which it would read on
    assert pump.tally.read == 30
    held.set()
    thread.join(60)
    assert (pump.tally.read, pump.tally.answered) == (200, 200)


@pytest.mark.parametrize(
    ("source", "sink", "says"),
    [
        ("mqtt://h/t", "a.ndjson", "mqtt:// can't be streamed"),
        ("redis://h/0/s?start=middle", "a.ndjson", "can't start at 'middle'"),
        ("redis://h/0/s", "a.xlsx", "answers can't be written to a.xlsx"),
        ("redis://h/0/s", "nats://h/S", "names no subject to write to"),
        ("redis://h/0/s", "redis://h/0/s", "can't write where it reads"),
        ("kafka://h/t?group.id=x", "a.ndjson", "the option group.id can't be given"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(
    ws: Workspace, source: str, sink: str, says: str
) -> None:
    with pytest.raises(Invalid, match=says):
        streaming.declare(ws, "delay", source, sink, name="senseless")


def test_a_missing_stream_a_foreign_file_and_a_second_process_are_told(
    ws: Workspace, place: Callable[[str], Place], tmp_path: Path
) -> None:
    source = place("redis")
    source.put(flowing.records(3))
    with pytest.raises(NotFound, match="there is no stream"):
        flow(
            ws, f"{source.uri}".replace(source.name, f"{source.name}X"), str(tmp_path / "a.ndjson")
        )
    (tmp_path / "mine.csv").write_text("a,b\n")
    with pytest.raises(Conflict, match="no stream wrote it"):
        flow(ws, source.uri, str(tmp_path / "mine.csv"))
    assert (tmp_path / "mine.csv").read_text() == "a,b\n"
    limits = replace(QUICK, until_idle=None)
    found = streaming.declare(
        ws, "delay", source.uri, str(tmp_path / "b.ndjson"), name="twice", limits=limits
    )
    thread = threading.Thread(target=streaming.run, args=(ws, "twice"))
    thread.start()
    until(lambda: streaming.get(ws, "twice").state == "running")
    with pytest.raises(Conflict, match="runs in another process"):
        streaming.run(ws, "twice")
    with pytest.raises(Conflict, match="the stream 'twice' runs"):
        streaming.declare(ws, "delay", source.uri, found.sink, name="twice")
    streaming.stop(ws, "twice")
    thread.join(60)
    assert not thread.is_alive()


def test_the_source_of_answers_cannot_change_under_their_name(
    ws: Workspace, place: Callable[[str], Place]
) -> None:
    first, second, sink = place("file"), place("redis"), place("redis")
    first.put(flowing.records(3))
    second.put(flowing.records(3))
    flow(ws, first.uri, sink.uri, name="changed")
    with pytest.raises(Conflict, match="under this stream's name came from file:"):
        flow(ws, second.uri, sink.uri, name="changed")
    assert sink.count() == 3
