"""The tables of experiments: sealed cells, experiments, their trials, and where they ran."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Float, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from jupyter_mlops.workspace.records import Base, JSONValue, UTCDateTime

__all__ = [
    "CellRecord",
    "ClusterRecord",
    "EnvironmentRecord",
    "ExperimentRecord",
    "GpuLeaseRecord",
    "GpuQuotaRecord",
    "NamedEnvironmentRecord",
    "TrialRecord",
]


class EnvironmentRecord(Base):
    """The packages a cell ran with; the same list is kept once."""

    __tablename__ = "environment"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    python: Mapped[str] = mapped_column(String(64))
    platform: Mapped[str] = mapped_column(String(255))
    packages: Mapped[list[str]] = mapped_column(JSONValue)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class NamedEnvironmentRecord(Base):
    """An environment that somebody made here under a name. A row means that it is complete."""

    __tablename__ = "named_environment"

    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    #: ``this``, ``requirements``, ``pyproject`` or ``packages``, and all that was asked for:
    #: file, python, add, bare, and the file's text as it was.
    source: Mapped[str] = mapped_column(String(16))
    plan: Mapped[dict[str, Any]] = mapped_column(JSONValue)
    digest: Mapped[str] = mapped_column(ForeignKey("environment.digest"))
    #: SHA-256 of the lock, which is the artifact ``environments/<lock>.txt``.
    lock: Mapped[str] = mapped_column(String(64))
    host: Mapped[str] = mapped_column(String(255))
    folder: Mapped[str] = mapped_column(String(255))
    #: Of all its files, and of those that no other environment or cache shares.
    size: Mapped[int] = mapped_column(BigInteger)
    own_size: Mapped[int] = mapped_column(BigInteger)
    kernel: Mapped[str] = mapped_column(String(255), default="")
    kernel_folder: Mapped[str] = mapped_column(Text, default="")
    notes: Mapped[list[str]] = mapped_column(JSONValue, default=list)
    actor: Mapped[str] = mapped_column(String(255))
    made_at: Mapped[datetime] = mapped_column(UTCDateTime)
    locked_at: Mapped[datetime] = mapped_column(UTCDateTime)


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


class ExperimentRecord(Base):
    """Many trials of one sealed cell, and the search that asks for them.

    All that a process needs to go on with it is here, in its trials, and in the shipment: the
    folder that `shipment` names, with the cell's variables as they were.
    """

    __tablename__ = "experiment"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(128), index=True)
    #: ``waiting``, ``running``, ``finished``, ``failed``, ``interrupted`` or ``stopped``.
    status: Mapped[str] = mapped_column(String(16), index=True)
    actor: Mapped[str] = mapped_column(String(255))
    process: Mapped[str] = mapped_column(String(255))
    started_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    cell: Mapped[str] = mapped_column(ForeignKey("cell.id"))
    #: What was asked for: metrics and directions, trials, sampler, pruner, limits, cluster, ….
    plan: Mapped[dict[str, Any]] = mapped_column(JSONValue)
    shipment: Mapped[str] = mapped_column(String(64))
    #: ``running`` or ``stopped``: what a person asked for, from whichever process.
    desired: Mapped[str] = mapped_column(String(16), default="running")
    #: Whether the agent goes on with it when nobody drives it, and how often it has.
    detached: Mapped[bool] = mapped_column(Boolean, default=False, index=True)
    restarts: Mapped[int] = mapped_column(Integer, default=0)
    #: Numbers of trials that a person wants stopped, and parameters they want tried next.
    stops: Mapped[list[int]] = mapped_column(JSONValue, default=list)
    queue: Mapped[list[dict[str, Any]]] = mapped_column(JSONValue, default=list)
    #: What was found at the end: the best trials, their corrected value, why it ended.
    outcome: Mapped[dict[str, Any]] = mapped_column(JSONValue, default=dict)
    error: Mapped[str] = mapped_column(Text, default="")
    notes: Mapped[list[str]] = mapped_column(JSONValue, default=list)
    mlflow_run_id: Mapped[str | None] = mapped_column(String(64))
    #: When MLflow was told how it ended.
    sent_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class ClusterRecord(Base):
    """A Dask cluster that somebody started here or that a profile names."""

    __tablename__ = "cluster"

    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    #: ``starting``, ``running``, ``stopped`` or ``failed``.
    status: Mapped[str] = mapped_column(String(16))
    #: ``running`` or ``stopped``: what a person asked for.
    desired: Mapped[str] = mapped_column(String(16), default="running")
    kind: Mapped[str] = mapped_column(String(32))
    actor: Mapped[str] = mapped_column(String(255))
    #: The process that holds it, as host, id and time of birth.
    process: Mapped[str] = mapped_column(String(255), default="")
    address: Mapped[str] = mapped_column(String(255), default="")
    dashboard: Mapped[str] = mapped_column(String(255), default="")
    environment: Mapped[str] = mapped_column(String(255), default="")
    plan: Mapped[dict[str, Any]] = mapped_column(JSONValue, default=dict)
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    used_at: Mapped[datetime] = mapped_column(UTCDateTime)
    reason: Mapped[str] = mapped_column(Text, default="")


class GpuLeaseRecord(Base):
    """GPUs, or a part of one, that somebody waits for, holds or held."""

    __tablename__ = "gpu_lease"
    __table_args__ = (Index("ix_gpu_lease_open", "host", "status"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    #: ``waiting``, ``held``, ``released``, ``reclaimed``, ``stopped`` or ``withdrawn``.
    status: Mapped[str] = mapped_column(String(16))
    holder: Mapped[str] = mapped_column(String(255))
    team: Mapped[str] = mapped_column(String(255), index=True)
    purpose: Mapped[str] = mapped_column(Text)
    priority: Mapped[int] = mapped_column(Integer, default=0)
    #: Whole GPUs, or bytes on one; the other is 0.
    gpus: Mapped[int] = mapped_column(Integer, default=0)
    memory: Mapped[int] = mapped_column(BigInteger, default=0)
    #: What it takes of the machine, counted in GPUs: 2, or 0.1.
    weight: Mapped[float] = mapped_column(Float)
    devices: Mapped[list[str]] = mapped_column(JSONValue, default=list)
    host: Mapped[str] = mapped_column(String(255))
    process: Mapped[str] = mapped_column(String(255))
    asked_at: Mapped[datetime] = mapped_column(UTCDateTime)
    #: When it came first and only another fitted: since then nobody of its priority goes before it.
    reserved_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    granted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    beat_at: Mapped[datetime] = mapped_column(UTCDateTime)
    #: Since when its holder uses more than it may, and since when it uses nothing.
    warned_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    idle_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    reason: Mapped[str] = mapped_column(Text, default="")


class GpuQuotaRecord(Base):
    """The share of the GPUs that a team may hold before others who wait."""

    __tablename__ = "gpu_quota"

    team: Mapped[str] = mapped_column(String(255), primary_key=True)
    share: Mapped[float] = mapped_column(Float)
    actor: Mapped[str] = mapped_column(String(255))
    set_at: Mapped[datetime] = mapped_column(UTCDateTime)


class GpuUseRecord(Base):
    """What a team used of the GPUs, the older the less it counts."""

    __tablename__ = "gpu_use"

    team: Mapped[str] = mapped_column(String(255), primary_key=True)
    host: Mapped[str] = mapped_column(String(255), primary_key=True)
    #: GPU seconds as they counted at that time.
    seconds: Mapped[float] = mapped_column(Float)
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class TrialRecord(Base):
    """One run of a sealed cell, and where its copy in MLflow is.

    A row with `sent_at` empty is also the outbox: `claimed_by` is the process that sends it.
    """

    __tablename__ = "trial"
    __table_args__ = (
        Index("ix_trial_outbox", "sent_at", "status"),
        Index("ix_trial_experiment", "experiment", "number", unique=True),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(128), index=True)
    status: Mapped[str] = mapped_column(String(16))
    actor: Mapped[str] = mapped_column(String(255))
    process: Mapped[str] = mapped_column(String(255))
    started_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    seconds: Mapped[float | None] = mapped_column(Float)
    cell: Mapped[str] = mapped_column(ForeignKey("cell.id"))
    # Of an experiment's trial: which, its own seed, the search's distributions (as Optuna writes
    # them), what it reported as [step, value], where it ran, and what that took.
    experiment: Mapped[str | None] = mapped_column(ForeignKey("experiment.id"))
    number: Mapped[int | None] = mapped_column(Integer)
    seed: Mapped[int | None] = mapped_column(BigInteger)
    distributions: Mapped[dict[str, Any]] = mapped_column(JSONValue, default=dict)
    curve: Mapped[list[list[float]]] = mapped_column(JSONValue, default=list)
    worker: Mapped[str] = mapped_column(String(255), default="")
    attempts: Mapped[int] = mapped_column(Integer, default=1)
    usage: Mapped[dict[str, float]] = mapped_column(JSONValue, default=dict)
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
