"""The table of models: what MLflow's registry has no place for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from jupyter_mlops.workspace.records import Base, JSONValue, UTCDateTime

__all__ = ["ModelVersionRecord"]


class ModelVersionRecord(Base):
    """A registered version and the digest of its files; names, versions, aliases are MLflow's."""

    __tablename__ = "model_version"

    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    run_id: Mapped[str] = mapped_column(String(32), index=True)
    digest: Mapped[str] = mapped_column(String(64))
    source: Mapped[str] = mapped_column(String(1024))
    actor: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    task: Mapped[str] = mapped_column(String(16))
    target: Mapped[str | None] = mapped_column(String(255))
    data_ref: Mapped[str | None] = mapped_column(String(255))
    contract_ref: Mapped[str | None] = mapped_column(String(255))
    features: Mapped[list[str]] = mapped_column(JSONValue)
    signature: Mapped[dict[str, Any]] = mapped_column(JSONValue)
    metrics: Mapped[dict[str, float]] = mapped_column(JSONValue)
