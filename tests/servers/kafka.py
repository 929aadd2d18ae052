"""Kafka for tests: librdkafka's mock cluster, which needs no JVM, or a cluster that runs already.

The mock cluster has real sockets and Kafka's own protocol, and keeps neither what a transaction
commits of a group's offsets nor what it aborts. ``KAFKA_BROKER=HOST:PORT`` has the tests use a
cluster that does.
"""

from __future__ import annotations

import ctypes
import json
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient, NewTopic

__all__ = ["Broker", "Kafka"]


class Broker:
    """A cluster that runs already, and that nobody here may stop.

    Parameters
    ----------
    hosts : str
        ``HOST:PORT``, several separated by commas.
    """

    def __init__(self, hosts: str) -> None:
        self.hosts = hosts

    def stop(self) -> None:
        """Leave it."""

    def down(self) -> None:
        """Skip what needs a cluster that goes away."""
        pytest.skip("a cluster of somebody else is not taken down")

    up = down

    def topic(self, name: str, partitions: int = 1) -> None:
        """Make a topic anew."""
        admin = AdminClient({"bootstrap.servers": self.hosts, "log_level": 0})
        if name in admin.list_topics(timeout=20).topics:
            for done in admin.delete_topics([name], operation_timeout=20).values():
                done.result(20)
        for done in admin.create_topics([NewTopic(name, partitions, 1)]).values():
            done.result(20)

    def add(self, topic: str, messages: list[dict[str, Any]]) -> None:
        """Write messages; a `value` that isn't bytes is written as JSON."""
        producer = confluent_kafka.Producer({"bootstrap.servers": self.hosts, "log_level": 0})
        for message in messages:
            value = message.get("value")
            if value is not None and not isinstance(value, bytes):
                value = json.dumps(value)
            producer.produce(topic, **{"partition": 0, **message, "value": value})
            producer.poll(0)
        assert producer.flush(20) == 0

    def uri(self, topic: str, options: str = "") -> str:
        """A source's URI."""
        return f"kafka://{self.hosts}/{topic}?timeout=5{options}"


class Kafka(Broker):
    """A cluster in this process whose brokers can be taken down and brought up again.

    A partition keeps 5 MB; older messages are removed, as retention does it.

    Parameters
    ----------
    brokers : int
        How many brokers it has.
    """

    def __init__(self, brokers: int = 1) -> None:
        self.brokers = brokers
        folder = Path(confluent_kafka.__file__).parent.with_name("confluent_kafka.libs")
        (found,) = folder.glob("librdkafka*")
        self._library = ctypes.CDLL(str(found))
        pointer = ctypes.c_void_p
        for name in (
            "rd_kafka_conf_new",
            "rd_kafka_new",
            "rd_kafka_mock_cluster_new",
            "rd_kafka_mock_cluster_bootstraps",
        ):
            getattr(self._library, name).restype = pointer
        call = self._library
        settings = pointer(call.rd_kafka_conf_new())
        said = ctypes.create_string_buffer(512)
        call.rd_kafka_conf_set(settings, b"log_level", b"0", said, 512)
        self._handle = pointer(call.rd_kafka_new(0, settings, said, 512))
        assert self._handle, said.value
        self._cluster = pointer(call.rd_kafka_mock_cluster_new(self._handle, brokers))
        self.hosts = ctypes.string_at(
            pointer(call.rd_kafka_mock_cluster_bootstraps(self._cluster))
        ).decode()

    def stop(self) -> None:
        """End the cluster."""
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._handle)

    def down(self) -> None:
        """Take every broker down: connections end, new ones are refused."""
        for broker in range(1, self.brokers + 1):
            self._library.rd_kafka_mock_broker_set_down(self._cluster, broker)

    def up(self) -> None:
        """Bring the brokers back with all they held."""
        for broker in range(1, self.brokers + 1):
            self._library.rd_kafka_mock_broker_set_up(self._cluster, broker)

    def topic(self, name: str, partitions: int = 1) -> None:
        """Make a topic."""
        self._library.rd_kafka_mock_topic_create(
            self._cluster, name.encode(), partitions, min(partitions, self.brokers)
        )
