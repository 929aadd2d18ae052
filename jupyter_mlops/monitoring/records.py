"""The tables of monitoring: checks and their schedule, reports, alerts and who is told."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from jupyter_mlops.workspace.records import Base, JSONValue, UTCDateTime, utcnow

__all__ = [
    "AlertRecord",
    "ChannelRecord",
    "DeliveryRecord",
    "DriftCheckRecord",
    "MonitorRecord",
    "ReportRecord",
    "SkewCheckRecord",
]


class DriftCheckRecord(Base):
    """A check of an endpoint's traffic against a reference; `result` holds all of it.

    `since` and `until` are what was asked for, `first` and `last` the event times found.
    """

    __tablename__ = "drift_check"
    __table_args__ = (Index("ix_drift_check_endpoint", "endpoint", "at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    endpoint: Mapped[str] = mapped_column(String(128))
    model: Mapped[str | None] = mapped_column(String(255))
    reference: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    first: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last: Mapped[datetime | None] = mapped_column(UTCDateTime)
    rows: Mapped[int] = mapped_column(BigInteger)
    verdict: Mapped[str] = mapped_column(String(64))
    result: Mapped[dict[str, Any]] = mapped_column(JSONValue)
    actor: Mapped[str] = mapped_column(String(255))
    at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)


class ReportRecord(Base):
    """A stored report; the page is ``<id>.html`` and the snapshot ``<id>.json`` in the folder."""

    __tablename__ = "report"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    subject: Mapped[str] = mapped_column(String(255), index=True)
    title: Mapped[str] = mapped_column(Text)
    engine: Mapped[str] = mapped_column(String(64))
    reference_rows: Mapped[int] = mapped_column(BigInteger)
    current_rows: Mapped[int] = mapped_column(BigInteger)
    columns: Mapped[list[str]] = mapped_column(JSONValue)
    notices: Mapped[list[str]] = mapped_column(JSONValue)
    sampled: Mapped[bool] = mapped_column()
    size: Mapped[int] = mapped_column(Integer)
    actor: Mapped[str] = mapped_column(String(255))
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class SkewCheckRecord(Base):
    """A check of what an endpoint was given against what its model was trained on."""

    __tablename__ = "skew_check"
    __table_args__ = (Index("ix_skew_check_endpoint", "endpoint", "at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    endpoint: Mapped[str] = mapped_column(String(128))
    model: Mapped[str | None] = mapped_column(String(255))
    reference: Mapped[str] = mapped_column(Text)
    rows: Mapped[int] = mapped_column(BigInteger)
    verdict: Mapped[str] = mapped_column(String(64))
    result: Mapped[dict[str, Any]] = mapped_column(JSONValue)
    actor: Mapped[str] = mapped_column(String(255))
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class MonitorRecord(Base):
    """What is checked of an endpoint by itself, and when the next check is due.

    `process` is who makes a check, as ``host:pid:birth``; `attempts` counts how often this one
    began. `checked_at` is when the last check was made whose verdict was turned into alerts,
    `seen` the last event that was looked at.
    """

    __tablename__ = "monitor"

    endpoint: Mapped[str] = mapped_column(String(128), primary_key=True)
    terms: Mapped[dict[str, Any]] = mapped_column(JSONValue)
    generation: Mapped[int] = mapped_column(Integer, default=1)
    paused: Mapped[bool] = mapped_column(Boolean, default=False)
    due_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    process: Mapped[str | None] = mapped_column(String(255))
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    seen: Mapped[int] = mapped_column(BigInteger, default=0)
    check: Mapped[str | None] = mapped_column(String(32))
    checked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    looked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    outcome: Mapped[str] = mapped_column(Text, default="")
    actor: Mapped[str] = mapped_column(String(255))
    set_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)


class AlertRecord(Base):
    """An alert; `key` is what it is about, and at most one alert of a key isn't resolved.

    `count` says how often it was found, `good` how many good checks in a row came since, and
    `needed` how many resolve it.
    """

    __tablename__ = "alert"
    __table_args__ = (Index("ix_alert_key", "key", "last_at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    endpoint: Mapped[str] = mapped_column(String(128), index=True)
    kind: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(255))
    key: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16), index=True)
    reason: Mapped[str] = mapped_column(Text)
    numbers: Mapped[dict[str, Any]] = mapped_column(JSONValue)
    parts: Mapped[list[str]] = mapped_column(JSONValue, default=list)
    first_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_at: Mapped[datetime] = mapped_column(UTCDateTime)
    count: Mapped[int] = mapped_column(Integer, default=1)
    good: Mapped[int] = mapped_column(Integer, default=0)
    needed: Mapped[int] = mapped_column(Integer, default=2)
    reopened: Mapped[int] = mapped_column(Integer, default=0)
    acknowledged_by: Mapped[str | None] = mapped_column(String(255))
    acknowledged_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    note: Mapped[str] = mapped_column(Text, default="")
    resolved_by: Mapped[str | None] = mapped_column(String(255))
    resolved_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class ChannelRecord(Base):
    """Where alerts are told; `secret` names the secret that signs, it isn't one."""

    __tablename__ = "alert_channel"

    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    to: Mapped[str] = mapped_column(Text)
    secret: Mapped[str | None] = mapped_column(String(255))
    endpoint: Mapped[str | None] = mapped_column(String(128))
    actor: Mapped[str] = mapped_column(String(255))
    set_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)


class DeliveryRecord(Base):
    """A change of an alert that is to be told on a channel, written together with the change.

    `process` is who sends it right now; `body` is what is sent, however often it takes.
    """

    __tablename__ = "alert_delivery"
    __table_args__ = (Index("ix_alert_delivery_due", "state", "next_at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    alert: Mapped[str] = mapped_column(String(32), index=True)
    channel: Mapped[str] = mapped_column(String(128), index=True)
    change: Mapped[str] = mapped_column(String(64))
    body: Mapped[dict[str, Any]] = mapped_column(JSONValue)
    state: Mapped[str] = mapped_column(String(16), default="waiting")
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    process: Mapped[str | None] = mapped_column(String(255))
    error: Mapped[str] = mapped_column(Text, default="")
    made_at: Mapped[datetime] = mapped_column(UTCDateTime)
    next_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
