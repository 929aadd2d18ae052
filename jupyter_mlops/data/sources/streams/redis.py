"""Redis Streams, read by ids with XRANGE: nothing is consumed, nobody's group is touched."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from functools import partial
from typing import Any, ClassVar, Final

import orjson

from jupyter_mlops.data.sources.opening import Request, Source
from jupyter_mlops.data.sources.streams.addresses import Address, client
from jupyter_mlops.data.sources.streams.messages import Message, Pace, Reading
from jupyter_mlops.data.sources.streams.source import StreamSource
from jupyter_mlops.data.sources.streams.windows import Window
from jupyter_mlops.workspace.errors import Conflict, Denied, Invalid, NotFound, Unavailable, closest

__all__ = ["Patient", "RedisStream", "open_redis"]

_FORM: Final = "redis://[USER][:secret:NAME@]HOST:6379/0/STREAM"
_LISTED: Final = 1000


def open_redis(request: Request) -> Source:
    """Open a window of a Redis stream.

    Raises
    ------
    Invalid
        The URI, an option or the window can't be understood.

    Examples
    --------
    >>> open_redis(Request("redis://localhost:6379/0/clicks", window="5000"))  # doctest: +SKIP
    """
    address = Address.parse(request, 6379, _FORM)
    address.only("ca", "cert", "key")
    if len(address.hosts) > 1 or len(address.path) < 2 or not address.path[0].isdigit():
        raise Invalid(
            "the URI names no database number and stream of one Redis server",
            fix=f"write {_FORM}",
            code="E-STREAM-040",
        )
    return RedisStream(address, Window.parse(request.window))


class RedisStream(StreamSource):
    """A window of a Redis stream; an entry's fields are the columns."""

    scheme: ClassVar[str] = "redis"
    text_offsets: ClassVar[bool] = True
    key: ClassVar[str | None] = None
    fields: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """The stream's key."""
        return "/".join(self.address.path[1:])

    def read(self, reading: Reading) -> Generator[list[Message]]:
        """The entries in the order of their ids."""
        redis = client("redis", "redis", "redis")
        with closing(Patient(self.address, self.connect(redis), redis)) as server:
            info = self.info(server)
            end = _text(info["last-generated-id"])
            first, end = self._choose(server, info, end)
            reading.ranges[0] = (first, end)
            if _order(first) <= _order(end):
                yield from self._entries(server, reading, first, end)

    def connect(self, redis: Any) -> Any:
        """A connection, secrets revealed."""
        address = self.address
        host, _, port = address.hosts[0].rpartition(":")
        secure: dict[str, Any] = {}
        if address.uri.lower().startswith("rediss:"):
            named = {"ca": "ssl_ca_certs", "cert": "ssl_certfile", "key": "ssl_keyfile"}
            secure = {named[k]: v for k, v in address.options.items()}
            secure["ssl"] = True
        return redis.Redis(
            host=host.strip("[]"),
            port=int(port),
            db=int(address.path[0]),
            username=address.user,
            password=address.revealed(),
            socket_connect_timeout=address.timeout,
            socket_timeout=address.timeout,
            retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0),
            protocol=2,
            client_name="jupyter-mlops",
            **secure,
        )

    def info(self, server: Patient, patient: bool = False) -> dict[str, Any]:
        """What the server tells of the stream; an error names the closest if it isn't there."""
        kind = _text(server.ask(lambda r: r.type(self.name), patient))
        if kind == "none":
            names = sorted(_text(name) for name in server.ask(_streams, patient=False))
            raise NotFound(
                f"there is no stream {self.name!r} on {self.address.places}",
                f"database {self.address.path[0]} has "
                + (
                    f"{', '.join(names[:8])}{' …' if len(names) > 8 else ''}"
                    if names
                    else "no streams"
                ),
                closest(self.name, names) or "check the name and the database's number",
                code="E-STREAM-041",
            )
        if kind != "stream":
            raise Invalid(
                f"{self.name!r} on {self.address.places} is no stream",
                f"it is a Redis {kind}",
                "name a key that XADD writes to",
                code="E-STREAM-042",
            )
        found: dict[str, Any] = server.ask(lambda r: r.xinfo_stream(self.name), patient)
        return {_text(key): value for key, value in found.items()}

    def _choose(self, server: Patient, info: dict[str, Any], end: str) -> tuple[str, str]:
        """The first and the last id to read."""
        window = self.window
        if window.spans:
            (span,) = window.spans if len(window.spans) == 1 else self._one_partition()
            if span.count and not self._entry(server, span.first):
                raise self._gone(info, f"from {span.first}")
            if _order(span.last) > _order(end):
                raise self._gone(info, f"up to {span.last}")
            return span.first, span.last
        if window.after is not None:
            after = window.after.get(0, "") if len(window.after) == 1 else ""
            if "-" not in after:
                self._one_partition()
            # Trimming takes the oldest: an entry before this one means that none after it is gone.
            first = info.get("first-entry")
            passed = not first or _order(_text(first[0])) > _order(after)
            if after != end and (_order(after) > _order(end) or passed):
                raise self._gone(info, f"after {after}")
            return _next(after), end
        if window.count is not None:
            return self._last(server, end, window.count), end
        if window.seconds is not None:
            # The own clock: TIME is a right that a reader needn't have.
            first = f"{max(0, int((time.time() - window.seconds) * 1000))}-0"
        else:
            first = "0-0"
        found = server.ask(lambda r: r.xrange(self.name, first, end, count=1))
        return (_text(found[0][0]) if found else _next(end)), end

    def _entry(self, server: Patient, entry: str) -> bool:
        return bool(server.ask(lambda r: r.xrange(self.name, entry, entry)))

    def _one_partition(self) -> Any:
        raise Invalid(
            f"{self.window.text!r} are no ids of a Redis stream",
            fix="write offsets:0:1526919030474-55-1526919030480-3, as the dataset's record has it",
            code="E-STREAM-043",
        )

    def _last(self, server: Patient, end: str, count: int) -> str:
        """The id from which so many entries are left, found backwards in bounded steps."""
        total = server.ask(lambda r: r.xlen(self.name))
        if count >= total:
            found = server.ask(lambda r: r.xrange(self.name, "-", end, count=1))
            return _text(found[0][0]) if found else _next(end)
        pace = Pace()
        upper, left, first = end, count, end
        while left:
            take = min(left, pace.take)
            found = server.ask(partial(_before, name=self.name, upper=upper, count=take))
            if not found:
                break
            pace.saw([b"".join(fields.values()) for _, fields in found])
            first = _text(found[-1][0])
            left -= len(found)
            upper = f"({first}"
        return first

    def _entries(
        self, server: Patient, reading: Reading, first: str, end: str
    ) -> Generator[list[Message]]:
        pace = Pace()
        position, seen = first, False
        while True:
            # The last entry is asked for again: were it gone, so might be some that follow it.
            found = server.ask(
                partial(_between, name=self.name, first=position, last=end, count=pace.take + 1)
            )
            if seen:
                if not found or _text(found[0][0]) != position:
                    raise Conflict(
                        f"entries of {self.name!r} were removed while they were read",
                        f"entry {position} isn't there any more",
                        "read again, or take a shorter window",
                        code="E-STREAM-044",
                    )
                found = found[1:]
            if not found:
                self._check_end(server, end)
                return
            batch = [_message(entry, fields) for entry, fields in found]
            if not seen:
                reading.ranges[0] = (str(batch[0].offset), end)
            pace.saw([message.payload for message in batch])
            position, seen = str(batch[-1].offset), True
            yield batch
            if position == end:
                return

    def _check_end(self, server: Patient, end: str) -> None:
        """Refuse to end early because the server came back without its last entries."""
        info = self.info(server, patient=True)
        if _order(_text(info["last-generated-id"])) < _order(end):
            raise self._gone(info, f"up to {end}")

    def _gone(self, info: dict[str, Any], wanted: str) -> Conflict:
        first = info.get("first-entry")
        left = (
            f"{info['length']:,} are left, from {_text(first[0])} to "
            f"{_text(info['last-generated-id'])}"
            if first
            else "nothing is left"
        )
        return Conflict(
            f"{self.name!r} doesn't hold all entries {wanted} any more",
            left,
            "take what is left with the window all",
            code="E-STREAM-045",
        )


