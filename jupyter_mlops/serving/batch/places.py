"""Folders that predictions go to: on this machine or in object storage, never half a file."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from jupyter_mlops.data.sources.objects.clients import client_of
from jupyter_mlops.data.sources.objects.locations import Location
from jupyter_mlops.data.sources.objects.outgoing import check_host
from jupyter_mlops.data.sources.objects.stores import Store
from jupyter_mlops.workspace import Conflict, Folder, Invalid, Unavailable
from jupyter_mlops.workspace.folders import DRAFT
from jupyter_mlops.workspace.records import new_id

__all__ = ["Place", "place_of"]

T = TypeVar("T")
_STORES = ("s3", "gs", "gcs", "az", "abfs", "abfss")


class Place:
    """A folder whose files appear when they are whole.

    Parameters
    ----------
    folder : Folder
    shown : str
        How a person calls it; what the records hold.
    ask : callable
        Calls the client, and again where what went wrong may pass.
    """

    def __init__(
        self, folder: Folder, shown: str, ask: Callable[..., Any] = lambda call, *args: call(*args)
    ) -> None:
        self.folder = folder
        self.shown = shown
        self._ask = ask
        self._lock: int | None = None

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine, so that drafts can be written beside what they become."""
        return self.folder.is_local

    def take(self) -> None:
        """Keep others from writing there, as long as this process lives; sweep what is left over.

        Raises
        ------
        Conflict
            Another process writes there.
        Unavailable
            The folder can't be made.
        """
        if not self.is_local:
            return
        root = Path(self.folder.root)
        try:
            root.mkdir(parents=True, exist_ok=True)
            handle = os.open(root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise Unavailable(
                f"predictions can't be written to {self.shown}",
                error.strerror or str(error),
                "name another folder",
                code="E-BATCH-010",
            ) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise Conflict(
                f"another process writes predictions to {self.shown}",
                fix="wait for it, or name another folder",
                code="E-BATCH-011",
            ) from None
        self._lock = handle
        self._sweep(root)

    def leave(self) -> None:
        """Let others write there."""
        if self._lock is not None:
            self._sweep(Path(self.folder.root))
            os.close(self._lock)
            self._lock = None

    def _sweep(self, root: Path) -> None:
        # Nobody else writes here now, so drafts belong to processes that were killed.
        for path in [*root.glob(".*.draft"), *root.glob("_parts/.*.draft")]:
            if DRAFT.fullmatch(path.name):
                path.unlink(missing_ok=True)

    def draft(self) -> Path:
        """Where to write what shall become a file there (local places)."""
        return Path(self.folder.root) / f".{new_id()[-12:]}.draft"

    def put(self, key: str, file: Path | bytes) -> None:
        """Let a file appear under a key, whole."""
        if isinstance(file, bytes):
            self.write(key, file)
        elif self.is_local:
            final = self.folder.local(key)
            file.replace(final)
            # The rename itself is durable only once the folder is.
            descriptor = os.open(final.parent, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        else:
            # Object stores make an object visible only when its upload is complete.
            self._call(self.folder.fs.put_file, str(file), self._path(key))
            file.unlink()

    def write(self, key: str, content: bytes) -> None:
        """Write a small file, whole."""
        if self.is_local:
            self.folder.write_bytes(key, content)
        else:
            self._call(self.folder.fs.pipe_file, self._path(key), content)

    def read(self, key: str) -> bytes | None:
        """A file's content; None when there is none."""
        path = self._path(key)

        def read() -> bytes | None:
            try:
                content: bytes = self.folder.fs.cat_file(path)
            except FileNotFoundError:
                return None
            return content

        return self._call(read)

    def seal(self, key: str) -> str | None:
        """SHA-256 of a file; None when there is none."""
        if self.is_local:
            try:
                with Path(self._path(key)).open("rb") as file:
                    return hashlib.file_digest(file, "sha256").hexdigest()
            except FileNotFoundError:
                return None
        content = self.read(key)
        return None if content is None else hashlib.sha256(content).hexdigest()

    def keys(self) -> list[str]:
        """All files, drafts left out."""
        return [key for key in self._call(self._list) if key != ".lock"]

    def drop(self, keys: list[str]) -> None:
        """Remove files."""
        for key in keys:
            self._call(self.folder.delete, key)
        if self.is_local:
            for folder in {key.rpartition("/")[0] for key in keys if "/" in key}:
                with suppress(OSError):  # something else lies there
                    (Path(self.folder.root) / folder).rmdir()

    def uri(self, pattern: str) -> str:
        """How the files below it are named to read them again."""
        if self.shown.partition("://")[0].lower() not in _STORES:
            return f"{self.shown.rstrip('/')}/{pattern}"
        before, mark, options = self.shown.partition("?")
        return f"{before.rstrip('/')}/{pattern}{mark}{options}"

    def _list(self) -> list[str]:
        try:
            return self.folder.list()
        except (FileNotFoundError, Unavailable) as error:
            cause = error if isinstance(error, FileNotFoundError) else error.__cause__
            if isinstance(cause, FileNotFoundError):
                return []
            raise

    def _path(self, key: str) -> str:
        return f"{self.folder.root.rstrip('/')}/{key}"

    def _call(self, call: Callable[..., T], *args: Any) -> T:
        try:
            found: T = self._ask(call, *args)
        except OSError as error:
            raise Unavailable(
                f"predictions can't be written to {self.shown}",
                error.strerror or str(error),
                "check the disk's space and your rights there",
                code="E-BATCH-012",
            ) from None
        return found


def place_of(url: str, allow_private: bool = False) -> Place:
    """Open the folder that a path or a URI means; nothing is made yet.

    Parameters
    ----------
    url : str
        A path, an ``s3://``, ``gs://`` or ``abfs://`` URI as data have them, with credentials
        as ``secret:NAME``, or what else fsspec reaches.
    allow_private : bool
        Whether it may lead to a private address.

    Raises
    ------
    Invalid
        It is no place for files.
    Denied
        It holds a credential, or leads to a private address.
    """
    url = url.strip()
    scheme = urlsplit(url).scheme.lower() if "://" in url else ""
    if scheme in _STORES:
        location = Location.parse(url)
        if "*" in location.path:
            raise Invalid(f"{url} names no one folder", fix="leave out '*'", code="E-BATCH-013")
        store = Store(location, allow_private)
        folder = _Remote(location, client_of(location, allow_private))
        return Place(folder, url, lambda call, *args: store.ask(call, *args))
    if scheme in ("http", "https"):
        raise Invalid(
            f"predictions can't be written to {url}",
            "web servers take no files",
            "name a folder or a bucket",
            code="E-BATCH-014",
        )
    if scheme and scheme not in ("file", "memory") and not allow_private:
        check_host(url)
    if not scheme:
        url = str(Path(url).expanduser().resolve())
    return Place(Folder(url), url)


class _Remote(Folder):
    """A folder in a store whose client is set up already."""

    def __init__(self, location: Location, client: Any) -> None:
        self.fs, self.root, self.is_local = client, location.path, False
