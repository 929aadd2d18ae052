"""Kafka topics as source and sink; between topics of one cluster in its transactions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

import orjson

from jupyter_mlops.data.sources.opening import Request
from jupyter_mlops.data.sources.streams.addresses import client
from jupyter_mlops.data.sources.streams.kafka import KafkaTopic, open_kafka
from jupyter_mlops.serving.streaming.messages import Document, Marks, Record, beyond, later, order
from jupyter_mlops.workspace import Conflict, Unavailable

__all__ = ["KafkaSink", "KafkaSource"]

_WAIT: Final = 30.0
#: Seconds that a call may take beyond its timeout.
_MARGIN: Final = 3.0
#: Seconds between two looks for partitions that were added.
_LOOK: Final = 30.0


class KafkaSource:
    """A topic, all of whose partitions are read; the group ``jupyter-mlops-NAME`` keeps the place.

    Partitions are assigned, not subscribed to: a stream is one process, and one that was killed
    would hold its partitions until its session ends.

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
        found = open_kafka(Request(uri))
        assert isinstance(found, KafkaTopic)
        self.place = found
        self.group = f"jupyter-mlops-{name}"
        self.start = start
        self.identity = found.stream
        self.errors: list[Any] = []
        self.consumer: Any = None
        self._kafka: Any = None
        self._next: dict[int, int] = {}
        self._looked = 0.0

    def open(self, marks: Marks | None) -> None:
        """Connect, and go to after `marks`, or to after what was committed last."""
        self._kafka = client("confluent_kafka", "confluent-kafka", "kafka")
        own = {
            "group.id": self.group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": False,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
        }
        self.consumer = self.place.client(
            self._kafka, "Consumer", self.place.settings(self.errors) | own
        )
        self._assign(marks or {})

    def _assign(self, marks: Marks) -> None:
        """Take the partitions that aren't read yet."""
        found = self.place.partitions(self._kafka, self.consumer, self.errors)
        fresh = [p for p in found if p not in self._next]
        self._looked = time.monotonic()
        if not fresh:
            return
        places = later(self.committed(fresh), marks)
        for p in fresh:
            done = places.get(str(p))
            if done is not None:
                self._next[p] = int(done) + 1
                continue
            low, high = self.place.watermarks(self._kafka, self.consumer, p)
            self._next[p] = high if self.start == "new" else low
        if self.start == "new":
            # Else a stream that is killed before its first answer would begin later again.
            self.commit({str(p): str(self._next[p] - 1) for p in fresh})
        self._go()

    def _go(self) -> None:
        kind = self._kafka.TopicPartition
        self.consumer.assign([kind(self.place.topic, p, at) for p, at in self._next.items()])

    def committed(self, partitions: list[int] | None = None) -> Marks:
        """The last offset of each partition that was committed."""
        kind = self._kafka.TopicPartition
        wanted = [kind(self.place.topic, p) for p in partitions or sorted(self._next)]
        try:
            found = self.consumer.committed(wanted, timeout=self.place.address.timeout)
        except self._kafka.KafkaException as error:
            raise self.place.silent([error.args[0]]) from None
        return {str(one.partition): str(one.offset - 1) for one in found if one.offset >= 0}

    def read(self, count: int, wait: float) -> list[Record]:
        """What is there, `count` at most; waits so many seconds for the first."""
        if self.errors:
            self._check()
        first = self.consumer.poll(wait)
        if first is None:
            if time.monotonic() - self._looked > _LOOK:
                self._assign({})
            return []
        rest = self.consumer.consume(count - 1, 0) if count > 1 else []
        records = []
        for message in (first, *rest):
            error = message.error()
            if error is not None:
                self.place.fault(self._kafka, error, message.partition(), self._at(message))
                continue
            records.append(self._record(message))
            self._next[message.partition()] = message.offset() + 1
        return records

    def _at(self, message: Any) -> int:
        return self._next.get(message.partition(), 0)

    def _check(self) -> None:
        """Tell silence of a quiet topic from that of brokers that are away."""
        told, self.errors[:] = list(self.errors), []
        refused = self.place.refused(self._kafka, told)
        if refused:
            raise refused
        try:
            self.consumer.list_topics(self.place.topic, timeout=1.0)
        except self._kafka.KafkaException as error:
            self.errors.append(error.args[0])
            raise self.place.silent([*told, error.args[0]]) from None

    def _record(self, message: Any) -> Record:
        key = message.key()
        if isinstance(key, bytes):
            key = key.decode(errors="replace")
        p, offset = message.partition(), message.offset()
        place = f"{self.place.topic}/{p}/{offset}"
        return Record(str(p), str(offset), place, key, message.value() or b"")

    def offsets(self, marks: Marks) -> list[Any]:
        """Positions as Kafka commits them: the next to be read."""
        kind = self._kafka.TopicPartition
        return [kind(self.place.topic, int(p), int(mark) + 1) for p, mark in marks.items()]

    def commit(self, marks: Marks) -> None:
        """Commit the group's offsets."""
        if not marks:
            return
        try:
            self.consumer.commit(offsets=self.offsets(marks), asynchronous=False)
        except self._kafka.KafkaException as error:
            raise self.place.silent([error.args[0]]) from None

    def lag(self) -> int | None:
        """How many records come after those that were read, as of the last fetch."""
        total = 0
        for p, at in self._next.items():
            kind = self._kafka.TopicPartition(self.place.topic, p)
            try:
                _, high = self.consumer.get_watermark_offsets(kind, timeout=1.0, cached=True)
            except self._kafka.KafkaException:
                return None
            total += max(0, high - at)
        return total

    def close(self) -> None:
        """End the connection."""
        if self.consumer is not None:
            self.consumer.close()


