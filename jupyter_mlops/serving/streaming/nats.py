"""NATS JetStream: a durable consumer as source, de-duplicated messages as sink."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from contextlib import suppress
from typing import Any, Final

import orjson

from jupyter_mlops.data.sources.opening import Request
from jupyter_mlops.data.sources.streams.addresses import client
from jupyter_mlops.data.sources.streams.jetstream import Server
from jupyter_mlops.data.sources.streams.nats import NatsStream, open_nats
from jupyter_mlops.serving.streaming.messages import Document, Marks, Record, advance, beyond
from jupyter_mlops.serving.streaming.redis import other_source
from jupyter_mlops.workspace import Invalid, MLOpsError, Unavailable

__all__ = ["NatsSink", "NatsSource"]

_ID: Final = "Nats-Msg-Id"
_STREAM: Final = "Mlops-Stream"
_SOURCE: Final = "Mlops-Source"
_POSITIONS: Final = "Mlops-Positions"
#: Nothing is sent again by itself: a consumer that lost messages is made anew.
_ACK_WAIT: Final = 3600.0


class NatsSource:
    """A stream, or its subjects that fit a filter, read through a durable consumer.

    JetStream sends what wasn't acknowledged again late and out of order. So a consumer that a
    killed process or a broken connection left with such messages is replaced by one that begins
    after the last acknowledged message: ``jupyter-mlops-NAME-0`` and ``-1`` take turns, and the
    old one goes when the new one is there.

    Parameters
    ----------
    uri : str
    name : str
        The stream's.
    start : {"all", "new"}
        What a stream that has no place yet begins with.
    """

    ended = False

    def __init__(self, uri: str, name: str, start: str = "all") -> None:
        found = open_nats(Request(uri))
        assert isinstance(found, NatsStream)
        self.place = found
        self.start = start
        self.identity = found.stream
        safe = re.sub(r"[^A-Za-z0-9_-]", "_", name)
        self._names = [f"jupyter-mlops-{safe}-{turn}" for turn in (0, 1)]
        self._name = ""
        self._server: Server | None = None
        self._jetstream: Any = None
        self._subscription: Any = None
        self._broken = False
        self._seen = 0
        self._done = 0
        self._delivered = 0
        self._messages: deque[Any] = deque()

    def open(self, marks: Marks | None) -> None:
        """Connect, and go to after `marks`, or to after what was acknowledged last."""
        client("nats", "nats-py", "nats")
        self._server = Server(self.place.address)
        state = self.place.state(self._server)
        held = self._held()
        places = [info.ack_floor.stream_seq for info in held.values()]
        if marks and "0" in marks:
            places.append(int(marks["0"]))
        done = max(places, default=state.last_seq if self.start == "new" else 0)
        self._begin_after(done, held)

    def _info(self, name: str) -> Any:
        from nats.js.errors import NotFoundError

        assert self._server is not None
        jetstream = self._server.jetstream
        try:
            return self._server.ask(lambda: jetstream.consumer_info(self.place.name, name))
        except NotFoundError:
            return None

    def _begin_after(self, done: int, held: dict[str, Any]) -> None:
        """Make a consumer that begins after a message, and remove the others."""
        from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
        from nats.js.errors import NotFoundError

        server = self._server
        assert server is not None
        if len(held) == len(self._names):
            # A kill between making one and removing the other: both begin at the same place.
            gone = min(held, key=lambda name: held[name].ack_floor.stream_seq)
            self._remove(gone)
            held = {name: info for name, info in held.items() if name != gone}
        self._name = next(name for name in self._names if name not in held)
        config = ConsumerConfig(
            durable_name=self._name,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=done + 1,
            ack_policy=AckPolicy.ALL,
            ack_wait=_ACK_WAIT,
            max_ack_pending=-1,
            filter_subject=self.place.subject,
        )

        async def make() -> Any:
            await server.jetstream.add_consumer(self.place.name, config)
            return await server.jetstream.pull_subscribe_bind(
                consumer=self._name, stream=self.place.name
            )

        try:
            self._subscription = server.ask(make, patient=False)
        except NotFoundError:
            raise Unavailable(
                f"the stream {self.place.name!r} isn't there any more",
                fix="check how it is stored, and what removed it",
                code="E-STREAM-105",
            ) from None
        for name in held:
            self._remove(name)
        self._jetstream = server.jetstream
        self._seen = self._done = done
        self._delivered = 0
        self._messages.clear()
        self._broken = False

    def _remove(self, name: str) -> None:
        from nats.js.errors import NotFoundError

        server = self._server
        assert server is not None
        with suppress(NotFoundError):
            server.ask(lambda: server.jetstream.delete_consumer(self.place.name, name))

    def read(self, count: int, wait: float) -> list[Record]:
        """What is there, `count` at most; waits so many seconds for the first.

        After a broken connection nothing is read until all that was read before is done.
        """
        server = self._server
        assert server is not None
        if self._broken:
            if self._seen > self._done:
                return []
            self._begin_after(self._done, self._held())
        from nats import errors

        async def fetch() -> list[Any]:
            try:
                # A client that asks for one message takes another way, which can't tell silence.
                found: list[Any] = await self._subscription.fetch(
                    max(2, count), timeout=max(wait, 0.05)
                )
            except errors.TimeoutError:
                return []
            return found

        try:
            found = server.ask(fetch, patient=False)
            if server.jetstream is not self._jetstream:
                self._broken = True  # it was connected anew, and the subscription is gone
                return []
        except MLOpsError:
            self._broken = True
            raise
        records = []
        for message in found:
            facts = message.metadata
            if facts.sequence.consumer != self._delivered + 1:
                self._broken = True  # some were lost on the way
                break
            self._delivered += 1
            self._seen = int(facts.sequence.stream)
            self._messages.append((self._seen, message))
            place = f"{self.place.name}/{self._seen}"
            records.append(Record("0", str(self._seen), place, message.subject, message.data))
        return records

    def _held(self) -> dict[str, Any]:
        return {name: info for name in self._names if (info := self._info(name)) is not None}

    def commit(self, marks: Marks) -> None:
        """Acknowledge every message up to there, and wait until the server knows."""
        if "0" not in marks:
            return
        server = self._server
        assert server is not None
        self._done = max(self._done, int(marks["0"]))
        last = None
        while self._messages and self._messages[0][0] <= self._done:
            _, last = self._messages.popleft()
        if last is None or self._broken:
            return
        wait = self.place.address.timeout
        try:
            server.ask(lambda: last.ack_sync(timeout=wait), patient=False)
        except Unavailable:
            self._broken = True  # the next consumer begins after it, which says the same

    def lag(self) -> int | None:
        """How many messages aren't acknowledged."""
        info = None if self._broken else self._info(self._name)
        return None if info is None else int(info.num_pending + info.num_ack_pending)

    def close(self) -> None:
        """End the connection; the consumer stays."""
        if self._server is not None:
            self._server.close()


