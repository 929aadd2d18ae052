"""The tables of re-training: what was asked for, and what was decided."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Float, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from jupyter_mlops.workspace.records import Base, JSONValue, UTCDateTime, utcnow

__all__ = ["DecisionRecord", "PolicyRecord"]


class PolicyRecord(Base):
    """A policy; `terms` is what a person wrote, `generation` counts how often it was changed."""

    __tablename__ = "policy"

    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    model: Mapped[str] = mapped_column(String(255))
    terms: Mapped[dict[str, Any]] = mapped_column(JSONValue)
    generation: Mapped[int] = mapped_column(Integer, default=1)
    paused: Mapped[bool] = mapped_column(Boolean, default=False)
    due_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    actor: Mapped[str] = mapped_column(String(255))
    set_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)


class DecisionRecord(Base):
    """A decision; `found` holds everything it rests on.

    `process` is who works on it, as ``host:pid:birth``; `attempts` counts how often one began.
    """

    __tablename__ = "decision"
    __table_args__ = (Index("ix_decision_policy", "policy", "at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    policy: Mapped[str] = mapped_column(String(128))
    model: Mapped[str] = mapped_column(String(255))
    generation: Mapped[int] = mapped_column(Integer)
    terms: Mapped[dict[str, Any]] = mapped_column(JSONValue)
    dry: Mapped[bool] = mapped_column(Boolean, default=False)
    state: Mapped[str] = mapped_column(String(16), index=True)
    reason: Mapped[str] = mapped_column(Text, default="")
    champion: Mapped[str | None] = mapped_column(String(255))
    challenger: Mapped[str | None] = mapped_column(String(255))
    found: Mapped[dict[str, Any]] = mapped_column(JSONValue, default=dict)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    process: Mapped[str | None] = mapped_column(String(255))
    cpu_seconds: Mapped[float] = mapped_column(Float, default=0.0)
    rows: Mapped[int] = mapped_column(BigInteger, default=0)
    actor: Mapped[str] = mapped_column(String(255))
    at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow, index=True)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
