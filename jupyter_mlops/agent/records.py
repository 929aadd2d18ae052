"""The agent's table: one row, which the one agent of a workspace holds."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Float, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from jupyter_mlops.workspace.records import Base, UTCDateTime

__all__ = ["AgentLeaseRecord"]


class AgentLeaseRecord(Base):
    """Who is the agent, until when."""

    __tablename__ = "agent_lease"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    holder: Mapped[str] = mapped_column(String(32))
    pid: Mapped[int] = mapped_column(Integer)
    pid_created: Mapped[float] = mapped_column(Float)
    host: Mapped[str] = mapped_column(String(255))
    actor: Mapped[str] = mapped_column(String(255))
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    heartbeat: Mapped[datetime] = mapped_column(UTCDateTime)
    expires: Mapped[datetime] = mapped_column(UTCDateTime)
