"""Redis streams: a consumer group as source; as sink, answers and positions in one transaction."""

from __future__ import annotations

from typing import Any, Final

import orjson

from jupyter_mlops.data.sources.opening import Request
from jupyter_mlops.data.sources.streams.addresses import client
from jupyter_mlops.data.sources.streams.redis import Patient, RedisStream, open_redis
from jupyter_mlops.serving.streaming.messages import Document, Marks, Record, beyond, later, order
from jupyter_mlops.workspace import Conflict, Unavailable

__all__ = ["RedisSink", "RedisSource"]

_CONSUMER: Final = "jupyter-mlops"
_SOURCE: Final = "source"


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


class RedisSource:
    """A stream read through the consumer group ``jupyter-mlops-NAME``.

    What was handed out and not acknowledged is read again first, after a kill as after a
    connection that broke.

    Parameters
    ----------
    uri : str
    name : str
        The stream's.
    start : {"all", "new"}
        What a stream that has no place yet begins with.
    field : str
        The field that holds a JSON object; without it an entry's fields are the record.
    """

    ended = False

    def __init__(self, uri: str, name: str, start: str = "all", field: str = "") -> None:
        found = open_redis(Request(uri))
        assert isinstance(found, RedisStream)
        self.place = found
        self.group = f"jupyter-mlops-{name}"
        self.start = start
        self.field = field.encode()
        self.identity = found.stream
        self._server: Patient | None = None
        self._last = "0"
        self._pending = True
        self._unacknowledged: list[str] = []

    def open(self, marks: Marks | None) -> None:
        """Connect, and make the group when there is none.

        Entries up to `marks` come again, to be acknowledged.
        """
        redis = client("redis", "redis", "redis")
        self._server = Patient(self.place.address, self.place.connect(redis), redis)
        self.place.info(self._server)
        first = "$" if self.start == "new" else "0"

        def make(connection: Any) -> None:
            try:
                connection.xgroup_create(self.place.name, self.group, first)
            except redis.exceptions.ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise

        self._server.ask(make)

    def read(self, count: int, wait: float) -> list[Record]:
        """What is there, `count` at most; waits so many seconds for the first."""
        if self._pending:
            found = self._ask(self._last, count, None)
            if found:
                return self._records(found)
            self._pending = False
        # Redis takes 0 for ever.
        block = max(1, int(wait * 1000)) if wait > 0 else None
        return self._records(self._ask(">", count, block))

    def _ask(self, after: str, count: int, block: int | None) -> list[tuple[Any, Any]]:
        assert self._server is not None

        def read(connection: Any) -> Any:
            streams = {self.place.name: after}
            return connection.xreadgroup(self.group, _CONSUMER, streams, count=count, block=block)

        try:
            found = self._server.ask(read, patient=False)
        except Unavailable as error:
            if "NOGROUP" in error.why:
                raise Conflict(
                    f"the group {self.group!r} of {self.place.name!r} was removed",
                    "where the stream was is not known any more",
                    "begin it again: with the same name it starts at the first entry",
                    code="E-STREAM-103",
                ) from None
            # An answer may be lost on the way: what it held is pending, after the last one seen.
            self._pending = True
            raise
        return list(found[0][1]) if found else []

    def _records(self, found: list[tuple[Any, Any]]) -> list[Record]:
        records = []
        for entry, fields in found:
            mark = _text(entry)
            place = f"{self.place.name}/{mark}"
            payload = self._payload(fields)
            records.append(Record("0", mark, place, None, payload, texts=True))
            self._unacknowledged.append(mark)
            self._last = mark
        return records

    def _payload(self, fields: dict[bytes, bytes] | None) -> bytes | dict[str, Any] | None:
        if not fields:
            return None  # trimmed after it was handed out
        if self.field:
            return fields.get(self.field, b"")
        return {_text(name): _text(value) for name, value in fields.items()}

    def commit(self, marks: Marks) -> None:
        """Acknowledge every entry up to there."""
        assert self._server is not None
        done = order(marks.get("0", ""))
        count = sum(order(mark) <= done for mark in self._unacknowledged)
        if count:
            entries = self._unacknowledged[:count]
            self._server.ask(
                lambda connection: connection.xack(self.place.name, self.group, *entries),
                patient=False,
            )
            del self._unacknowledged[:count]

    def lag(self) -> int | None:
        """Entries that weren't handed out yet; servers before 7.0 don't count them."""
        assert self._server is not None
        groups = self._server.ask(lambda r: r.xinfo_groups(self.place.name), patient=False)
        for group in groups:
            told = {_text(key): value for key, value in group.items()}
            if _text(told["name"]) == self.group and told.get("lag") is not None:
                return int(told["lag"]) + int(told["pending"])
        return None

    def close(self) -> None:
        """End the connection."""
        if self._server is not None:
            self._server.close()


class RedisSink:
    """A stream whose entries are answers.

    Exactly once, whatever the source: answers and the source's positions, in the hash
    ``STREAM:positions:NAME``, are one MULTI, and what is at or before them isn't written again.

    Parameters
    ----------
    uri : str
    name : str
        The stream's.
    """

    guarantee = "exactly once"
    gather = 0.0
    commits = False

    def __init__(self, uri: str, name: str) -> None:
        found = open_redis(Request(uri))
        assert isinstance(found, RedisStream)
        self.place = found
        self.kept = f"{found.name}:positions:{name}"
        self._server: Patient | None = None
        self._source = ""
        self._marks: Marks = {}
        self._unsure = False

    def open(self, source: str) -> Marks | None:
        """Connect, and look what was written before."""
        redis = client("redis", "redis", "redis")
        self._source = source
        self._server = Patient(self.place.address, self.place.connect(redis), redis)
        self._marks = self._look()
        return dict(self._marks)

    def _look(self) -> Marks:
        assert self._server is not None
        found = self._server.ask(lambda r: r.hgetall(self.kept), patient=False)
        kept = {_text(key): _text(value) for key, value in found.items()}
        source = kept.pop(_SOURCE, self._source)
        if source != self._source:
            raise other_source(f"{self.place.name!r}", source)
        return kept

    def write(self, documents: list[Document], marks: Marks) -> None:
        """Write answers and positions, all or nothing."""
        assert self._server is not None
        if self._unsure:
            self._marks, self._unsure = self._look(), False
        fresh = [one for one in documents if beyond(self._marks, one)]
        # A source that begins again further back doesn't undo what was written.
        reached = later(self._marks, marks)

        def write(connection: Any) -> None:
            with connection.pipeline(transaction=True) as pipe:
                for one in fresh:
                    pipe.xadd(self.place.name, {k: _field(v) for k, v in one.body.items()})
                pipe.hset(self.kept, mapping={**reached, _SOURCE: self._source})
                pipe.execute()

        if not marks:
            return
        # Whether a transaction whose answer was lost went through, the positions say.
        self._unsure = True
        self._server.ask(write, patient=False)
        self._unsure = False
        self._marks = reached

    def close(self) -> None:
        """End the connection."""
        if self._server is not None:
            self._server.close()


def other_source(sink: str, source: str) -> Conflict:
    """The sentence for answers that came from elsewhere."""
    return Conflict(
        f"the answers in {sink} under this stream's name came from {source}",
        "positions of two sources can't be told apart",
        "give the stream another --name, or write elsewhere",
        code="E-STREAM-104",
    )


def _field(value: Any) -> str | int | float:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()
