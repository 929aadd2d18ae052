"""A window of a stream is a dataset with its offsets, whatever happens while it is read."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops import data
from jupyter_mlops.data.sources import open_source
from jupyter_mlops.data.sources.streams import Window, continue_from
from jupyter_mlops.data.sources.streams import nats as nats_module
from jupyter_mlops.data.sources.streams.offsets import newest
from jupyter_mlops.workspace import Conflict, Invalid, MLOpsError, NotFound, Workspace
from jupyter_mlops.workspace.errors import Denied, Unavailable
from servers.nats import Nats
from servers.ports import free_port
from servers.redis import Redis

SYSTEMS = ["kafka", "redis", "nats"]
Source = Any


class Broker:
    """What the tests need of each system."""

    def __init__(self, system: str, server: Any, stream: str) -> None:
        self.system = system
        self.server = server
        self.stream = stream
        if system == "kafka":
            server.topic(stream, 2)

    def put(self, rows: list[dict[str, Any]], stream: str = "") -> None:
        stream = stream or self.stream
        if self.system == "kafka":
            half = len(rows) // 2
            self.server.add(
                stream, [{"value": row, "partition": int(i < half)} for i, row in enumerate(rows)]
            )
        elif self.system == "redis":
            self.server.add(stream, rows)
        else:
            self.server.add(stream, [(f"{stream.lower()}.web", row) for row in rows])

    def restart(self) -> Callable[[], None]:
        """End the server and let it come back in a while; what waits until it is there."""
        if self.system == "kafka":
            self.server.down()
            timer = threading.Timer(0.5, self.server.up)
            timer.start()
            return timer.join
        self.server.program.kill()
        self.server.program.begin()
        wait: Callable[[], None] = self.server.program.wait
        return wait

    def open(self, window: str | None = None, stream: str = "", options: str = "") -> Source:
        return open_source(self.uri(stream, options), window=window)

    def uri(self, stream: str = "", options: str = "") -> str:
        found: str = self.server.uri(stream or self.stream, options)
        return found


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_PASSWORD", Redis.password)
    monkeypatch.setenv("NATS_PASSWORD", Nats.password)


@pytest.fixture(params=SYSTEMS)
def broker(request: pytest.FixtureRequest, secrets: None) -> Broker:
    """A stream of its own on each system."""
    return make_broker(request, request.param)


@pytest.fixture
def kafka(request: pytest.FixtureRequest) -> Broker:
    return make_broker(request, "kafka")


@pytest.fixture
def redis(request: pytest.FixtureRequest, secrets: None) -> Broker:
    return make_broker(request, "redis")


@pytest.fixture
def nats(request: pytest.FixtureRequest, secrets: None) -> Broker:
    return make_broker(request, "nats")


_MADE = iter(range(10_000))


def make_broker(request: pytest.FixtureRequest, system: str) -> Broker:
    fixture = {"kafka": "kafka_cluster", "redis": "redis_server", "nats": "nats_server"}[system]
    return Broker(system, request.getfixturevalue(fixture), f"CLICKS{next(_MADE)}")


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "project")


def numbers(first: int, last: int) -> list[dict[str, Any]]:
    return [{"n": n, "delay": n / 4} for n in range(first, last)]


def during(source: Source, batch: int, happens: Callable[[], None]) -> Source:
    """Let something happen after so many batches of a read."""
    read = source.read

    def reading(notes: Any) -> Generator[Any]:
        for place, found in enumerate(read(notes)):
            yield found
            if place == batch:
                happens()

    source.read = reading
    return source


def seen(source: Source) -> list[int]:
    return sorted(source.scan().collect()["n"].to_list())


def test_a_window_is_a_dataset_that_can_be_had_again(broker: Broker, place: Workspace) -> None:
    broker.put(numbers(0, 1500))
    added = data.add(place, "clicks", broker.uri(), window="1,000")
    assert added.rows == 1000
    assert added.schema["_time"] == "datetime UTC"
    assert added.schema["n"] == "integer"
    assert added.schema["delay"] == "float"
    told = added.provenance
    assert told["messages"] == 1000
    assert told["from"] <= told["to"] <= told["read_at"]
    again = open_source(broker.uri(), window=f"offsets:{told['offsets']}")
    assert again.digest() == added.digest
    assert again.provenance()["offsets"] == told["offsets"]


def test_what_came_since_a_dataset_is_its_next_version(broker: Broker, place: Workspace) -> None:
    broker.put(numbers(0, 300))
    data.add(place, "clicks", broker.uri(), window="all", where="n >= 10")
    with pytest.raises(NotFound, match="no messages after those that were taken before"):
        data.add(place, "clicks", broker.uri(), window="after:clicks")
    broker.put(numbers(300, 350))
    second = data.add(place, "clicks", broker.uri(), window="after:clicks")
    assert (second.version, second.rows) == (2, 50)
    assert sorted(second.scan().collect()["n"]) == list(range(300, 350))
    broker.put(numbers(350, 351))
    third = data.add(place, "clicks", broker.uri(), window="after:data:clicks@1")
    assert third.rows == 51
    with pytest.raises(Invalid, match="is not the stream to go on with"):
        data.add(place, "clicks", broker.uri(stream="OTHER"), window="after:clicks")


def test_without_a_window_the_last_ten_thousand_are_taken(redis: Broker) -> None:
    redis.put(numbers(0, 10_050))
    assert seen(redis.open()) == list(range(50, 10_050))


def test_a_stream_that_goes_on_ends_where_it_was_when_the_read_began(broker: Broker) -> None:
    broker.put(numbers(0, 3000))
    source = during(broker.open("all"), 0, lambda: broker.put(numbers(3000, 3500)))
    assert seen(source) == list(range(3000))
    assert seen(source) == list(range(3000))


def test_a_server_killed_in_the_middle_loses_and_doubles_nothing(broker: Broker) -> None:
    broker.put(numbers(0, 4000))
    # Kafka's client reads ahead within a partition, so there it happens before the second one.
    soonest = 2000 if broker.system == "kafka" else 1
    source = broker.open("all")
    read, waits = source.read, []

    def reading(notes: Any) -> Generator[Any]:
        total = 0
        for found in read(notes):
            yield found
            total += len(found)
            if total >= soonest and not waits:
                assert total < 4000
                waits.append(broker.restart())

    source.read = reading
    assert seen(source) == list(range(4000))
    waits[0]()
    assert source.provenance()["messages"] == 4000


def test_a_server_that_stays_away_ends_the_read_in_a_sentence(redis: Broker) -> None:
    redis.put(numbers(0, 3000))
    source = during(redis.open("all", options="&timeout=0.2"), 0, redis.server.program.kill)
    with pytest.raises(Unavailable, match="doesn't answer"):
        source.scan()
    redis.server.program.start()


def test_a_server_that_comes_back_without_its_messages_is_noticed(redis: Broker) -> None:
    redis.put(numbers(0, 3000))

    def lose() -> None:
        with redis.server.connect() as connection:
            connection.delete(redis.stream)

    with pytest.raises(Conflict, match="were removed while they were read"):
        during(redis.open("all"), 0, lose).scan()


@pytest.mark.parametrize("window", ["2h", "7d"])
def test_kafka_messages_of_the_last_hours_are_found_by_their_time(
    kafka: Broker, window: str
) -> None:
    now = int(time.time() * 1000)
    kafka.server.add(
        kafka.stream,
        [
            {"value": {"n": n}, "timestamp": now - (400 - n) * 60_000, "partition": n % 2}
            for n in range(400)
        ],
    )
    assert seen(kafka.open(window)) == list(range(281 if window == "2h" else 0, 400))


def test_redis_entries_of_the_last_minutes_are_found_by_their_id(redis: Broker) -> None:
    now = int(time.time() * 1000)
    ids = [f"{now - (100 - n) * 60_000}-0" for n in range(100)]
    redis.server.add(redis.stream, numbers(0, 100), ids)
    assert seen(redis.open("10m")) == list(range(91, 100))


def test_jetstream_messages_of_the_last_minutes_are_found_by_their_time(
    nats: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    nats.put(numbers(0, 60))
    nats.put(numbers(60, 100))
    times = nats.open("all").scan().collect()["_time"]
    between = times[59] + (times[60] - times[59]) / 2

    class Later(nats_module.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return between + nats_module.timedelta(minutes=10)

    monkeypatch.setattr(nats_module, "datetime", Later)
    assert seen(nats.open("10m")) == list(range(60, 100))


def test_newest_messages_of_several_partitions_are_taken_together(kafka: Broker) -> None:
    kafka.server.add(
        kafka.stream,
        [
            {"value": {"n": n}, "timestamp": 1_700_000_000_000 + n, "partition": int(n % 7 == 0)}
            for n in range(700)
        ],
    )
    source = kafka.open("100")
    assert seen(source) == list(range(600, 700))


@given(
    parts=st.lists(st.lists(st.integers(0, 40), max_size=30).map(sorted), min_size=1, max_size=4),
    count=st.integers(1, 60),
)
def test_the_newest_are_never_older_than_what_is_left_out(
    parts: list[list[int]], count: int
) -> None:
    bounds = {p: (3, 3 + len(times)) for p, times in enumerate(parts)}
    starts = newest(count, bounds, lambda p, offset: parts[p][offset - 3])
    taken = [t for p, times in enumerate(parts) for t in times[starts[p] - 3 :]]
    left = [t for p, times in enumerate(parts) for t in times[: starts[p] - 3]]
    assert len(taken) == min(count, sum(map(len, parts)))
    assert not left or not taken or max(left) <= min(taken)


def test_a_filter_and_gaps_still_give_the_last_so_many(nats: Broker) -> None:
    name = nats.stream.lower()
    nats.server.add(
        nats.stream, [(f"{name}.{'web' if n % 3 else 'app'}", {"n": n}) for n in range(300)]
    )

    async def delete(jetstream: Any) -> None:
        for n in range(250, 260):
            await jetstream.delete_msg(nats.stream, n + 1)

    nats.server.run(delete)
    source = nats.open("30", stream=f"{nats.stream}/{name}.app")
    kept = [n for n in range(0, 300, 3) if not 250 <= n < 260]
    assert seen(source) == kept[-30:]
    assert source.scan().collect()["_subject"].unique().to_list() == [f"{name}.app"]
    assert seen(nats.open("100")) == [n for n in range(190, 300) if not 250 <= n < 260]


def test_reading_leaves_nothing_on_the_server(nats: Broker, redis: Broker) -> None:
    nats.put(numbers(0, 200))
    nats.open("100").scan()

    async def consumers(jetstream: Any) -> Any:
        return await jetstream.consumers_info(nats.stream)

    assert nats.server.run(consumers) == []
    redis.put(numbers(0, 10))
    redis.open("5").scan()
    with redis.server.connect() as connection:
        assert connection.xinfo_groups(redis.stream) == []
        assert connection.xlen(redis.stream) == 10


@pytest.mark.parametrize("system", ["nats", "redis"])
def test_an_interrupt_ends_the_connections(request: pytest.FixtureRequest, system: str) -> None:
    request.getfixturevalue("secrets")
    broker = make_broker(request, system)
    program = broker.server.program
    broker.put(numbers(0, 2000))
    threads = set(threading.enumerate())

    def hang() -> None:
        program.pause()
        # A person waits for a while, and then interrupts the kernel.
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()

    started = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            during(broker.open("all", options="&timeout=60"), 0, hang).scan()
    finally:
        program.resume()
    assert time.monotonic() - started < 30
    assert not [t for t in threading.enumerate() if t not in threads and t.is_alive()]
    assert not established(broker.server.port)


def established(port: int) -> list[Any]:
    """This process's open connections to a port."""
    found = psutil.Process().net_connections("tcp")
    return [c for c in found if c.raddr and c.raddr.port == port and c.status == "ESTABLISHED"]


