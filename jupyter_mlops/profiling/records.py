"""The tables of profiles and of contracts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Float, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from jupyter_mlops.workspace.records import Base, JSONValue, UTCDateTime

__all__ = ["ContractRecord", "ProfileRecord"]


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


class ContractRecord(Base):
    """A version of a contract: what a table must be like, as JSON, and where it came from."""

    __tablename__ = "contract"
    __table_args__ = (UniqueConstraint("name", "version"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(128), index=True)
    version: Mapped[int] = mapped_column(Integer)
    digest: Mapped[str] = mapped_column(String(64), index=True)
    body: Mapped[dict[str, Any]] = mapped_column(JSONValue)
    # The reference of the dataset it was learnt from, and the profile that knew it.
    data: Mapped[str | None] = mapped_column(Text)
    profile: Mapped[str | None] = mapped_column(String(32))
    author: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
