"""Where endpoints keep their tokens, states, logs and traffic."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

from jupyter_mlops.workspace import Unavailable, Workspace
from jupyter_mlops.workspace.records import new_id

__all__ = [
    "hash_key_path",
    "log_path",
    "make_hash_key",
    "make_token",
    "read_state",
    "state_path",
    "token",
    "token_path",
    "traffic_folder",
    "traffic_root",
]


def token(ws: Workspace, name: str) -> str:
    """Return an endpoint's bearer token.

    Raises
    ------
    Unavailable
        Its file is gone or belongs to somebody else.
    """
    path = token_path(ws, name)
    try:
        return path.read_text().strip()
    except OSError as error:
        raise Unavailable(
            f"the token of endpoint '{name}' cannot be read",
            f"{path}: {error.strerror}",
            f"serve the model again with `--name {name}`, which makes a new one",
            code="E-SERVE-031",
        ) from error


def token_path(ws: Workspace, name: str) -> Path:
    """Return where an endpoint's token lies."""
    return ws.home / "secrets" / f"endpoint-{name}"


def state_path(ws: Workspace, name: str) -> Path:
    """Return where an endpoint's process keeps its state."""
    return ws.home / "run" / f"endpoint-{name}.json"


def read_state(path: Path) -> dict[str, Any]:
    """Return a process's state; empty when there is none."""
    try:
        state = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def log_path(ws: Workspace, name: str) -> Path:
    """Return the endpoint's log file."""
    return ws.home / "logs" / f"endpoint-{name}.log"


def traffic_folder(ws: Workspace, name: str) -> Path:
    """Return the local folder an endpoint's process logs to."""
    return traffic_root(ws) / name


def traffic_root(ws: Workspace) -> Path:
    """Return where the traffic folders of all endpoints lie on this machine.

    What is fresh is always written here, and moved when the workspace's traffic folder is
    elsewhere.
    """
    return Path(ws.traffic.root) if ws.traffic.is_local else ws.home / "traffic"


def hash_key_path(ws: Workspace) -> Path:
    """Return where the key of the log's hashes lies; all endpoints share it, so hashes join."""
    return ws.home / "secrets" / "traffic-hash"


def make_hash_key(ws: Workspace) -> Path:
    """Return the file with the key of the log's hashes, made when there is none yet.

    Raises
    ------
    Unavailable
        It cannot be kept.
    """
    return _make(hash_key_path(ws), "no key can be kept for the log's hashes", "E-SERVE-077")


def make_token(ws: Workspace, name: str) -> str:
    """Return an endpoint's bearer token, made when there is none yet.

    Raises
    ------
    Unavailable
        It cannot be kept.
    """
    _make(token_path(ws, name), f"no token can be kept for endpoint '{name}'", "E-SERVE-032")
    return token(ws, name)


def _make(path: Path, what: str, code: str) -> Path:
    """Make a secret that only its owner reads, unless it is there."""
    draft = path.with_name(f".{path.name}.{new_id()[-12:]}")
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if not path.exists():
            # Linked when it is whole: whoever comes at the same moment never reads half of it.
            with os.fdopen(
                os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w"
            ) as file:
                file.write(secrets.token_urlsafe(32))
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)
    except FileExistsError:
        pass
    except OSError as error:
        raise Unavailable(
            what,
            f"{path}: {error.strerror}",
            "make room, or make the workspace writable",
            code=code,
        ) from error
    finally:
        draft.unlink(missing_ok=True)
    return path
