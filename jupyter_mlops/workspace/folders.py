"""Folders for what is too large for the store: on disk, or wherever fsspec reaches."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from jupyter_mlops.workspace.errors import Invalid, NotFound, Unavailable
from jupyter_mlops.workspace.records import new_id

__all__ = ["Folder"]

# A file that is being written, or was when its writer was killed.
DRAFT = re.compile(r"\.[0-9a-f]{12}\.draft")


class Folder:
    """A folder of files named by keys such as ``datasets/ab12.parquet``.

    Parameters
    ----------
    url : str
        A path or an fsspec URL.
    """

    def __init__(self, url: str) -> None:
        try:
            self.fs, self.root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise Invalid(
                f"{url!r} is no place for files", str(error), code="E-FOLDER-001"
            ) from None
        self.is_local = isinstance(self.fs, LocalFileSystem)

    def url(self, key: str) -> str:
        """The URL of a key."""
        return str(self.fs.unstrip_protocol(self._path(key)))

    def write_bytes(self, key: str, content: bytes) -> str:
        """Write a file whole or not at all, durably; return its URL."""
        path = self._path(key)
        with _explained(path):
            if self.is_local:
                _write_durably(Path(path), content)
            else:
                # Object stores make an object visible only when its upload is complete.
                self.fs.pipe_file(path, content)
        return self.url(key)

    def read_bytes(self, key: str) -> bytes:
        """The content of a file."""
        with self.open(key) as file:
            content: bytes = file.read()
        return content

    def open(self, key: str, mode: str = "rb") -> IO[Any]:
        """Open a file for reading."""
        if mode not in {"r", "rb"}:
            raise Invalid("a folder's files are opened for reading", code="E-FOLDER-002")
        path = self._path(key)
        try:
            with _explained(path):
                file: IO[Any] = self.fs.open(path, mode)
        except Unavailable as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise NotFound(f"there is no file {self.url(key)}", code="E-FOLDER-003") from None
            raise
        return file

    def exists(self, key: str) -> bool:
        """Whether there is a file of that key."""
        path = self._path(key)
        with _explained(path):
            return bool(self.fs.exists(path))

    def list(self, prefix: str = "") -> list[str]:
        """The keys below a prefix, sorted."""
        start = self._path(prefix) if prefix else self.root
        with _explained(start):
            found = self.fs.find(start)
        keys = (posixpath.relpath(path, self.root) for path in found)
        return sorted(key for key in keys if not DRAFT.fullmatch(posixpath.basename(key)))

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """The keys below a prefix, sorted, each with the file's bytes."""
        start = self._path(prefix) if prefix else self.root
        with _explained(start):
            found = self.fs.find(start, detail=True)
        sized = {posixpath.relpath(path, self.root): about for path, about in found.items()}
        return {
            key: int(sized[key]["size"] or 0)
            for key in sorted(sized)
            if not DRAFT.fullmatch(posixpath.basename(key))
        }

    def local(self, key: str) -> Path:
        """The path of a key on this machine; its parent folder exists."""
        if not self.is_local:
            raise Unavailable(f"{self.url(key)} isn't on this machine", code="E-FOLDER-004")
        path = Path(self._path(key))
        with _explained(str(path)):
            path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def delete(self, key: str) -> None:
        """Remove a file; nothing happens when it isn't there."""
        path = self._path(key)
        with _explained(path), suppress(FileNotFoundError):
            self.fs.rm_file(path)

    def _path(self, key: str) -> str:
        """The full path of a key, which must stay inside the folder."""
        clean = posixpath.normpath(key)
        inside = bool(key) and "\0" not in key and not posixpath.isabs(clean)
        inside = inside and clean != "." and clean.split("/")[0] != ".."
        path = posixpath.join(self.root, clean)
        if inside and self.is_local:
            # A link within the folder may lead out of it.
            root = os.path.realpath(self.root)
            inside = os.path.commonpath([os.path.realpath(path), root]) == root
        if not inside:
            raise Invalid(f"{key!r} leaves its folder", code="E-FOLDER-005")
        return path


def _write_durably(path: Path, content: bytes) -> None:
    made = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{new_id()[-12:]}.draft")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    # A name is durable only once the folder that holds it is.
    for folder in (path.parent, *(folder.parent for folder in made)):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"{path} can't be reached",
            error.strerror or str(error),
            "check the disk's space and your rights there",
            code="E-FOLDER-006",
        ) from error