def test_a_missing_stream_names_the_closest(broker: Broker) -> None:
    broker.put(numbers(0, 1))
    with pytest.raises(NotFound) as caught:
        broker.open(stream=f"{broker.stream}X").scan()
    assert "there is no" in caught.value.what
    assert caught.value.fix == f"did you mean {broker.stream!r}?"


@pytest.mark.parametrize("uri", ["kafka://{}/x", "redis://{}/0/x", "nats://{}/X"])
def test_a_server_that_cannot_be_reached_is_told_in_time(uri: str) -> None:
    where = f"127.0.0.1:{free_port()}"
    started = time.monotonic()
    with pytest.raises(Unavailable, match=f"{where} doesn't answer") as caught:
        open_source(uri.format(where) + "?timeout=1").scan()
    assert time.monotonic() - started < 30
    assert "onnect" in caught.value.why


@pytest.mark.parametrize("system", SYSTEMS)
def test_wrong_credentials_are_told_and_not_shown(
    request: pytest.FixtureRequest, system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KAFKA_PASSWORD", "REDIS_PASSWORD", "NATS_PASSWORD"):
        monkeypatch.setenv(name, "hunter2hunter2")
    broker = make_broker(request, system)
    uri = broker.uri()
    if system == "kafka":
        # The mock cluster knows no SASL, which librdkafka tells as a failed authentication.
        uri = (
            uri.replace("//", "//ada:secret:KAFKA_PASSWORD@") + "&security.protocol=sasl_plaintext"
        )
    source = open_source(uri)
    with pytest.raises(Denied, match="refuses the credentials") as caught:
        source.scan()
    assert "hunter2" not in f"{caught.value} {source!r} {source.__dict__} {source.uri}"


def test_a_password_is_in_no_record(redis: Broker, place: Workspace) -> None:
    redis.put(numbers(0, 5))
    added = data.add(place, "clicks", redis.uri())
    shown = f"{added!r} {added.origin} {added.provenance} {added._repr_mimebundle_()}"
    assert "secret:REDIS_PASSWORD" in shown
    assert Redis.password not in shown
    assert Redis.password.encode() not in (place.root / ".mlops" / "mlops.db").read_bytes()


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("kafka://h/t?sasl.password=hunter2", "the option sasl.password holds a credential"),
        ("kafka://h/t?ssl.key.pem=hunter2", "the option ssl.key.pem holds a credential"),
        ("nats://h/S?token=hunter2", "the option token holds a credential"),
        ("nats://hunter2@h/S", "names a user without a password"),
        ("redis://:hunter2@h/0/s", "holds a password"),
        ("kafka://h/t?plugin.library.paths=x.so", "can't be given in a URI"),
        ("kafka://h/t?no.such.option=1", "an option of the Kafka URI can't be used"),
        ("redis://h/0/s?no=1", "has an option 'no' that means nothing here"),
        ("redis://h/s", "names no database number and stream"),
        ("kafka://h", "names no stream"),
        ("nats:///S", "names no host"),
        ("kafka://h/t?timeout=soon", "can't be used"),
    ],
)
def test_bad_uris_get_one_sentence(uri: str, says: str) -> None:
    with pytest.raises(Invalid) as caught:
        open_source(uri).scan()
    assert says in caught.value.what
    assert caught.value.fix
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "window", ["0", "-5", "10 parsecs", "offsets:", "offsets:{}", "after:", "x"]
)
def test_bad_windows_say_what_windows_are(window: str) -> None:
    with pytest.raises(Invalid, match="is no window of a stream"):
        open_source("redis://h/0/s", window=window)


