"""The tables of serving: endpoints, streams and batch predictions, and batches of truth."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Float, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from jupyter_mlops.workspace.records import Base, JSONValue, UTCDateTime, utcnow

__all__ = ["BatchRecord", "EndpointRecord", "FeedbackRecord", "StreamRecord"]


class EndpointRecord(Base):
    """An endpoint: the upper columns say what was declared, the lower what the agent found.

    `generation` counts declarations. `serving` is the generation that answers now, `failed`
    the last one that could not be started.
    """

    __tablename__ = "endpoint"

    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    generation: Mapped[int] = mapped_column(Integer)
    desired: Mapped[str] = mapped_column(String(16))
    model: Mapped[str] = mapped_column(String(128))
    version: Mapped[str] = mapped_column(String(32))
    run_id: Mapped[str | None] = mapped_column(String(32))
    digest: Mapped[str] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(String(4096))
    key: Mapped[str | None] = mapped_column(String(255))
    time: Mapped[str | None] = mapped_column(String(255))
    port: Mapped[int] = mapped_column(Integer)
    #: Port for gRPC: 0 for a free one, null for none.
    grpc_port: Mapped[int | None] = mapped_column(Integer)
    #: Further versions, as `serving.config.Deployment` says them: a canary, a shadow.
    beside: Mapped[list[dict[str, Any]]] = mapped_column(JSONValue, default=list)
    replicas: Mapped[int] = mapped_column(Integer, default=1)
    max_memory: Mapped[int] = mapped_column(BigInteger, default=0)
    #: The managed environment that the version's processes are of; empty for the agent's own.
    environment: Mapped[str] = mapped_column(String(128), default="")
    interpreter: Mapped[str] = mapped_column(String(4096), default="")
    #: What it asks for of the GPUs: whole ones, or bytes on one.
    gpus: Mapped[int] = mapped_column(Integer, default=0)
    gpu_memory: Mapped[int] = mapped_column(BigInteger, default=0)
    #: What is logged where that isn't everything, as `serving.logpolicy.LogPolicy` says it.
    log: Mapped[dict[str, Any]] = mapped_column(JSONValue, default=dict)
    token_sha256: Mapped[str] = mapped_column(String(64))
    actor: Mapped[str] = mapped_column(String(255))
    declared_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)

    state: Mapped[str] = mapped_column(String(16), default="declared")
    reason: Mapped[dict[str, Any] | None] = mapped_column(JSONValue)
    serving: Mapped[int | None] = mapped_column(Integer)
    failed: Mapped[int | None] = mapped_column(Integer)
    host: Mapped[str | None] = mapped_column(String(255))
    pid: Mapped[int | None] = mapped_column(Integer)
    pid_created: Mapped[float | None] = mapped_column(Float)
    url: Mapped[str | None] = mapped_column(String(255))
    grpc_url: Mapped[str | None] = mapped_column(String(255))
    restarts: Mapped[int] = mapped_column(Integer, default=0)
    ready_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class FeedbackRecord(Base):
    """A batch of truth; `digest` is that of its content, so the same batch counts once."""

    __tablename__ = "feedback"

    endpoint: Mapped[str] = mapped_column(String(128), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    file: Mapped[str] = mapped_column(String(255))
    rows: Mapped[int] = mapped_column(Integer)
    actor: Mapped[str] = mapped_column(String(255))
    received_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)


class StreamRecord(Base):
    """A stream: the upper columns say what was declared, the lower what its process tells.

    `positions` says for each partition up to where every answer is in the sink. It is for people
    to see: where a stream goes on is kept beside the answers and by the source.
    """

    __tablename__ = "stream"

    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    endpoint: Mapped[str] = mapped_column(String(128))
    source: Mapped[str] = mapped_column(String(4096))
    sink: Mapped[str] = mapped_column(String(4096))
    dead: Mapped[str] = mapped_column(String(4096))
    options: Mapped[dict[str, Any]] = mapped_column(JSONValue)
    desired: Mapped[str] = mapped_column(String(16))
    detached: Mapped[bool] = mapped_column(Boolean, default=False)
    actor: Mapped[str] = mapped_column(String(255))
    declared_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)

    state: Mapped[str] = mapped_column(String(16), default="waiting")
    guarantee: Mapped[str] = mapped_column(String(32), default="")
    answered: Mapped[int] = mapped_column(BigInteger, default=0)
    refused: Mapped[int] = mapped_column(BigInteger, default=0)
    rate: Mapped[float | None] = mapped_column(Float)
    lag: Mapped[int | None] = mapped_column(BigInteger)
    positions: Mapped[dict[str, Any]] = mapped_column(JSONValue, default=dict)
    error: Mapped[str | None] = mapped_column(Text)
    process: Mapped[str | None] = mapped_column(String(255))
    restarts: Mapped[int] = mapped_column(Integer, default=0)
    started_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    told_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class BatchRecord(Base):
    """A batch prediction that goes on without its kernel: as declared, and as its process tells.

    The id is the digest of what was declared, so the same line means the same row. What was
    answered is known from the output's own receipts; the counts here are for people to see.
    """

    __tablename__ = "batch_prediction"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    #: ``name@version``, and the digest of its files.
    model: Mapped[str] = mapped_column(String(255))
    digest: Mapped[str] = mapped_column(String(64))
    data: Mapped[str] = mapped_column(String(4096))
    sink: Mapped[str] = mapped_column(String(4096))
    #: ``cluster``, ``env``, ``keep``, ``probabilities``, ``part_rows``, ``mode``, ``name``.
    options: Mapped[dict[str, Any]] = mapped_column(JSONValue)
    desired: Mapped[str] = mapped_column(String(16))
    detached: Mapped[bool] = mapped_column(Boolean, default=True)
    actor: Mapped[str] = mapped_column(String(255))
    declared_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)

    #: ``waiting``, ``running``, ``finished``, ``stopped`` or ``failed``.
    state: Mapped[str] = mapped_column(String(16), default="waiting")
    #: Rows that were answered or put aside, all rows, and those that were put aside.
    done: Mapped[int] = mapped_column(BigInteger, default=0)
    total: Mapped[int] = mapped_column(BigInteger, default=0)
    rejected: Mapped[int] = mapped_column(BigInteger, default=0)
    seconds: Mapped[float] = mapped_column(Float, default=0.0)
    #: The prediction's reference in the log, and that of the dataset it became.
    job: Mapped[str | None] = mapped_column(String(64))
    dataset: Mapped[str | None] = mapped_column(String(255))
    error: Mapped[str | None] = mapped_column(Text)
    process: Mapped[str | None] = mapped_column(String(255))
    restarts: Mapped[int] = mapped_column(Integer, default=0)
    started_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
