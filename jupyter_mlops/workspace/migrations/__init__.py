"""The store's schema over time, by Alembic."""

from __future__ import annotations

from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from jupyter_mlops.workspace.errors import Conflict

if TYPE_CHECKING:
    from alembic.config import Config

    from jupyter_mlops.workspace.store import Store

__all__ = ["ALEMBIC", "HEAD", "ROOMS", "bring_up_to_date", "configuration"]

HEAD = "0001"
# Alembic keeps the migration under way in its module, so a process can run one at a time:
# ours, or the one by which MLflow makes its database.
ALEMBIC = RLock()
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
    "retraining",
    "agent",
)


def bring_up_to_date(store: Store) -> None:
    """Make the store's tables, or bring an older store's up to date.

    Raises
    ------
    Conflict
        The store was written by a newer version of this package.
    """
    with store.explained():
        if _is_current(store, _revision(store)):
            return
        from alembic import command

        # One transaction: whoever comes in between sees the old schema or the new one.
        writing = store.engine.execution_options(mlops_write=True)
        with ALEMBIC, writing.begin() as connection:
            if not store.sqlite:
                # Two processes may open a new workspace at the same moment.
                connection.execute(text("SELECT pg_advisory_xact_lock(7210493)"))
            config = configuration()
            config.attributes["connection"] = connection
            command.upgrade(config, HEAD)


def configuration() -> Config:
    """Alembic's configuration, without a file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _is_current(store: Store, found: str | None) -> bool:
    if found is not None and found > HEAD:
        raise Conflict(
            f"the store is newer than this jupyter-mlops ({store.place})",
            f"its schema is {found}, this version knows {HEAD}",
            "upgrade jupyter-mlops",
            code="E-STORE-003",
        )
    return found == HEAD


def _revision(store: Store) -> str | None:
    """The store's schema revision; None for an empty database."""
    with store.engine.connect() as connection:
        try:
            found = connection.scalar(text("SELECT version_num FROM alembic_version"))
        except DBAPIError as error:
            if any(sign in str(error.orig) for sign in ("no such table", "does not exist")):
                return None
            raise
        return str(found) if found is not None else None