def test_offsets_are_written_in_two_ways() -> None:
    one = Window.parse("offsets:0:120-560,1:0-88")
    other = Window.parse('offsets:{"0":[120,560],"1":[0,88]}')
    assert one.spans == other.spans
    assert [str(span) for span in one.spans] == ["0:120-560", "1:0-88"]
    ids = Window.parse("offsets:0:1526919030474-55-1526919030480-3/12").spans[0]
    assert (ids.first, ids.last, ids.count) == ("1526919030474-55", "1526919030480-3", 12)
    assert continue_from({"offsets": "0:5-9/5,1:0--1/0"}) == "after:0:9,1:-1"
    with pytest.raises(Invalid, match="nothing to go on from"):
        continue_from({})


def trim(broker: Broker, stream: str) -> None:
    if broker.system == "redis":
        with broker.server.connect() as connection:
            connection.xtrim(stream, maxlen=500, approximate=False)
    elif broker.system == "nats":

        async def purge(jetstream: Any) -> None:
            await jetstream.purge_stream(stream, keep=500)

        broker.server.run(purge)
    else:
        # A partition of the mock cluster keeps 5 MB.
        large = b'{"n": -1, "pad": "' + b"x" * 900_000 + b'"}'
        broker.server.add(stream, [{"value": large, "partition": p} for p in (0, 1)] * 7)


