"""Streams: records of brokers and files through an endpoint, answers into brokers and files.

| sink | guarantee | how |
|---|---|---|
| NDJSON, CSV, Parquet folder | exactly once | the source's positions are kept with the output |
| Redis stream | exactly once | answers and positions in one MULTI |
| NATS JetStream | exactly once | positions in each message, ids that the server de-duplicates |
| Kafka, from the same cluster | exactly once | answers and offsets in one transaction |
| Kafka, from elsewhere | at least once | idempotent producer; `position` tells what came twice |

An interrupted request may be predicted twice by the endpoint, whose traffic log keeps both; the
sink gets one of the answers.
"""

from __future__ import annotations

from jupyter_mlops.serving.streaming.pump import Limits, Tally
from jupyter_mlops.serving.streaming.running import run
from jupyter_mlops.serving.streaming.streams import (
    Stream,
    Streams,
    declare,
    get,
    list_streams,
    resume,
    stop,
)

__all__ = [
    "Limits",
    "Stream",
    "Streams",
    "Tally",
    "declare",
    "get",
    "list_streams",
    "resume",
    "run",
    "stop",
]
