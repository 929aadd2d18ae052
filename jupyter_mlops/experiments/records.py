"""The tables of experiments: sealed cells, trials and the environments they ran in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Float, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from jupyter_mlops.workspace.records import Base, JSONValue, UTCDateTime

__all__ = ["CellRecord", "EnvironmentRecord", "TrialRecord"]


class EnvironmentRecord(Base):
    """The packages a cell ran with; the same list is kept once."""

    __tablename__ = "environment"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    python: Mapped[str] = mapped_column(String(64))
    platform: Mapped[str] = mapped_column(String(255))
    packages: Mapped[list[str]] = mapped_column(JSONValue)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class CellRecord(Base):
    """A sealed cell: its source and a digest of everything that its outcome depends on.

    The id is the digest of the seal, so the same cell on the same values is one row.
    """

    __tablename__ = "cell"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    source: Mapped[str] = mapped_column(Text)
    variables: Mapped[dict[str, Any]] = mapped_column(JSONValue)
    modules: Mapped[dict[str, str]] = mapped_column(JSONValue)
    data_ref: Mapped[str | None] = mapped_column(String(255))
    data_digest: Mapped[str | None] = mapped_column(String(128))
    environment: Mapped[str] = mapped_column(ForeignKey("environment.digest"))
    seed: Mapped[int] = mapped_column(BigInteger)
    git: Mapped[dict[str, Any]] = mapped_column(JSONValue)
    validity: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class TrialRecord(Base):
    """One run of a sealed cell, and where its copy in MLflow is.

    A row with `sent_at` empty is also the outbox: `claimed_by` is the process that sends it.
    """

    __tablename__ = "trial"
    __table_args__ = (Index("ix_trial_outbox", "sent_at", "status"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(128), index=True)
    status: Mapped[str] = mapped_column(String(16))
    actor: Mapped[str] = mapped_column(String(255))
    process: Mapped[str] = mapped_column(String(255))
    started_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    seconds: Mapped[float | None] = mapped_column(Float)
    cell: Mapped[str] = mapped_column(ForeignKey("cell.id"))
    error: Mapped[str] = mapped_column(Text, default="")
    notes: Mapped[list[str]] = mapped_column(JSONValue, default=list)
    params: Mapped[dict[str, Any]] = mapped_column(JSONValue, default=dict)
    metrics: Mapped[dict[str, float]] = mapped_column(JSONValue, default=dict)
    # What is known of the model: variable, class, task, target, classes, signature, dtypes,
    # the key and SHA-256 of its file, and the types in it that a loader must be told to trust.
    model: Mapped[dict[str, Any]] = mapped_column(JSONValue, default=dict)
    # Where truth and prediction of each validation row are: ref, digest, key, rows, columns.
    validation: Mapped[dict[str, Any]] = mapped_column(JSONValue, default=dict)
    mlflow_run_id: Mapped[str | None] = mapped_column(String(64), index=True)
    mlflow_model_id: Mapped[str | None] = mapped_column(String(64))
    sent_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    send_attempts: Mapped[int] = mapped_column(Integer, default=0)
    send_error: Mapped[str] = mapped_column(Text, default="")
    claimed_by: Mapped[str | None] = mapped_column(String(255))
    claimed_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