def test_expired_offsets_are_refused_with_what_is_left(broker: Broker) -> None:
    broker.put(numbers(0, 1000))
    first = broker.open("all")
    offsets = first.provenance()["offsets"]
    after = Window.parse(f"offsets:{offsets}").spans[0]
    trim(broker, broker.stream)
    with pytest.raises(Conflict, match="doesn't hold all") as caught:
        broker.open(f"offsets:{offsets}").scan()
    assert "left" in caught.value.why
    assert "window all" in caught.value.fix
    with pytest.raises(Conflict, match="doesn't hold all"):
        broker.open(f"after:0:{after.first}").scan()
    assert broker.open("all").scan().collect().height < 1000 or broker.system == "kafka"


def test_offsets_that_lost_a_message_are_refused(redis: Broker, nats: Broker) -> None:
    redis.put(numbers(0, 100))
    nats.put(numbers(0, 100))
    windows = [f"offsets:{b.open('all').provenance()['offsets']}" for b in (redis, nats)]
    with redis.server.connect() as connection:
        connection.xdel(redis.stream, connection.xrange(redis.stream, count=50)[-1][0])

    async def delete(jetstream: Any) -> None:
        await jetstream.delete_msg(nats.stream, 50)

    nats.server.run(delete)
    for broker, window in zip((redis, nats), windows, strict=True):
        with pytest.raises(Conflict, match="the same messages any more"):
            broker.open(window).scan()


