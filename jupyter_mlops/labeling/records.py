"""The tables of labeling: tasks, their items, who holds which item, and every decision taken."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Float, ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from jupyter_mlops.workspace.records import Base, BigKey, JSONValue, UTCDateTime

__all__ = [
    "AnnotationRecord",
    "GuidelineRecord",
    "ItemRecord",
    "LeaseRecord",
    "OpinionRecord",
    "RoleRecord",
    "TaskRecord",
]


class TaskRecord(Base):
    """A question asked of every row of a table, and how far the answers are.

    `labeled` and `skipped` are kept in the transaction that changes an item, so that
    progress costs one row however many items there are. `kind` is how an item is shown and
    `answer` what is said about it. `epoch` counts the times the queue was put in order, and
    `ranking` says how the last time went.
    """

    __tablename__ = "label_task"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(128), unique=True)
    kind: Mapped[str] = mapped_column(String(16))
    answer: Mapped[str] = mapped_column(String(16), default="class")
    classes: Mapped[list[str]] = mapped_column(JSONValue)
    settings: Mapped[dict[str, Any]] = mapped_column(JSONValue, default=dict)
    data_ref: Mapped[str | None] = mapped_column(String(255))
    data_digest: Mapped[str] = mapped_column(String(128))
    column: Mapped[str] = mapped_column(String(255))
    key: Mapped[str | None] = mapped_column(String(255))
    items: Mapped[int] = mapped_column(Integer)
    labeled: Mapped[int] = mapped_column(Integer, default=0)
    skipped: Mapped[int] = mapped_column(Integer, default=0)
    epoch: Mapped[int] = mapped_column(Integer, default=0)
    ranking: Mapped[dict[str, Any]] = mapped_column(JSONValue, default=dict)
    actor: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class ItemRecord(Base):
    """One thing to label: a text, bytes in the task's pack, or a file of the workspace.

    `state`, `label`, `person` and `ev` are the fold of the item's annotations: `ev` is the one
    that stands, and `label` its class where the answer is one. `opinions` counts the people
    who answered, `agreement` is how well they agree (0 to 1; null with fewer than two), and
    `disputed` says that a reviewer has to decide. A `gold` item has a known answer and is
    slipped in among the others. `audit` numbers, from 1, the items drawn at random by which
    a model is measured; others have 0. A lower `rank` comes earlier.
    """

    __tablename__ = "label_item"
    __table_args__ = (
        # A claim reads open items only, in the order in which they are given.
        Index(
            "ix_label_item_open",
            "task",
            "audit",
            "rank",
            "item",
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
        Index(
            "ix_label_item_gold",
            "task",
            "item",
            sqlite_where=text("gold = 1"),
            postgresql_where=text("gold"),
        ),
        Index(
            "ix_label_item_disputed",
            "task",
            "item",
            sqlite_where=text("disputed = 1"),
            postgresql_where=text("disputed"),
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
    rank: Mapped[int] = mapped_column(Integer, default=0)
    audit: Mapped[int] = mapped_column(Integer, default=0)
    gold: Mapped[bool] = mapped_column(Boolean, default=False)
    opinions: Mapped[int] = mapped_column(Integer, default=0)
    agreement: Mapped[float | None] = mapped_column(Float)
    disputed: Mapped[bool] = mapped_column(Boolean, default=False)
    # What a model or a rule proposes: {"value", "by", "confidence"}; empty without one.
    suggestion: Mapped[dict[str, Any]] = mapped_column(JSONValue, default=dict)


class AnnotationRecord(Base):
    """One decision of one person. Never changed, never removed.

    `kind` is a label, a skip, an undo, an adjudication (a reviewer's last word) or a gold
    answer (known beforehand). `requeue` is who sees a skipped item again: me, others, never.
    `suggestion` is what was proposed when it was decided, and of a label whether that was
    `changed`; `strategy` how the item had come to be chosen when it was handed out, `audit`
    that it was drawn at random, `guideline` the version that was shown.
    """

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
    kind: Mapped[str] = mapped_column(String(16))
    value: Mapped[Any] = mapped_column(JSONValue, nullable=True)
    reason: Mapped[str] = mapped_column(Text, default="")
    requeue: Mapped[str] = mapped_column(String(8), default="")
    undoes: Mapped[str | None] = mapped_column(String(64))
    person: Mapped[str] = mapped_column(String(255))
    session: Mapped[str] = mapped_column(String(64))
    shown_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    decided_at: Mapped[datetime] = mapped_column(UTCDateTime)
    active_ms: Mapped[int | None] = mapped_column(Integer)
    suggestion: Mapped[dict[str, Any]] = mapped_column(JSONValue, default=dict)
    strategy: Mapped[str] = mapped_column(String(32), default="")
    audit: Mapped[bool] = mapped_column(Boolean, default=False)
    guideline: Mapped[str] = mapped_column(String(64), default="")
    stored_at: Mapped[datetime] = mapped_column(UTCDateTime)


class GuidelineRecord(Base):
    """A version of a task's guideline: the text that people labelled by, never changed."""

    __tablename__ = "label_guideline"

    task: Mapped[str] = mapped_column(ForeignKey("label_task.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    version: Mapped[str] = mapped_column(String(64))
    text: Mapped[str] = mapped_column(Text)
    person: Mapped[str] = mapped_column(String(255))
    made_at: Mapped[datetime] = mapped_column(UTCDateTime)


class OpinionRecord(Base):
    """What one person's decisions on one item come to: nobody is asked the same thing twice.

    `state` is label, or for a skipped item who sees it again: me, others, never.
    """

    __tablename__ = "label_opinion"
    __table_args__ = (Index("ix_label_opinion_person", "task", "person", "number"),)

    task: Mapped[str] = mapped_column(ForeignKey("label_task.id"), primary_key=True)
    item: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    person: Mapped[str] = mapped_column(String(255), primary_key=True)
    state: Mapped[str] = mapped_column(String(8))
    # The annotation that stands for this person.
    ev: Mapped[str] = mapped_column(String(64))
    number: Mapped[int] = mapped_column(BigInteger)


class RoleRecord(Base):
    """What a person may do in a task: annotator, reviewer or owner."""

    __tablename__ = "label_role"

    task: Mapped[str] = mapped_column(ForeignKey("label_task.id"), primary_key=True)
    person: Mapped[str] = mapped_column(String(255), primary_key=True)
    role: Mapped[str] = mapped_column(String(16))
    actor: Mapped[str] = mapped_column(String(255))
    given_at: Mapped[datetime] = mapped_column(UTCDateTime)


class LeaseRecord(Base):
    """Who has an item in hand, and until when it counts as taken.

    As many people hold an item as there are opinions asked for.
    """

    __tablename__ = "label_lease"
    __table_args__ = (Index("ix_label_lease_person", "task", "person"),)

    task: Mapped[str] = mapped_column(ForeignKey("label_task.id"), primary_key=True)
    item: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    person: Mapped[str] = mapped_column(String(255), primary_key=True)
    # Empty once the session that held it has ended.
    session: Mapped[str] = mapped_column(String(64))
    # How the item came to be chosen: the queue may be in another order when it is decided.
    strategy: Mapped[str] = mapped_column(String(32), default="")
    renewed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    until: Mapped[datetime] = mapped_column(UTCDateTime)