class NatsSink:
    """A subject of a stream.

    Exactly once while nobody else writes to the subject: each message carries the positions up
    to it, so the last one says what was written. Where others write too, the server drops a
    message whose ``Nats-Msg-Id`` came within the stream's duplicate window (two minutes unless it
    was made otherwise), and a stream begun again later than that writes some a second time.

    Parameters
    ----------
    uri : str
        With a subject without wildcards: ``nats://HOST:4222/STREAM/answers.delay``.
    name : str
        The stream's.

    Raises
    ------
    Invalid
        The URI names no one subject.
    """

    guarantee = "exactly once"
    gather = 0.0
    commits = False

    def __init__(self, uri: str, name: str) -> None:
        found = open_nats(Request(uri))
        assert isinstance(found, NatsStream)
        if found.subject is None or re.search(r"[*>]", found.subject):
            raise Invalid(
                "the URI names no subject to write to",
                fix="write nats://HOST:4222/STREAM/SUBJECT, without * and >",
                code="E-STREAM-106",
            )
        self.place = found
        self.subject = found.subject
        self.name = name
        self._server: Server | None = None
        self._source = ""
        self._marks: Marks = {}
        self._unsure = False

    def open(self, source: str) -> Marks | None:
        """Connect, and look what was written before."""
        client("nats", "nats-py", "nats")
        self._source = source
        self._server = Server(self.place.address)
        self.place.state(self._server)
        self._marks = self._look()
        return dict(self._marks)

    def _look(self) -> Marks:
        from nats.js.errors import NotFoundError

        server = self._server
        assert server is not None
        try:
            last = server.ask(
                lambda: server.jetstream.get_last_msg(self.place.name, self.subject), patient=False
            )
        except NotFoundError:
            return {}
        told = last.headers or {}
        if told.get(_STREAM) != self.name:
            return {}
        if told.get(_SOURCE) != self._source:
            raise other_source(f"{self.subject!r}", str(told.get(_SOURCE)))
        marks: Marks = orjson.loads(told[_POSITIONS])
        return marks

    def write(self, documents: list[Document], marks: Marks) -> None:
        """Write answers in their order, and wait until the server has them."""
        server = self._server
        assert server is not None
        if self._unsure:
            self._marks = self._look() or self._marks
            self._unsure = False
        fresh = [one for one in documents if beyond(self._marks, one)]
        if not fresh:
            return
        wait = self.place.address.timeout

        async def publish() -> None:
            acknowledged = []
            for one, told in zip(fresh, self._headers(fresh), strict=True):
                body = orjson.dumps(one.body, option=orjson.OPT_SERIALIZE_NUMPY)
                acknowledged.append(
                    await server.jetstream.publish_async(
                        self.subject, body, stream=self.place.name, headers=told
                    )
                )
            await asyncio.wait_for(asyncio.gather(*acknowledged), wait)

        self._unsure = True
        server.ask(publish, patient=False)
        self._unsure = False
        self._marks = advance(self._marks, fresh)

    def _headers(self, documents: list[Document]) -> list[dict[str, str]]:
        marks = dict(self._marks)
        found = []
        for one in documents:
            marks[one.partition] = one.mark
            found.append(
                {
                    _ID: f"{self.name}:{one.partition}:{one.mark}",
                    _STREAM: self.name,
                    _SOURCE: self._source,
                    _POSITIONS: orjson.dumps(marks).decode(),
                }
            )
        return found

    def close(self) -> None:
        """End the connection."""
        if self._server is not None:
            self._server.close()
