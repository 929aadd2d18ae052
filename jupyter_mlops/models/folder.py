"""A registered version's files: fetched once, pinned by digest, checked at every use."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_mlops.workspace import Denied, Unavailable, Workspace
from jupyter_mlops.workspace.records import new_id
from jupyter_mlops.workspace.tracking import explained, tracking_client

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["fetch", "folder_digest", "pinned"]


def folder_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of all files below a folder.

    The digest is that of the lines ``<sha256 of the file>  <path>``, sorted by path: what
    ``sha256sum`` prints, so that it can be checked without this package.
    """
    lines = []
    for path in sorted(folder.rglob("*"), key=lambda one: one.relative_to(folder).as_posix()):
        if path.is_symlink():
            raise Denied(
                f"the model folder holds a link, {path.relative_to(folder)}",
                fix="register the run again",
                code="E-MODEL-010",
            )
        if path.is_file():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            lines.append(f"{digest}  {path.relative_to(folder).as_posix()}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def pinned(ws: Workspace, digest: str, source: str, label: str) -> Path:
    """The folder of the version whose files have that digest.

    Parameters
    ----------
    ws : Workspace
    digest : str
        As recorded when the version was registered.
    source : str
        Where MLflow keeps the files, for a machine that hasn't fetched them.
    label : str
        How to call the version in a message.

    Raises
    ------
    Denied
        The files aren't the ones that were registered.
    Unavailable
        They can't be fetched.
    """
    folder = ws.home / "models" / digest
    if not folder.is_dir():
        fetch(ws, source, digest)
    found = folder_digest(folder)
    if found != digest:
        raise Denied(
            f"the files of {label} were changed after it was registered",
            f"their digest is {found[:12]} instead of {digest[:12]}",
            f"remove {folder} to fetch them anew, or register the run again",
            code="E-MODEL-011",
        )
    return folder


def fetch(ws: Workspace, source: str, expected: str | None = None) -> str:
    """Copy a model's files from MLflow to where they are pinned; return their digest.

    Raises
    ------
    Denied
        MLflow's files don't have the expected digest.
    """
    client = tracking_client(ws)
    home = ws.home / "models"
    draft = home / f".{new_id()[-12:]}"
    try:
        draft.mkdir(parents=True, mode=0o700)
        with explained(ws):
            _download(client, source, draft)
        digest = folder_digest(draft)
        if expected is not None and digest != expected:
            raise Denied(
                f"the model that MLflow keeps at {source} isn't the one that was registered",
                f"its digest is {digest[:12]} instead of {expected[:12]}",
                "register the run again, and find out who changed it",
                code="E-MODEL-012",
            )
        place = home / digest
        if not place.exists():
            draft.replace(place)
    except OSError as error:
        raise Unavailable(
            f"the model's files can't be kept in {home}",
            error.strerror or str(error),
            "check the disk's space and your rights there",
            code="E-MODEL-013",
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return digest


def _download(client: MlflowClient, source: str, folder: Path) -> None:
    from mlflow.artifacts import download_artifacts

    # Asked of our client: MLflow's own resolving of models:/ looks where the kernel's global
    # tracking URI points, which is the user's to set.
    location = source
    if source.startswith("models:/"):
        location = client.get_logged_model(source.removeprefix("models:/")).artifact_location
    found = Path(download_artifacts(location, tracking_uri=client.tracking_uri))
    # A link is kept as one, which the digest refuses.
    shutil.copytree(found, folder, dirs_exist_ok=True, symlinks=True)