class Patient:
    """A connection that is made anew when the server was away for a while."""

    def __init__(self, address: Address, connection: Any, redis: Any) -> None:
        self.address = address
        self.connection = connection
        self.errors = redis.exceptions

    def close(self) -> None:
        """End the connection."""
        self.connection.close()

    def ask(self, question: Callable[[Any], Any], patient: bool = True) -> Any:
        """The server's answer, also after a restart; its refusals as a sentence."""
        deadline = time.monotonic() + (3 * self.address.timeout if patient else 0)
        while True:
            try:
                return question(self.connection)
            except self.errors.AuthenticationError as error:
                raise self._refused(error) from None
            except self.errors.NoPermissionError as error:
                raise Denied(
                    f"{self.address.places} refuses to give the stream",
                    self.address.scrub(str(error)),
                    "get the right to read it (+@read)",
                    code="E-STREAM-017",
                ) from None
            except (self.errors.ConnectionError, self.errors.TimeoutError) as error:
                # A server that is loading its file says so with an error of this kind too.
                if time.monotonic() >= deadline:
                    raise self._silent(error) from None
                time.sleep(0.05)
            except self.errors.RedisError as error:
                if str(error).startswith(("NOAUTH", "WRONGPASS")):
                    raise self._refused(error) from None
                raise Unavailable(
                    f"{self.address.places} can't give the stream",
                    self.address.scrub(str(error)),
                    "check the URI; in a cluster, name the node that holds the stream",
                    code="E-STREAM-046",
                ) from None

    def _refused(self, error: Exception) -> Denied:
        return Denied(
            f"{self.address.places} refuses the credentials",
            self.address.scrub(str(error)),
            "check the user and the secret",
            code="E-STREAM-014",
        )

    def _silent(self, error: Exception) -> Unavailable:
        return Unavailable(
            f"{self.address.places} doesn't answer",
            self.address.scrub(str(error)),
            "check that the server runs and can be reached; timeout=SECONDS in the URI's options "
            "waits longer",
            code="E-STREAM-013",
        )


def _streams(connection: Any) -> list[bytes]:
    found = []
    for name in connection.scan_iter(_type="stream", count=_LISTED):
        found.append(name)
        if len(found) >= _LISTED:
            break
    return found


def _before(connection: Any, name: str, upper: str, count: int) -> Any:
    return connection.xrevrange(name, upper, "-", count=count)


def _between(connection: Any, name: str, first: str, last: str, count: int) -> Any:
    return connection.xrange(name, first, last, count=count)


def _message(entry: bytes, fields: dict[bytes, bytes]) -> Message:
    offset = _text(entry)
    try:
        payload = orjson.dumps({name.decode(): value.decode() for name, value in fields.items()})
    except UnicodeDecodeError:
        payload = b"\xff".join((*fields, *fields.values()))
    return Message(0, offset, int(offset.partition("-")[0]) * 1000, None, payload)


def _order(entry: str) -> tuple[int, int]:
    time_part, _, place = entry.partition("-")
    return int(time_part), int(place)


def _next(entry: str) -> str:
    moment, place = _order(entry)
    return f"{moment}-{place + 1}"


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
