"""The tables of models: what MLflow's registry has no place for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from jupyter_mlops.workspace.records import Base, JSONValue, UTCDateTime

__all__ = [
    "AliasRecord",
    "ApprovalRecord",
    "CardRecord",
    "GateRecord",
    "ModelVersionRecord",
    "WaiverRecord",
]


class ModelVersionRecord(Base):
    """A registered version and the digest of its files; names, versions, aliases are MLflow's."""

    __tablename__ = "model_version"

    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    run_id: Mapped[str] = mapped_column(String(32), index=True)
    digest: Mapped[str] = mapped_column(String(64))
    source: Mapped[str] = mapped_column(String(1024))
    actor: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    task: Mapped[str] = mapped_column(String(16))
    target: Mapped[str | None] = mapped_column(String(255))
    data_ref: Mapped[str | None] = mapped_column(String(255))
    contract_ref: Mapped[str | None] = mapped_column(String(255))
    features: Mapped[list[str]] = mapped_column(JSONValue)
    signature: Mapped[dict[str, Any]] = mapped_column(JSONValue)
    metrics: Mapped[dict[str, float]] = mapped_column(JSONValue)


class AliasRecord(Base):
    """Where an alias should point; MLflow has it in its own store, and is told afterwards."""

    __tablename__ = "model_alias"

    model: Mapped[str] = mapped_column(String(128), primary_key=True)
    alias: Mapped[str] = mapped_column(String(128), primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    actor: Mapped[str] = mapped_column(String(255))
    moved_at: Mapped[datetime] = mapped_column(UTCDateTime)
    #: When MLflow was told; empty after a crash in between, which the next look mends.
    settled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class GateRecord(Base):
    """One gate of a model, as it was written."""

    __tablename__ = "gate"

    model: Mapped[str] = mapped_column(String(128), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    position: Mapped[int] = mapped_column(Integer)
    expression: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(String(255))
    set_at: Mapped[datetime] = mapped_column(UTCDateTime)


class ApprovalRecord(Base):
    """A person's word for a version, and the digest of the files that it holds for."""

    __tablename__ = "approval"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    model: Mapped[str] = mapped_column(String(128), index=True)
    version: Mapped[int] = mapped_column(Integer)
    digest: Mapped[str] = mapped_column(String(64))
    actor: Mapped[str] = mapped_column(String(255))
    note: Mapped[str] = mapped_column(Text, default="")
    approved_at: Mapped[datetime] = mapped_column(UTCDateTime)


class CardRecord(Base):
    """What a person says a version is for."""

    __tablename__ = "model_card"

    model: Mapped[str] = mapped_column(String(128), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    text: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(String(255))
    written_at: Mapped[datetime] = mapped_column(UTCDateTime)


class WaiverRecord(Base):
    """That a model may be kept in a format that runs code when it is loaded, and why."""

    __tablename__ = "model_waiver"

    model: Mapped[str] = mapped_column(String(128), primary_key=True)
    kind: Mapped[str] = mapped_column(String(32), primary_key=True)
    reason: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(String(255))
    waived_at: Mapped[datetime] = mapped_column(UTCDateTime)
