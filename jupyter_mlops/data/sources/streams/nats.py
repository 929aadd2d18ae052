"""NATS JetStream, read through a consumer that keeps nothing and acknowledges nothing."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

from jupyter_mlops.data.sources.opening import Request, Source
from jupyter_mlops.data.sources.streams.addresses import Address, client
from jupyter_mlops.data.sources.streams.jetstream import Server
from jupyter_mlops.data.sources.streams.messages import Message, Pace, Reading
from jupyter_mlops.data.sources.streams.source import StreamSource
from jupyter_mlops.data.sources.streams.windows import Window
from jupyter_mlops.workspace.errors import Conflict, Invalid, NotFound, closest

__all__ = ["NatsStream", "open_nats"]

_FORM: Final = "nats://[USER:secret:NAME@]HOST:4222/STREAM[/SUBJECT.FILTER]"


def open_nats(request: Request) -> Source:
    """Open a window of a JetStream stream.

    Raises
    ------
    Invalid
        The URI, an option or the window can't be understood.

    Examples
    --------
    >>> open_nats(Request("nats://localhost:4222/CLICKS/clicks.web"))  # doctest: +SKIP
    """
    address = Address.parse(request, 4222, _FORM)
    address.only("ca", "creds", "token")
    if len(address.path) > 2:
        raise Invalid(
            "the URI names more than a stream and a subject",
            fix=f"write {_FORM}",
            code="E-STREAM-050",
        )
    if address.user is not None and address.password is None:
        # NATS takes a lone name for a token, which is a credential.
        raise Invalid(
            "the URI names a user without a password, which NATS takes for a token",
            fix="write nats://HOST:4222/STREAM?token=secret:NAME",
            code="E-STREAM-051",
        )
    return NatsStream(address, Window.parse(request.window))


class NatsStream(StreamSource):
    """A window of a JetStream stream, or of those of its subjects that fit a filter."""

    scheme: ClassVar[str] = "nats"
    key: ClassVar[str | None] = "_subject"

    @property
    def name(self) -> str:
        """The stream's name."""
        return self.address.path[0]

    @property
    def subject(self) -> str | None:
        """The filter of subjects."""
        return self.address.path[1] if len(self.address.path) > 1 else None

    def read(self, reading: Reading) -> Generator[list[Message]]:
        """The messages in the order of their sequence numbers."""
        client("nats", "nats-py", "nats")
        with closing(Server(self.address)) as server:
            state = self.state(server)
            first, end = self._choose(server, state)
            reading.ranges[0] = (str(first), str(end))
            if first <= end:
                yield from self._messages(server, first, end)

    def state(self, server: Server, patient: bool = False) -> Any:
        """What the server tells of the stream; an error names the closest if it isn't there."""
        from nats.js.errors import NotFoundError

        try:
            info = server.ask(lambda: server.jetstream.stream_info(self.name), patient)
        except NotFoundError:
            found = server.ask(lambda: server.jetstream.streams_info(), patient=False)
            names = sorted(stream.config.name for stream in found)
            raise NotFound(
                f"there is no stream {self.name!r} on {self.address.places}",
                f"it has {', '.join(names[:8])}{' …' if len(names) > 8 else ''}"
                if names
                else "it has no streams",
                closest(self.name, names) or "check the name",
                code="E-STREAM-052",
            ) from None
        if str(info.config.retention).rpartition(".")[2].lower() == "workqueue":
            raise Invalid(
                f"{self.name!r} is a work queue",
                "reading takes its messages away from those who work on them",
                "read a stream that mirrors it",
                code="E-STREAM-053",
            )
        return info.state

    def _choose(self, server: Server, state: Any) -> tuple[int, int]:
        """The first and the last sequence number to read."""
        window, low, end = self.window, max(1, state.first_seq), state.last_seq
        if window.spans or window.after is not None:
            first, last = self._given()
            end = end if last is None else last
            if first < low or end > state.last_seq or first > state.last_seq + 1:
                left = (
                    f"{low:,} to {state.last_seq:,} are left"
                    if state.messages
                    else "nothing is left"
                )
                wanted = "from" if window.spans else "after"
                raise Conflict(
                    f"{self.name!r} doesn't hold all messages {wanted} number "
                    f"{first - (0 if window.spans else 1):,} any more",
                    left,
                    "take what is left with the window all",
                    code="E-STREAM-054",
                )
            return first, end
        if window.seconds is not None:
            since = datetime.now(UTC) - timedelta(seconds=window.seconds)
            return self._since(server, since, end), end
        if window.count is not None:
            return self._last(server, low, end, window.count), end
        return low, end

    def _given(self) -> tuple[int, int | None]:
        window = self.window
        try:
            if window.after is not None:
                ((_, after),) = window.after.items()
                return int(after) + 1, None
            (span,) = window.spans
            return int(span.first), int(span.last)
        except ValueError:
            raise Invalid(
                f"{window.text!r} are no numbers of a JetStream stream",
                fix="write offsets:0:120-560, as the dataset's record has it",
                code="E-STREAM-055",
            ) from None

    def _last(self, server: Server, low: int, end: int, count: int) -> int:
        """From which number on so many messages are left; gaps and the filter make it earlier."""

        def left(first: int) -> int:
            return server.pending(self.name, self.subject, opt_start_seq=first)

        start = max(low, end - count + 1)
        if start == low or left(start) >= count:
            return start
        high = start
        while low < high:  # the highest number from which there are enough
            middle = (low + high + 1) // 2
            if left(middle) >= count:
                low = middle
            else:
                high = middle - 1
        return low

    def _since(self, server: Server, since: datetime, end: int) -> int:
        """The number of the first message that is no older."""
        consumer = server.consumer(self.name, self.subject, opt_start_time=since)
        if not consumer.pending:
            return end + 1
        (message,) = server.fetch(consumer, 1)
        return int(message.metadata.sequence.stream)

    def _messages(self, server: Server, first: int, end: int) -> Generator[list[Message]]:
        pace = Pace()
        position = first - 1
        consumer = None
        progress = time.monotonic()
        while position < end:
            if consumer is None or consumer.broken:
                consumer = server.consumer(self.name, self.subject, opt_start_seq=position + 1)
            if not consumer.pending:
                self._check_end(server, end)
                return
            found = server.fetch(consumer, min(pace.take, consumer.pending))
            if not found:
                if time.monotonic() - progress > 3 * self.address.timeout:
                    raise server.silent("it announced messages and didn't send them")
                continue
            if found[0].metadata.sequence.stream != position + 1:
                self._check_held(server, position)
            batch = [_message(m) for m in found if m.metadata.sequence.stream <= end]
            pace.saw([message.payload for message in batch])
            position = int(found[-1].metadata.sequence.stream)
            if batch:
                yield batch
            progress = time.monotonic()

    def _check_end(self, server: Server, end: int) -> None:
        """Refuse to end early because the server came back without its last messages."""
        state = self.state(server, patient=True)
        if state.last_seq < end:
            raise Conflict(
                f"messages of {self.name!r} were lost while they were read",
                f"the stream ended at {end:,} before and ends at {state.last_seq:,} now",
                "check how the stream is stored",
                code="E-STREAM-059",
            )

    def _check_held(self, server: Server, position: int) -> None:
        """Refuse to go on when messages were removed before they could be read."""
        state = self.state(server, patient=True)
        if state.first_seq > position + 1 and (position or state.first_seq > 1):
            raise Conflict(
                f"messages of {self.name!r} were removed while they were read",
                f"{position + 1:,} to {state.first_seq - 1:,} aren't there any more",
                "read again, or take a shorter window",
                code="E-STREAM-056",
            )


def _message(message: Any) -> Message:
    facts = message.metadata
    micros = int(facts.timestamp.timestamp() * 1_000_000)
    return Message(0, facts.sequence.stream, micros, message.subject.encode(), message.data)