def test_offsets_beyond_the_end_mean_another_stream(broker: Broker) -> None:
    broker.put(numbers(0, 10))
    far = "9999999999999-0" if broker.system == "redis" else "5000"
    with pytest.raises(Conflict, match="doesn't hold all"):
        broker.open(f"after:0:{far}").scan()


def test_a_work_queue_is_not_read(nats: Broker) -> None:
    nats.server.add(nats.stream, [(f"{nats.stream.lower()}.x", {"n": 1})], retention="workqueue")
    with pytest.raises(Invalid, match="is a work queue"):
        nats.open().scan()


def test_a_key_that_is_no_stream_is_told(redis: Broker) -> None:
    with redis.server.connect() as connection:
        connection.rpush(redis.stream, "x")
    with pytest.raises(Invalid, match="it is a Redis list"):
        redis.open().scan()


@pytest.mark.parametrize(
    ("uri", "module", "extra"),
    [
        ("kafka://h/t", "confluent_kafka", "kafka"),
        ("redis://h/0/s", "redis", "redis"),
        ("nats://h/S", "nats", "nats"),
    ],
)
def test_a_missing_client_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, uri: str, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(Unavailable) as caught:
        open_source(uri).scan()
    assert f'pip install "jupyter_mlops[{extra}]"' in caught.value.fix


def payloads(kafka: Broker, values: list[Any], **more: Any) -> Source:
    options = more.pop("options", "")
    kafka.server.add(kafka.stream, [{"value": value, **more} for value in values])
    return kafka.open("all", options=options)


def test_json_types_hold_for_every_message(kafka: Broker) -> None:
    values = [
        {"whole": n, "part": n, "either": n, "deep": {"a": n, "b": [n]}, "big": 2**60 + n}
        for n in range(20_000)
    ]
    values += [
        {"whole": 1, "part": 2.5, "either": "x", "deep": {"a": 0.5, "c": "new"}, "big": 1},
        {"huge": 123456789012345678901234567890, "empty": None, "odd": [1, "a", {"b": 1}]},
    ]
    source = payloads(kafka, values)
    schema = source.schema()
    assert schema["whole"] == pl.Int64
    assert schema["part"] == pl.Float64
    assert schema["either"] == pl.String
    assert schema["big"] == pl.Int64
    assert schema["deep"] == pl.Struct({"a": pl.Float64, "b": pl.List(pl.Int64), "c": pl.String})
    last = source.scan().collect().tail(2)
    assert last["huge"].to_list() == [None, "123456789012345678901234567890"]
    assert last["odd"].to_list() == [None, ["1", "a", '{"b": 1}']]
    assert source.scan().collect()["big"][7] == 2**60 + 7
    assert source.provenance()["mixed"] == {
        "either": "integer and text",
        "huge": "integer beyond 64 bits",
        "odd[]": "integer and object and text",
    }


