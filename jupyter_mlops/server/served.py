"""The workspace that a server shows, and which files its users may name."""

from __future__ import annotations

import copy
import glob
import os
import re
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from jupyter_mlops.workspace.errors import Denied, Invalid
from jupyter_mlops.workspace.references import KINDS, NAME

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["ServedWorkspace"]

HOME = ".mlops"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+://")
# Databases that are files of this machine.
_LOCAL = re.compile(r"(sqlite|duckdb)(\+\w+)?://", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z][A-Za-z0-9_\-]*:")


class ServedWorkspace:
    """The workspace of a server's root folder.

    Parameters
    ----------
    root : Path
        The server's root.
    folder : str
        The workspace's folder when it was set; empty to look for it.
    contents : ContentsManager
        Where the browser's paths point to.
    """

    def __init__(self, root: Path, folder: str, contents: Any) -> None:
        self.root = root.expanduser().resolve()
        self.folder = folder
        self.contents = contents
        self._lock = threading.Lock()
        self._empty: TemporaryDirectory[str] | None = None
        self._opened: tuple[Path, int, Workspace] | None = None

    def tell_kernels(self) -> None:
        """Let kernels that find no workspace make it where this server looks for it.

        A notebook in a subfolder would else make one of its own that no panel shows.
        """
        os.environ["JUPYTER_MLOPS_SERVER_ROOT"] = str(self.root)

    def place(self) -> Path:
        """The folder that holds the workspace, or will."""
        given = self.folder or os.environ.get("JUPYTER_MLOPS_WORKSPACE")
        if given:
            return Path(given).expanduser().resolve()
        for folder in (self.root, *self.root.parents):
            if (folder / HOME).is_dir():
                return folder
        return self.root

    def exists(self) -> bool:
        """Whether there is a workspace already."""
        return (self.place() / HOME).is_dir()

    def look(self, user: str = "") -> Workspace:
        """Open the workspace to read from it; where there is none, an empty one.

        Panels ask for lists as soon as a page opens, and looking must leave nothing behind.
        """
        if self.exists():
            return self.open(user, create=False)
        from jupyter_mlops.workspace import Workspace

        with self._lock:
            if self._empty is None:
                self._empty = TemporaryDirectory(prefix="jupyter-mlops-")
        return Workspace.open(self._empty.name)

    def close(self) -> None:
        """Remove what was only needed while the server ran."""
        with self._lock:
            if self._empty is not None:
                self._empty.cleanup()

    def open(self, user: str = "", create: bool = True) -> Workspace:
        """Open the workspace for a user; empty means the one the server runs as.

        Raises
        ------
        NotFound
            There is none, and `create` is False.
        """
        from jupyter_mlops.workspace import Workspace

        place = self.place()
        with self._lock:
            # A workspace that was deleted and made anew is another one.
            if self._opened is None or self._opened[:2] != (place, _inode(place / HOME)):
                opened = Workspace.open(place, create=create)
                self._opened = (place, _inode(place / HOME), opened)
            workspace = copy.copy(self._opened[2])
        if user:
            workspace.user = user
        return workspace

    def source(self, text: str) -> str:
        """What a browser's data source means here.

        References, dataset names and remote URLs stay as they are. Everything else is a
        path of the file browser and must lie below the server's root.

        Raises
        ------
        Denied
            The path leaves the server's root.
        """
        if "\0" in text:
            raise Invalid("a path holds a zero byte", code="E-SERVER-011")
        if text.partition(":")[0] in KINDS:
            return text
        if _LOCAL.match(text):
            return self._database(text)
        if _SCHEME.match(text) and not text.lower().startswith("file://"):
            return text
        if text.lower().startswith("file://"):
            raise Denied(
                f"{text!r} is a path of the server's machine",
                fix="give the path as the file browser shows it",
                code="E-SERVER-002",
            )
        plain = NAME.fullmatch(text.partition("@")[0]) is not None
        if plain and not (self._base() and os.path.lexists(self._full(text))):
            return text
        return self.file(text)

    def file(self, text: str) -> str:
        """The file on disk that a path of the file browser means, there already or not.

        Raises
        ------
        Denied
            The path leaves the server's root.
        Invalid
            The server's files aren't in a folder.
        """
        if "\0" in text:
            raise Invalid("a path holds a zero byte", code="E-SERVER-011")
        base = self._base()
        if base is None:
            raise Invalid(
                f"{text!r} can't be reached: this server's files aren't in a folder",
                fix="do it from a notebook",
                code="E-SERVER-003",
            )
        full = self._full(text)
        for found in glob.glob(full) or [full]:  # noqa: PTH207  an absolute pattern
            if os.path.commonpath([os.path.realpath(found), base]) != str(base):
                raise Denied(
                    f"{text!r} is outside the server's root",
                    fix="copy the file to a folder that the file browser shows",
                    code="E-SERVER-004",
                )
        return full

    def _database(self, uri: str) -> str:
        """A database file of the file browser, as a URI that doesn't depend on where we run."""
        parts = urlsplit(uri)
        path = self.file(unquote(parts.netloc + parts.path.removeprefix("/")))
        query = f"?{parts.query}" if parts.query else ""
        fragment = f"#{parts.fragment}" if parts.fragment else ""
        return f"{parts.scheme}:///{quote(path)}{query}{fragment}"

    def _base(self) -> Path | None:
        root = getattr(self.contents, "root_dir", None)
        return Path(root).expanduser().resolve() if root else None

    def _full(self, text: str) -> str:
        path = _DRIVE.sub("", text, count=1).replace("\\", "/")
        return path if Path(path).is_absolute() else str(self._base() / path)  # type: ignore[operator]


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0
