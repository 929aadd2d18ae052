"""MLflow, prepared for a workspace: quiet, safe on SQLite, and clear when it can't be reached."""

from __future__ import annotations

import logging
import os
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jupyter_mlops.workspace.errors import MLOpsError, Unavailable
from jupyter_mlops.workspace.migrations import ALEMBIC

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from jupyter_mlops.workspace.workspace import Workspace

__all__ = ["artifact_root", "explained", "is_embedded", "shown_uri", "tracking_client"]

CONNECT_SECONDS = 3.0


def tracking_client(ws: Workspace, announce: Callable[[str], None] | None = None) -> MlflowClient:
    """A client for the workspace's runs and models.

    Importing MLflow takes seconds, so call this where somebody waits for MLflow itself.

    Parameters
    ----------
    ws : Workspace
    announce : callable, optional
        Told in one sentence when something takes longer than usual.

    Raises
    ------
    Unavailable
        A tracking server is set and doesn't answer.
    """
    _check_server(ws)
    # Set before the import, which is when MLflow reads them.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    # A client's first use makes or migrates MLflow's database.
    with ALEMBIC:
        mlflow = _import_mlflow()
        if is_embedded(ws) and not (ws.home / "mlflow.db").exists():
            if announce is not None:
                announce("Preparing MLflow's database; this happens once.")
            _prepare(ws)
        with explained(ws):
            client: MlflowClient = mlflow.MlflowClient(ws.tracking_uri, ws.tracking_uri)
    return client


def is_embedded(ws: Workspace) -> bool:
    """Whether runs and models are kept in the workspace itself."""
    return not ws.settings.tracking_uri


def artifact_root(ws: Workspace, name: str) -> str | None:
    """Where an experiment's files go; None leaves it to the tracking server."""
    return (ws.home / "mlflow" / name).as_uri() if is_embedded(ws) else None


def shown_uri(ws: Workspace) -> str:
    """The tracking URI without its password."""
    parts = urlsplit(ws.tracking_uri)
    if "@" not in parts.netloc:
        return ws.tracking_uri
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


@contextmanager
def explained(ws: Workspace) -> Iterator[None]:
    """Turn MLflow's errors into a sentence with the way out."""
    try:
        yield
    except MLOpsError:
        raise
    except Exception as error:
        if not _is_mlflows(error):
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        read_only = "readonly database" in str(error)
        raise Unavailable(
            f"MLflow at {shown_uri(ws)} refused",
            reason,
            "give yourself write access to the workspace folder"
            if read_only
            else "check MLFLOW_TRACKING_URI and the server's log; nothing recorded here is lost",
            code="E-TRACKING-002",
        ) from error


def _is_mlflows(error: Exception) -> bool:
    modules = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    return bool(modules & {"mlflow", "sqlalchemy", "requests", "urllib3"}) or isinstance(
        error, OSError
    )


def _check_server(ws: Workspace) -> None:
    """Knock before calling: MLflow's own retries would take minutes to say no."""
    parts = urlsplit(ws.tracking_uri)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname, port), CONNECT_SECONDS).close()
    except OSError as error:
        raise Unavailable(
            f"the MLflow server at {shown_uri(ws)} doesn't answer",
            error.strerror or str(error),
            "start it or correct MLFLOW_TRACKING_URI; runs are kept here and sent once it answers",
            code="E-TRACKING-001",
        ) from None


def _import_mlflow() -> Any:
    import mlflow

    # Creating the database tells of every migration step otherwise, in the user's cell.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return mlflow


def _prepare(ws: Workspace) -> None:
    path = ws.home / "mlflow.db"
    try:
        connection = sqlite3.connect(path, timeout=ws.settings.busy_timeout)
        try:
            # Stays set in the file: readers then never wait for a writer.
            connection.execute("PRAGMA journal_mode=WAL")
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise Unavailable(
            f"MLflow's database can't be made in {ws.home}",
            str(error),
            "give yourself write access to the workspace folder",
            code="E-TRACKING-003",
        ) from None