def test_messages_that_cannot_be_read_are_counted_and_told(kafka: Broker) -> None:
    values = [{"n": 1}, b"{oops", {"n": 2}, b"\xff\xfe", {"n": 3}, b"[1]", None, {"n": 4}]
    source = payloads(kafka, values, key="k", partition=1)
    with pytest.warns(UserWarning, match="3 of 8 messages are no JSON objects and were left out"):
        rows = source.scan().collect()
    assert rows["n"].to_list() == [1, 2, 3, None, 4]
    assert rows["_key"].to_list() == ["k"] * 5
    told = source.provenance()
    assert told["messages"] == 8
    assert told["unreadable"] == {
        "count": 3,
        "expected": "JSON objects",
        "first": ["1:1", "1:3", "1:5"],
    }
    again = open_source(kafka.uri(), window=f"offsets:{told['offsets']}")
    with pytest.warns(UserWarning, match="3 of 8"):
        assert again.digest() == source.digest()


def test_text_and_bytes_become_one_column(kafka: Broker) -> None:
    text = payloads(kafka, [b"first", "zweiter \u00e9".encode(), b"", None])
    assert text.scan().collect()["value"].to_list() == ["first", "zweiter \u00e9", "", None]
    kafka.server.topic(f"{kafka.stream}b")
    kafka.server.add(
        f"{kafka.stream}b", [{"value": b"\xff\x01"}, {"value": b"\xfe", "key": b"\xff"}]
    )
    raw = kafka.open("all", stream=f"{kafka.stream}b").scan().collect()
    assert raw["value"].to_list() == [b"\xff\x01", b"\xfe"]
    assert raw["_key"].to_list() == [None, b"\xff"]


def test_the_payload_may_be_said_in_the_uri(kafka: Broker) -> None:
    source = payloads(kafka, [{"n": 1}], options="&payload=text")
    assert source.scan().collect()["value"].to_list() == ['{"n": 1}']


def test_avro_and_protobuf_are_refused_in_a_sentence(kafka: Broker) -> None:
    framed = [b"\x00\x00\x00\x00\x07\x02\x0aabc", b"\x00\x00\x00\x00\x07\x04\x0axyz"]
    with pytest.raises(Invalid, match="are Avro or Protobuf") as caught:
        payloads(kafka, framed).scan()
    assert "payload=bytes" in caught.value.fix
    assert kafka.open("all", options="&payload=bytes").scan().collect()["value"].to_list() == framed


def test_json_with_a_schema_registrys_number_is_read(kafka: Broker) -> None:
    framed = [b"\x00\x00\x00\x00\x07" + json.dumps({"n": n}).encode() for n in range(3)]
    assert seen(payloads(kafka, framed)) == [0, 1, 2]


def test_a_field_called_as_a_column_of_every_stream_is_a_conflict(kafka: Broker) -> None:
    with pytest.raises(Conflict, match="have a field called '_offset'"):
        payloads(kafka, [{"_offset": 1}]).scan()


def test_redis_fields_have_the_types_they_would_have_in_a_csv_file(redis: Broker) -> None:
    rows: list[dict[str, Any]] = [
        {"n": i, "zip": f"0050{i % 10}", "day": "2013-01-01", "gap": "NA" if i % 2 else 1.5}
        for i in range(200)
    ]
    redis.put([*rows, {"n": 7, "late": "x"}])
    redis.server.add(redis.stream, [{"n": b"\xff"}])
    source = redis.open("all")
    with pytest.warns(UserWarning, match="1 of 202 messages"):
        schema = source.schema()
    assert {name: dtype for name, dtype in schema.items() if not name.startswith("_")} == {
        "n": pl.Int64,
        "zip": pl.String,
        "day": pl.Date,
        "gap": pl.Float64,
        "late": pl.String,
    }


def test_an_empty_stream_has_no_window(kafka: Broker, nats: Broker) -> None:
    for broker in (kafka, nats):
        if broker is nats:
            nats.server.add(nats.stream, [])
        for window, says in (("all", "at all"), ("10m", "of the last 10m"), ("5", "at all")):
            with pytest.raises(NotFound, match=f"holds no messages {says}"):
                broker.open(window).scan()


def test_errors_of_streams_are_all_of_one_kind(broker: Broker) -> None:
    with pytest.raises(MLOpsError) as caught:
        broker.open(stream="NOTHING").scan()
    assert caught.value.code.startswith("E-STREAM-")
