"""The tables of labeling: tasks, their items, who holds which item, and every decision taken."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from jupyter_mlops.workspace.records import Base, BigKey, JSONValue, UTCDateTime

__all__ = ["AnnotationRecord", "ItemRecord", "LeaseRecord", "TaskRecord"]


class TaskRecord(Base):
    """A question asked of every row of a table, and how far the answers are.

    `labeled` and `skipped` are kept in the transaction that changes an item, so that
    progress costs one row however many items there are.
    """

    __tablename__ = "label_task"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(128), unique=True)
    kind: Mapped[str] = mapped_column(String(16))
    classes: Mapped[list[str]] = mapped_column(JSONValue)
    data_ref: Mapped[str | None] = mapped_column(String(255))
    data_digest: Mapped[str] = mapped_column(String(128))
    column: Mapped[str] = mapped_column(String(255))
    key: Mapped[str | None] = mapped_column(String(255))
    items: Mapped[int] = mapped_column(Integer)
    labeled: Mapped[int] = mapped_column(Integer, default=0)
    skipped: Mapped[int] = mapped_column(Integer, default=0)
    actor: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class ItemRecord(Base):
    """One thing to label: a text, bytes in the task's pack, or a file of the workspace.

    `state`, `label`, `person` and `ev` are the fold of the item's annotations.
    """

    __tablename__ = "label_item"
    __table_args__ = (
        # A claim reads open items only, so it costs the same at the end of a million.
        Index(
            "ix_label_item_open",
            "task",
            "item",
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
        Index("ix_label_item_label", "task", "state", "label"),
    )

    task: Mapped[str] = mapped_column(ForeignKey("label_task.id"), primary_key=True)
    item: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    digest: Mapped[str] = mapped_column(String(64))
    place: Mapped[str] = mapped_column(String(8))
    # The text itself, or the file's path below the workspace's root.
    content: Mapped[str] = mapped_column(Text, default="")
    media: Mapped[str] = mapped_column(String(64), default="")
    start: Mapped[int] = mapped_column(BigInteger, default=0)
    size: Mapped[int] = mapped_column(BigInteger, default=0)
    key: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(8), default="open")
    label: Mapped[str | None] = mapped_column(String(255))
    person: Mapped[str | None] = mapped_column(String(255))
    ev: Mapped[str | None] = mapped_column(String(64))


class AnnotationRecord(Base):
    """One decision of one person: a label, a skip or an undo. Never changed, never removed."""

    __tablename__ = "annotation"
    __table_args__ = (
        Index("ix_annotation_item", "task", "item"),
        Index("ix_annotation_person", "task", "person"),
    )

    number: Mapped[int] = mapped_column(BigKey, primary_key=True)
    # The sender's id: sent twice, stored once.
    ev: Mapped[str] = mapped_column(String(64), unique=True)
    task: Mapped[str] = mapped_column(ForeignKey("label_task.id"))
    item: Mapped[int] = mapped_column(Integer)
    digest: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(8))
    value: Mapped[str | None] = mapped_column(String(255))
    reason: Mapped[str] = mapped_column(Text, default="")
    undoes: Mapped[str | None] = mapped_column(String(64))
    person: Mapped[str] = mapped_column(String(255))
    session: Mapped[str] = mapped_column(String(64))
    shown_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    decided_at: Mapped[datetime] = mapped_column(UTCDateTime)
    active_ms: Mapped[int | None] = mapped_column(Integer)
    stored_at: Mapped[datetime] = mapped_column(UTCDateTime)


class LeaseRecord(Base):
    """Who has an item in hand, and until when nobody else is given it."""

    __tablename__ = "label_lease"
    __table_args__ = (Index("ix_label_lease_person", "task", "person"),)

    task: Mapped[str] = mapped_column(ForeignKey("label_task.id"), primary_key=True)
    item: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    person: Mapped[str] = mapped_column(String(255))
    # Empty once the session that held it has ended.
    session: Mapped[str] = mapped_column(String(64))
    renewed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    until: Mapped[datetime] = mapped_column(UTCDateTime)
