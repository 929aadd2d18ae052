"""The table of profiles."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Float, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from jupyter_mlops.workspace.records import Base, JSONValue, UTCDateTime

__all__ = ["ProfileRecord"]


class ProfileRecord(Base):
    """A profile that was made: what of, and its main findings.

    The full profile, whose sketches merge with others, is the artifact at `location`.
    """

    __tablename__ = "profile"
    __table_args__ = (Index("ix_profile_content", "digest", "target"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    data: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(String(64))
    target: Mapped[str] = mapped_column(Text)
    engine: Mapped[int] = mapped_column(Integer)
    rows: Mapped[int] = mapped_column(BigInteger)
    columns: Mapped[int] = mapped_column(Integer)
    seconds: Mapped[float] = mapped_column(Float)
    findings: Mapped[dict[str, Any]] = mapped_column(JSONValue)
    location: Mapped[str] = mapped_column(Text)
    author: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
