"""What all tables share, and the tables of the ground floor itself: events and their head."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Integer, String, TypeDecorator
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

__all__ = [
    "Base",
    "EventHead",
    "EventRecord",
    "JSONValue",
    "UTCDateTime",
    "new_id",
    "utcnow",
]

# Text on PostgreSQL too: its JSONB sorts keys, rewrites numbers and refuses NUL characters,
# and a value must come back as it went in from either database.
JSONValue = JSON()
# SQLite numbers rows by INTEGER keys only.
BigKey = BigInteger().with_variant(Integer(), "sqlite")


class UTCDateTime(TypeDecorator[datetime]):
    """Aware UTC times in and out, on databases that keep zones and on those that don't."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone can't be stored; use utcnow()")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """The declarative base of every table; each room's are in its ``records.py``."""


def utcnow() -> datetime:
    """The time now, aware and in UTC."""
    return datetime.now(UTC)


def new_id() -> str:
    """A new id of 32 hexadecimal digits that sorts by time (UUID version 7, RFC 9562 §5.7)."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & (1 << 48) - 1) << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return f"{value:032x}"


class EventRecord(Base):
    """One state change; `hash` covers all other columns and the hash of the one before."""

    __tablename__ = "event"

    seq: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    actor: Mapped[str] = mapped_column(String(255))
    kind: Mapped[str] = mapped_column(String(64), index=True)
    subject: Mapped[str] = mapped_column(String(300), index=True)
    payload: Mapped[dict[str, Any]] = mapped_column(JSONValue)
    inputs: Mapped[list[str]] = mapped_column(JSONValue)
    outputs: Mapped[list[str]] = mapped_column(JSONValue)
    previous: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


class EventHead(Base):
    """The last event's number and hash: one row, which also puts writers in a queue.

    Cutting events off the end of the log leaves a chain that verifies by itself;
    the head tells.
    """

    __tablename__ = "event_head"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str] = mapped_column(String(64))
