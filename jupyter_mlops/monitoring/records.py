"""The tables of monitoring: checks of endpoints and the reports drawn of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from jupyter_mlops.workspace.records import Base, JSONValue, UTCDateTime

__all__ = ["DriftCheckRecord", "ReportRecord", "SkewCheckRecord"]


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
