"""The table of datasets: one row a version of a name."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from jupyter_mlops.workspace.records import Base, JSONValue, UTCDateTime

__all__ = ["DatasetRecord"]


class DatasetRecord(Base):
    """A version of a dataset; the same content under one name is one row.

    `location` is a key in the workspace's artifacts when the rows were copied; when they were
    too large to copy it is empty and `files` lists where they are, with size and time.
    """

    __tablename__ = "dataset"
    __table_args__ = (UniqueConstraint("name", "version"), UniqueConstraint("name", "digest"))

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(128), index=True)
    version: Mapped[int] = mapped_column(Integer)
    digest: Mapped[str] = mapped_column(String(64), index=True)
    rows: Mapped[int] = mapped_column(BigInteger)
    size: Mapped[int] = mapped_column(BigInteger)
    columns: Mapped[list[list[str]]] = mapped_column(JSONValue)
    source: Mapped[str] = mapped_column(Text)
    # What beside the source tells which rows these are: query, filter, offsets, split, inputs.
    provenance: Mapped[dict[str, Any]] = mapped_column(JSONValue)
    location: Mapped[str] = mapped_column(Text)
    files: Mapped[list[dict[str, Any]]] = mapped_column(JSONValue)
    key: Mapped[str | None] = mapped_column(Text)
    time: Mapped[str | None] = mapped_column(Text)
    author: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    # The version a bare name means is the one added last, which may be an earlier content.
    current_at: Mapped[datetime] = mapped_column(UTCDateTime)
