"""Brokers and files as the tests of streams use them: written to, read from, all alike."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import confluent_kafka
import numpy as np
import polars as pl
import served

from jupyter_mlops.workspace import Workspace

COLUMNS = ("hour", "distance", "carrier")


def records(count: int, first: int = 0, seed: int = 3) -> list[dict[str, Any]]:
    """Flights with their number, in the types of JSON."""
    table = served.flights(count, seed)
    found = json.loads(table.to_json(orient="records"))
    return [{"n": first + at, **one} for at, one in enumerate(found)]


def expected(rows: list[dict[str, Any]], folder: Path) -> dict[int, bool]:
    """What the model itself says of each record, by its number."""
    import mlflow
    import pandas as pd

    model = mlflow.sklearn.load_model(folder)
    table = pd.DataFrame(rows)[list(COLUMNS)]
    return dict(zip([one["n"] for one in rows], map(bool, model.predict(table)), strict=True))


class Place:
    """A stream, topic or file of one system."""

    def __init__(self, system: str, server: Any, name: str, folder: Path) -> None:
        self.system, self.server, self.name, self.folder = system, server, name, folder
        if system == "kafka":
            server.topic(name, 2)
        elif system == "nats":
            server.run(self._make)

    async def _make(self, jetstream: Any) -> None:
        await jetstream.add_stream(name=self.name, subjects=[f"{self.name.lower()}.>"])

    @property
    def path(self) -> Path:
        return self.folder / f"{self.name}.ndjson"

    @property
    def uri(self) -> str:
        if self.system == "kafka":
            return f"kafka://{self.server.hosts}/{self.name}?timeout=5"
        if self.system == "redis":
            return f"redis://127.0.0.1:{self.server.port}/0/{self.name}?timeout=5"
        if self.system == "nats":
            subject = f"{self.name.lower()}.web"
            return f"nats://127.0.0.1:{self.server.port}/{self.name}/{subject}?timeout=5"
        return str(self.path)

    def put(self, rows: list[Any]) -> None:
        """Write records; bytes as they are."""
        if self.system == "kafka":
            messages = [
                {"value": row, "partition": at % 2, "key": str(at)} for at, row in enumerate(rows)
            ]
            self.server.add(self.name, messages)
        elif self.system == "redis":
            entries = [row if isinstance(row, dict) else {"junk": row} for row in rows]
            self.server.add(self.name, entries)
        elif self.system == "nats":
            self.server.add(self.name, [(f"{self.name.lower()}.web", row) for row in rows])
        else:
            with self.path.open("ab") as file:
                for row in rows:
                    text = row if isinstance(row, bytes) else json.dumps(row).encode()
                    file.write(text + b"\n")

    def answers(self) -> list[dict[str, Any]]:
        """What was written, in order."""
        if self.system == "kafka":
            return self._kafka()
        if self.system == "redis":
            with self.server.connect() as connection:
                found = connection.xrange(self.name)
            decoded = [{k.decode(): v.decode() for k, v in one.items()} for _, one in found]
            return [{**one, "prediction": json.loads(one["prediction"])} for one in decoded]
        if self.system == "nats":
            found: list[dict[str, Any]] = self.server.run(self._nats)
            return found
        if not self.path.exists():
            return []
        whole = self.path.read_bytes().rpartition(b"\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def _kafka(self) -> list[dict[str, Any]]:
        consumer = confluent_kafka.Consumer(
            {
                "bootstrap.servers": self.server.hosts,
                "group.id": f"look-{time.monotonic_ns()}",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "log_level": 0,
            }
        )
        consumer.assign([confluent_kafka.TopicPartition(self.name, p, 0) for p in (0, 1)])
        found: list[Any] = []
        ends = 0
        while ends < 2:  # offsets aren't counts: marks of transactions have some too
            for one in consumer.consume(1000, 0.2):
                error = one.error()
                if error is None:
                    found.append(one)
                else:
                    ends += error.code() == confluent_kafka.KafkaError._PARTITION_EOF
        consumer.close()
        return [json.loads(one.value()) for one in found]

    async def _nats(self, jetstream: Any) -> list[dict[str, Any]]:
        state = (await jetstream.stream_info(self.name)).state
        numbers = range(state.first_seq, state.last_seq + 1)
        found = [await jetstream.get_msg(self.name, seq=n) for n in numbers]
        return [json.loads(one.data) for one in found]

    def count(self) -> int:
        """How many were written; of Kafka with the marks of transactions, which is quick."""
        if self.system == "kafka":
            looker = confluent_kafka.Consumer(
                {"bootstrap.servers": self.server.hosts, "group.id": "count", "log_level": 0}
            )
            kinds = [confluent_kafka.TopicPartition(self.name, p) for p in (0, 1)]
            count = sum(looker.get_watermark_offsets(one, timeout=20)[1] for one in kinds)
            looker.close()
            return int(count)
        if self.system == "redis":
            with self.server.connect() as connection:
                return int(connection.xlen(self.name))
        if self.system == "nats":

            async def messages(jetstream: Any) -> int:
                return int((await jetstream.stream_info(self.name)).state.messages)

            return int(self.server.run(messages))
        return len(self.answers())

    def number(self, answer: dict[str, Any], rows: list[dict[str, Any]]) -> int:
        """Which record an answer belongs to, told by its position alone."""
        position = str(answer["position"])
        if self.system == "kafka":
            _, partition, offset = position.split("/")
            return int(rows[2 * int(offset) + int(partition)]["n"])
        if self.system == "redis":
            with self.server.connect() as connection:
                ((_, fields),) = connection.xrange(self.name, *[position.split("/")[1]] * 2)
            return int(fields[b"n"])
        at = int(position.split("/")[1] if self.system == "nats" else position.split(":")[1])
        return int(rows[at - 1]["n"])


def numbers(
    source: Place, sink: Place, rows: list[dict[str, Any]]
) -> tuple[list[int], dict[int, bool]]:
    """The records' numbers that were answered, and what was predicted of each."""
    found = sink.answers()
    if source.system == "redis":
        # One look for all: a look for each takes long.
        with source.server.connect() as connection:
            entries = connection.xrange(source.name)
        by_id = {f"{source.name}/{entry.decode()}": int(one[b"n"]) for entry, one in entries}
        every = [by_id[one["position"]] for one in found]
    else:
        every = [source.number(one, rows) for one in found]
    return every, dict(zip(every, (bool(one["prediction"]) for one in found), strict=True))


def dead_letters(ws: Workspace, name: str) -> list[dict[str, Any]]:
    """The dead letters in the workspace."""
    path = ws.home / "streams" / name / "dead.ndjson"
    return [json.loads(one) for one in path.read_bytes().splitlines()] if path.exists() else []


def until(what: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def as_table(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Records as a table of their columns."""
    return pl.DataFrame({name: np.array([one[name] for one in rows]) for name in ("n", *COLUMNS)})