class KafkaSink:
    """A topic.

    Exactly once when the source is a topic of the same cluster: answers and the source's offsets
    are one transaction, so readers must read committed messages alone, as librdkafka and its
    clients do. From other sources at least once: the producer is idempotent, and what a killed
    stream wrote without having remembered it comes twice, with the same `position`.

    Parameters
    ----------
    uri : str
    name : str
        The stream's; its transactions are called after it, so a second process fences the first.
    source : KafkaSource, optional
        When it is of the same cluster.
    """

    gather = 0.0

    def __init__(self, uri: str, name: str, source: KafkaSource | None = None) -> None:
        found = open_kafka(Request(uri))
        assert isinstance(found, KafkaTopic)
        self.place = found
        self.name = name
        hosts = set(source.place.address.hosts) if source else set()
        self.source = source if hosts & set(found.address.hosts) else None
        self.commits = self.source is not None
        self.guarantee = "exactly once" if self.commits else "at least once"
        self.errors: list[Any] = []
        self._kafka: Any = None
        self._producer: Any = None
        self._unsure = False

    def open(self, source: str) -> Marks | None:
        """Connect, and end what a killed process left unfinished."""
        self._kafka = client("confluent_kafka", "confluent-kafka", "kafka")
        own: dict[str, Any] = {"enable.idempotence": True, "acks": "all", "linger.ms": 2}
        if self.commits:
            own["transactional.id"] = f"jupyter-mlops-{self.name}"
        else:
            own["message.timeout.ms"] = int(max(_WAIT, self.place.address.timeout) * 1000)
        settings = self.place.settings(self.errors) | own
        self._producer = self.place.client(self._kafka, "Producer", settings)
        self.place.partitions(self._kafka, self._producer, self.errors)
        if self.commits:
            try:
                producer = self._producer
                self._again(lambda: producer.init_transactions(self.place.address.timeout))
            except self._kafka.KafkaException as error:
                raise self._undone(error.args[0]) from None
        return None

    def write(self, documents: list[Document], marks: Marks) -> None:
        """Write in a transaction with the source's offsets, or until all are acknowledged."""
        if self._unsure:
            self.open("")
        if self.source is None:
            self._unsure = True
            self._send(documents)
            if self._producer.flush(_WAIT) or self._failed:
                raise self.place.silent(self._failed or self.errors)
            self._unsure = False
            return
        if self._unsure:
            done = self.source.committed()
            documents = [one for one in documents if beyond(done, one)]
            marks = {p: m for p, m in marks.items() if order(m) > order(done.get(p, ""))}
            self._unsure = False
        try:
            self._transaction(documents, marks)
        except self._kafka.KafkaException as error:
            raise self._undone(error.args[0]) from None

    def _transaction(self, documents: list[Document], marks: Marks) -> None:
        assert self.source is not None
        self._unsure = True  # until the broker says otherwise
        producer = self._producer
        producer.begin_transaction()
        self._send(documents)
        group = self.source.consumer.consumer_group_metadata()
        offsets = self.source.offsets(marks)
        if offsets:
            self._again(
                lambda: producer.send_offsets_to_transaction(
                    offsets, group, self.place.address.timeout
                )
            )
        self._again(lambda: producer.commit_transaction(self.place.address.timeout))
        self._unsure = False

    def _undone(self, problem: Any) -> Exception:
        fenced = (self._kafka.KafkaError._FENCED, self._kafka.KafkaError.INVALID_PRODUCER_EPOCH)
        if problem.code() in fenced:
            return Conflict(
                f"another process goes on with the stream '{self.name}'",
                self.place.address.scrub(problem.str()),
                "end one of them",
                code="E-STREAM-101",
            )
        return self.place.silent([problem])

    def _again(self, call: Callable[[], Any]) -> None:
        """Call again what may be called again."""
        deadline = time.monotonic() + _WAIT
        while True:
            try:
                self._bounded(call)
                return
            except self._kafka.KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def _bounded(self, call: Callable[[], Any]) -> None:
        """Call in a thread that is left behind when librdkafka forgets its own timeout.

        It does when a broker goes away in the middle of a call. The producer that is made then
        fences the one that hangs.
        """
        outcome: Future[Any] = Future()

        def work() -> None:
            try:
                outcome.set_result(call())
            except BaseException as error:
                outcome.set_exception(error)

        threading.Thread(target=work, daemon=True, name="kafka-transaction").start()
        try:
            outcome.result(self.place.address.timeout + _MARGIN)
        except TimeoutError:
            raise self.place.silent(self.errors) from None

    def _send(self, documents: list[Document]) -> None:
        self._failed: list[Any] = []
        for one in documents:
            value = orjson.dumps(one.body, option=orjson.OPT_SERIALIZE_NUMPY)
            key = one.key.encode() if one.key is not None else None
            deadline = time.monotonic() + _WAIT
            while True:
                try:
                    self._producer.produce(
                        self.place.topic, value, key, on_delivery=self._delivered
                    )
                    break
                except BufferError:
                    if time.monotonic() > deadline:
                        raise Unavailable(
                            f"{self.place.address.places} takes no more messages",
                            fix="check the brokers",
                            code="E-STREAM-102",
                        ) from None
                    self._producer.poll(0.1)
            self._producer.poll(0)

    def _delivered(self, error: Any, _: Any) -> None:
        if error is not None:
            self._failed.append(error)

    def close(self) -> None:
        """Wait for nothing: all that counts was acknowledged."""
        self._producer = None
