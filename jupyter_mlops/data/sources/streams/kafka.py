"""Kafka topics, read by offsets alone: no consumer group is joined and nothing is committed."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any, ClassVar, Final
from uuid import uuid4

from jupyter_mlops.data.sources.opening import Request, Source
from jupyter_mlops.data.sources.streams.addresses import Address, client
from jupyter_mlops.data.sources.streams.messages import Message, Pace, Reading
from jupyter_mlops.data.sources.streams.offsets import newest
from jupyter_mlops.data.sources.streams.source import StreamSource
from jupyter_mlops.data.sources.streams.windows import Window
from jupyter_mlops.workspace.errors import Conflict, Denied, Invalid, NotFound, Unavailable, closest

__all__ = ["KafkaTopic", "open_kafka"]

_FORM: Final = "kafka://[USER:secret:NAME@]HOST:9092/TOPIC"
#: Options of librdkafka that run or load programs, or that decide what a read leaves behind.
_REFUSED: Final = (
    "enable.auto.commit",
    "enable.auto.offset.store",
    "group.id",
    "group.instance.id",
    "plugin.library.paths",
    "sasl.kerberos.kinit.cmd",
    "ssl.engine.location",
    "ssl.providers",
)
_WAIT: Final = 0.1


def open_kafka(request: Request) -> Source:
    """Open a window of a Kafka topic.

    Raises
    ------
    Invalid
        The URI, an option or the window can't be understood.

    Examples
    --------
    >>> open_kafka(Request("kafka://broker:9092/clicks", window="10m"))  # doctest: +SKIP
    """
    address = Address.parse(request, 9092, _FORM)
    for name in _REFUSED:
        if name in address.options:
            raise Invalid(
                f"the option {name} can't be given in a URI",
                "it runs or loads programs, or changes what a read leaves on the brokers",
                "leave it out",
                code="E-STREAM-030",
            )
    return KafkaTopic(address, Window.parse(request.window))


class KafkaTopic(StreamSource):
    """A window of a Kafka topic."""

    scheme: ClassVar[str] = "kafka"
    partition: ClassVar[str | None] = "_partition"

    @property
    def topic(self) -> str:
        """The topic's name."""
        return "/".join(self.address.path)

    def read(self, reading: Reading) -> Generator[list[Message]]:
        """The messages of one partition after the other."""
        kafka = client("confluent_kafka", "confluent-kafka", "kafka")
        errors: list[Any] = []
        consumer = self._connect(kafka, errors)
        try:
            partitions = self.partitions(kafka, consumer, errors)
            bounds = {p: self.watermarks(kafka, consumer, p) for p in partitions}
            starts, ends = self._choose(kafka, consumer, bounds)
            for p, start in starts.items():
                reading.ranges[p] = (str(start), str(ends[p] - 1))
                if start < ends[p]:
                    yield from self._messages(kafka, consumer, p, start, ends[p], errors)
        finally:
            consumer.close()

    def settings(self, errors: list[Any]) -> dict[str, Any]:
        """What every client of these brokers is made with, secrets revealed.

        Parameters
        ----------
        errors : list
            Takes what librdkafka tells of its connections.
        """
        address = self.address
        settings: dict[str, Any] = {
            # What a person asks for is reached soon, also after a broker was away.
            "reconnect.backoff.max.ms": 1000,
            "queued.max.messages.kbytes": 16_384,
            # All that is asked for is there already, so no request needs to wait for more.
            "fetch.wait.max.ms": 10,
            "fetch.queue.backoff.ms": 10,
            **address.settings(),
            "bootstrap.servers": ",".join(address.hosts),
            "error_cb": lambda error: errors.append(error),
            "log_level": 0,
        }
        if address.user is not None:
            settings["sasl.username"] = address.user
        password = address.revealed()
        if password is not None:
            settings["sasl.password"] = password
            settings.setdefault("security.protocol", "SASL_SSL")
            settings.setdefault("sasl.mechanism", "PLAIN")
        return settings

    def client(self, kafka: Any, kind: str, settings: dict[str, Any]) -> Any:
        """Make librdkafka's client of a kind, ``Consumer`` or ``Producer``.

        Raises
        ------
        Invalid
            It doesn't take an option.
        """
        try:
            return getattr(kafka, kind)(settings)
        except kafka.KafkaException as error:
            raise Invalid(
                "an option of the Kafka URI can't be used",
                self.address.scrub(error.args[0].str()),
                "options are those of librdkafka, for example security.protocol=SASL_SSL",
                code="E-STREAM-031",
            ) from None

    def _connect(self, kafka: Any, errors: list[Any]) -> Any:
        own = {
            "group.id": f"jupyter-mlops-{uuid4().hex}",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
        }
        return self.client(kafka, "Consumer", self.settings(errors) | own)

    def partitions(self, kafka: Any, consumer: Any, errors: list[Any]) -> list[int]:
        """The topic's partitions."""
        deadline = time.monotonic() + self.address.timeout
        while True:
            try:
                found = consumer.list_topics(timeout=min(1.0, self.address.timeout))
                break
            except kafka.KafkaException as error:
                consumer.poll(0)  # lets librdkafka tell its errors
                refused = self.refused(kafka, errors)
                if refused or time.monotonic() > deadline:
                    raise refused or self.silent(errors or [error.args[0]]) from None
        topics = {name: topic for name, topic in found.topics.items() if not topic.error}
        if self.topic not in topics:
            names = sorted(name for name in topics if not name.startswith("__"))
            raise NotFound(
                f"there is no topic {self.topic!r} on {self.address.places}",
                f"it has {', '.join(names[:8])}{' …' if len(names) > 8 else ''}"
                if names
                else "it has none that you may see",
                closest(self.topic, names) or "check the name and your rights to it",
                code="E-STREAM-032",
            )
        return sorted(topics[self.topic].partitions)

    def refused(self, kafka: Any, errors: list[Any]) -> Denied | None:
        """The sentence for credentials that were refused, if they were."""
        codes = (kafka.KafkaError._AUTHENTICATION, kafka.KafkaError.SASL_AUTHENTICATION_FAILED)
        for error in errors:
            if error.code() in codes:
                return Denied(
                    f"{self.address.places} refuses the credentials for {self.topic!r}",
                    self.address.scrub(error.str()),
                    "check the user, the secret, security.protocol and sasl.mechanism",
                    code="E-STREAM-014",
                )
        return None

    def silent(self, errors: list[Any]) -> Unavailable:
        """The sentence for brokers that don't answer."""
        told = [e for e in errors if "brokers are down" not in e.str()] or errors
        return Unavailable(
            f"{self.address.places} doesn't answer",
            self.address.scrub(told[-1].str()) if told else "no message came",
            "check that the broker runs and can be reached; timeout=SECONDS in the URI's "
            "options waits longer",
            code="E-STREAM-013",
        )

    def watermarks(self, kafka: Any, consumer: Any, partition: int) -> tuple[int, int]:
        """The first offset that a partition holds, and the one after its last."""
        place = kafka.TopicPartition(self.topic, partition)
        try:
            low, high = consumer.get_watermark_offsets(place, timeout=self.address.timeout)
        except kafka.KafkaException as error:
            raise self.silent([error.args[0]]) from None
        return low, high

    def _choose(
        self, kafka: Any, consumer: Any, bounds: dict[int, tuple[int, int]]
    ) -> tuple[dict[int, int], dict[int, int]]:
        """From and before which offset each partition is read."""
        window = self.window
        starts = {p: low for p, (low, _) in bounds.items()}
        ends = {p: high for p, (_, high) in bounds.items()}
        if window.spans:
            starts = {span.partition: int(span.first) for span in window.spans}
            ends = {span.partition: int(span.last) + 1 for span in window.spans}
            for p, start in starts.items():
                self._held(p, start, ends[p], bounds)
        elif window.after is not None:
            for p, last in window.after.items():
                self._held(p, int(last) + 1, int(last) + 1, bounds, since=True)
                starts[p] = int(last) + 1
        elif window.count is not None:
            probe = self._prober(kafka, consumer)
            starts = newest(window.count, bounds, probe)
        elif window.seconds is not None:
            since = int((time.time() - window.seconds) * 1000)
            probe = self._prober(kafka, consumer)
            for p, (low, high) in bounds.items():
                starts[p] = self._since(kafka, consumer, p, low, high, since, probe)
        return starts, ends

    def _held(
        self,
        p: int,
        start: int,
        end: int,
        bounds: dict[int, tuple[int, int]],
        since: bool = False,
    ) -> None:
        """Refuse offsets that the partition doesn't hold."""
        if start >= end and not since:
            return
        low, high = bounds.get(p, (0, 0))
        if p in bounds and low <= start and end <= high:
            return
        left = f"{low:,} to {high - 1:,} are left" if high > low else "nothing is left"
        wanted = "after" if since else "from"
        raise Conflict(
            f"partition {p} of {self.topic!r} doesn't hold all messages {wanted} offset "
            f"{start - since:,} any more",
            left if p in bounds else "there is no such partition now",
            "take what is left with the window all"
            if start < low
            else "the topic seems to have been made anew: take it with the window all",
            code="E-STREAM-015",
        )

    def _prober(self, kafka: Any, consumer: Any) -> Callable[[int, int], float]:
        """A function that gives the time of the first message from an offset on."""

        def time_at(p: int, offset: int) -> float:
            consumer.assign([kafka.TopicPartition(self.topic, p, offset)])
            deadline = time.monotonic() + self.address.timeout
            while time.monotonic() < deadline:
                message = consumer.poll(_WAIT)
                if message is None:
                    continue
                if not message.error():
                    kind, when = message.timestamp()
                    return when if kind != kafka.TIMESTAMP_NOT_AVAILABLE else 0
                if message.error().code() == kafka.KafkaError._PARTITION_EOF:
                    return float("inf")
            raise self.silent([])

        return time_at

    def _since(
        self,
        kafka: Any,
        consumer: Any,
        p: int,
        low: int,
        high: int,
        since: int,
        time_at: Callable[[int, int], float],
    ) -> int:
        """The first offset of a partition whose message isn't older than `since`."""
        if low >= high:
            return high
        try:
            (found,) = consumer.offsets_for_times(
                [kafka.TopicPartition(self.topic, p, since)], timeout=self.address.timeout
            )
        except kafka.KafkaException as error:
            raise self.silent([error.args[0]]) from None
        if found.offset >= 0:
            return min(int(found.offset), high)
        # "None" is also what a broker says that keeps no index of times: look for oneself.
        if time_at(p, high - 1) < since:
            return high
        while low < high:
            middle = (low + high) // 2
            if time_at(p, middle) < since:
                low = middle + 1
            else:
                high = middle
        return low

    def _messages(
        self, kafka: Any, consumer: Any, p: int, start: int, end: int, errors: list[Any]
    ) -> Generator[list[Message]]:
        consumer.assign([kafka.TopicPartition(self.topic, p, start)])
        pace = Pace()
        patience = 3 * self.address.timeout
        progress = time.monotonic()
        position = start
        errors.clear()
        while position < end:
            batch: list[Message] = []
            ended = False
            for message in consumer.consume(pace.take, _WAIT):
                error = message.error()
                if error is None:
                    if message.offset() >= end:
                        ended = True
                        break
                    batch.append(_message(kafka, message))
                elif error.code() == kafka.KafkaError._PARTITION_EOF:
                    ended = message.offset() >= end
                else:
                    self.fault(kafka, error, p, position)
            if batch:
                position = int(batch[-1].offset) + 1
                pace.saw([message.payload for message in batch])
                progress = time.monotonic()
                yield batch
                progress = time.monotonic()  # what the caller did with it is no waiting
            if ended:
                break
            if time.monotonic() - progress > patience:
                raise self.refused(kafka, errors) or self.silent(errors)

    def fault(self, kafka: Any, error: Any, p: int, position: int) -> None:
        """Raise if an error means that reading can't go on."""
        codes = kafka.KafkaError
        if error.code() in (codes._AUTO_OFFSET_RESET, codes.OFFSET_OUT_OF_RANGE):
            raise Conflict(
                f"messages of {self.topic!r} were removed while they were read",
                f"partition {p} doesn't hold offset {position:,} any more",
                "read again, or take a shorter window",
                code="E-STREAM-016",
            )
        if error.code() in (codes.TOPIC_AUTHORIZATION_FAILED, codes._AUTHENTICATION):
            raise Denied(
                f"{self.address.places} refuses to give {self.topic!r}",
                self.address.scrub(error.str()),
                "get the right to read it",
                code="E-STREAM-017",
            )
        if error.code() in (codes._UNKNOWN_TOPIC, codes.UNKNOWN_TOPIC_OR_PART):
            raise Conflict(
                f"the topic {self.topic!r} was removed while it was read",
                fix="check what removed it",
                code="E-STREAM-018",
            )


def _message(kafka: Any, message: Any) -> Message:
    kind, when = message.timestamp()
    micros = None if kind == kafka.TIMESTAMP_NOT_AVAILABLE else when * 1000
    key = message.key()
    if isinstance(key, str):
        key = key.encode()
    return Message(message.partition(), message.offset(), micros, key, message.value())
