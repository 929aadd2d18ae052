"""The store's schema over time, by Alembic."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect, text
from sqlalchemy.exc import OperationalError

from jupyter_mlops.workspace.errors import Conflict

if TYPE_CHECKING:
    from alembic.config import Config

    from jupyter_mlops.workspace.store import Store

__all__ = ["HEAD", "ROOMS", "bring_up_to_date", "configuration"]

HEAD = "0001"
# Rooms that hold tables; only drafting a migration and its test import them.
ROOMS = (
    "workspace",
    "data",
    "profiling",
    "labeling",
    "experiments",
    "models",
    "serving",
    "monitoring",
    "agent",
)


def bring_up_to_date(store: Store) -> None:
    """Make the store's tables, or bring an older store's up to date.

    Raises
    ------
    Conflict
        The store was written by a newer version of this package.
    """
    with store._explained():
        found = _revision(store)
        if found == HEAD:
            return
        if found is not None and found > HEAD:
            raise Conflict(
                f"the store is newer than this jupyter-mlops ({store.place})",
                f"its schema is {found}, this version knows {HEAD}",
                "upgrade jupyter-mlops",
                code="E-STORE-003",
            )
        from alembic import command

        with store.engine.execution_options(mlops_write=True).connect() as connection:
            with connection.begin():
                # Two processes may open a new workspace at the same moment.
                if not store.sqlite:
                    connection.execute(text("SELECT pg_advisory_xact_lock(7210493)"))
                config = configuration()
                config.attributes["connection"] = connection
                command.upgrade(config, "head")


def configuration() -> Config:
    """Alembic's configuration, without a file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _revision(store: Store) -> str | None:
    """The store's schema revision; None for an empty database."""
    for attempt in range(20):
        try:
            with store.engine.connect() as connection:
                if not inspect(connection).has_table("alembic_version"):
                    return None
                row: Any = connection.execute(text("SELECT version_num FROM alembic_version"))
                found = row.scalar()
                return str(found) if found is not None else None
        except OperationalError as error:
            # Switching a new file to WAL needs it alone for an instant, and doesn't wait.
            if "database is locked" not in str(error) or attempt == 19:
                raise
            time.sleep(0.05 * (attempt + 1))
    return None
