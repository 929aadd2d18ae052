"""What a cell ran in: the installed packages, the git checkout, the order of the notebook."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Checkout", "Environment", "environment", "notebook_file", "notebook_validity"]

GIT_SECONDS = 5.0


@dataclass(frozen=True)
class Environment:
    """The interpreter and its packages as ``name==version`` lines, like ``uv pip freeze``."""

    python: str
    platform: str
    packages: tuple[str, ...]

    @property
    def digest(self) -> str:
        text = json.dumps([self.python, self.platform, self.packages])
        return hashlib.sha256(text.encode()).hexdigest()


def environment() -> Environment:
    """List what is installed, in a few milliseconds.

    Name and version are read from the folders' names, as wheels must have them (PyPA's
    "Recording installed projects"); what was installed from a folder or a URL is listed as
    ``name @ url``, as pip and uv do.
    """
    lines: dict[str, str] = {}
    for folder in sys.path:
        for name, line in _installed_in(Path(folder or ".")):
            lines.setdefault(name, line)  # the first on the path is the one imported
    return Environment(
        platform.python_version(), platform.platform(), tuple(lines[name] for name in sorted(lines))
    )


def _installed_in(folder: Path) -> Iterator[tuple[str, str]]:
    try:
        names = [entry.name for entry in os.scandir(folder)]
    except OSError:  # zip files and folders that don't exist are on the path too
        return
    for entry in names:
        stem, dot, kind = entry.rpartition(".")
        if not dot or kind not in {"dist-info", "egg-info"} or "-" not in stem:
            continue
        raw, version = stem.split("-")[:2]
        name = re.sub(r"[-_.]+", "-", raw).lower()
        yield name, _origin(folder / entry / "direct_url.json", name) or f"{name}=={version}"


def _origin(path: Path, name: str) -> str | None:
    try:
        return f"{name} @ {json.loads(path.read_text('utf-8'))['url']}"
    except (OSError, ValueError, KeyError, TypeError):
        return None  # installed from an index


class Checkout:
    """Asks git about a folder without waiting: ask before the cell, read after it."""

    def __init__(self, folder: Path) -> None:
        self._status = self._ask(folder, "status", "--porcelain=v2", "--branch")

    @staticmethod
    def _ask(folder: Path, *words: str) -> subprocess.Popen[str] | None:
        # No optional locks: another git command of the user's must never meet ours.
        command = ["git", "--no-optional-locks", "-C", str(folder), *words]
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                # Ctrl-C in the notebook is meant for the cell.
                start_new_session=True,
            )
        except OSError:
            return None  # no git here

    def read(self) -> dict[str, Any]:
        """``{"commit", "branch", "dirty"}``, or an empty dict outside a repository."""
        if self._status is None:
            return {}
        try:
            text, _ = self._status.communicate(timeout=GIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._status.kill()
            self._status.communicate()
            return {}
        if self._status.returncode != 0:
            return {}
        headers = dict(
            line[2:].split(" ", 1) for line in text.splitlines() if line.startswith("# branch.")
        )
        return {
            "commit": headers.get("branch.oid", ""),
            "branch": headers.get("branch.head", ""),
            "dirty": any(not line.startswith("#") for line in text.splitlines()),
        }


def notebook_file(namespace: Mapping[str, Any]) -> Path | None:
    """The notebook this kernel belongs to, when the front end says so."""
    for candidate in (
        namespace.get("__session__"),
        os.environ.get("JPY_SESSION_NAME"),
        namespace.get("__vsc_ipynb_file__"),
    ):
        if isinstance(candidate, str) and candidate.endswith(".ipynb"):
            path = Path(candidate)
            return path if path.is_file() else None
    return None


def notebook_validity(namespace: Mapping[str, Any]) -> str:
    """Say whether running the notebook from the top would bring this cell the same state.

    Parameters
    ----------
    namespace : mapping
        The kernel's names; its ``get_ipython`` leads to the history of executed cells.

    Returns
    -------
    str
        ``strong``: exactly the saved notebook's code cells ran, in order, each once, up to
        this one. ``weak``: every cell that ran is in the saved notebook, but in another order
        or repeatedly; or, when no notebook file is known, no cell ran twice. ``unknown``:
        cells ran that were since changed or deleted, or there is no notebook.
    """
    shell = namespace.get("get_ipython")
    manager = getattr(shell() if callable(shell) else None, "history_manager", None)
    # As typed; `_ih` keeps the Python that magics were turned into.
    history = getattr(manager, "input_hist_raw", None)
    if not isinstance(history, list) or len(history) < 2:
        return "unknown"
    ran = [_normal(cell) for cell in history[1:] if cell.strip()]
    path = notebook_file(namespace)
    if path is None:
        return "weak" if len(set(ran)) == len(ran) else "unknown"
    try:
        cells = json.loads(path.read_text("utf-8"))["cells"]
        sources = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    except (OSError, ValueError, KeyError, TypeError):
        return "unknown"
    saved = [_normal(source) for source in sources if source.strip()]
    if ran == saved[: len(ran)]:
        return "strong"
    return "weak" if set(ran) <= set(saved) else "unknown"


def _normal(cell: str) -> str:
    return "\n".join(line.rstrip() for line in cell.strip().splitlines())
