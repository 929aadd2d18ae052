"""Data in object storage and on the web: s3, gs, az and http(s), through fsspec."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import PurePosixPath
from typing import Any, Final

import polars as pl

from jupyter_mlops.data.sources.files.columnar import ParquetFiles
from jupyter_mlops.data.sources.files.media import Entry, MediaFiles
from jupyter_mlops.data.sources.files.opening import Found, one_format, source_of
from jupyter_mlops.data.sources.files.partitions import Partitions
from jupyter_mlops.data.sources.files.schemas import one_schema
from jupyter_mlops.data.sources.objects.locations import Location
from jupyter_mlops.data.sources.objects.ranges import Footer, RowGroups, read_footers
from jupyter_mlops.data.sources.objects.stores import Object, Store
from jupyter_mlops.data.sources.objects.together import together
from jupyter_mlops.data.sources.opening import LazySource, Request, Source
from jupyter_mlops.data.sources.scratch import new_folder

__all__ = ["ObjectParquet", "open_objects", "reopen_objects"]

_TOLD: Final = 20


def open_objects(request: Request) -> Source:
    """Open an object, a prefix or a glob of objects, or a file on a web server.

    Parquet is read by byte ranges where it is; other formats are fetched when they are scanned.
    Credentials are the client's own (environment, configuration, role) or named in the URI:
    ``s3://bucket/x.parquet?key=secret:ID&secret=secret:KEY&endpoint_url=https://…``.

    Raises
    ------
    Invalid
        The URI holds a credential, an unknown option, or a format that isn't read.
    NotFound
        Nothing is there; names the closest.
    Denied
        The credentials are wrong or not sufficient, or the address is private.
    Unavailable
        The store doesn't answer, or its client isn't installed.

    Examples
    --------
    >>> open_objects(Request("s3://bucket/2013/*.parquet"))  # doctest: +SKIP
    """
    location = Location.parse(request.uri)
    request.refuse("query", "window")
    store = Store(location, request.allow_private)
    root, objects = store.find()
    kind = one_format(request.uri, [one.name for one in objects])
    if kind == "parquet" and all(one.ranged for one in objects):
        return ObjectParquet(request.uri, store, objects, root)
    if kind == "media":
        return ObjectMedia(request.uri, store, objects, root)
    return ObjectFiles(request.uri, store, objects, root, kind)


def reopen_objects(uri: str, marks: list[dict[str, Any]], allow_private: bool) -> ObjectParquet:
    """Open the Parquet objects that `ObjectParquet.marks` described, as they are now.

    Parameters
    ----------
    uri : str
        How to call them.
    marks : list of dict
    allow_private : bool
    """
    location = Location.parse(marks[0]["uri"])
    store = Store(location, allow_private)
    paths = [Location.parse(mark["uri"]).path for mark in marks]
    objects = together(store, 16, store.look, paths)
    return ObjectParquet(uri, store, objects, marks[0]["root"])


class _Objects(LazySource):
    """Objects of one table."""

    def __init__(self, uri: str, store: Store, objects: list[Object], root: str) -> None:
        self.uri = uri
        self.store = store
        self.objects = objects
        self.root = root

    def provenance(self) -> dict[str, Any]:
        """The objects' ETags or versions, which say which content was read."""
        told = {one.path: one.told() for one in self.objects}
        if len(told) <= _TOLD:
            return {"objects": told}
        text = json.dumps(told, sort_keys=True).encode()
        seal = hashlib.blake2b(text, digest_size=16).hexdigest()
        return {"objects": dict(list(told.items())[:_TOLD]), "count": len(told), "all": seal}

    def _below(self, one: Object) -> str:
        return one.path[len(self.root) :].lstrip("/") if self.root else one.path


class ObjectParquet(_Objects):
    """Parquet objects of one table, read by byte ranges where they are.

    Parameters
    ----------
    uri : str
    store : Store
    objects : list of Object
    root : str
        Folders named ``column=value`` below it are columns.
    """

    def scan(self) -> pl.LazyFrame:
        """The rows of all objects, in the order of their names."""
        from polars.io.plugins import register_io_source

        groups = self._groups
        return register_io_source(groups.scan, schema=groups.schema, explain_name="objects")

    @property
    def size(self) -> int:
        """Bytes of all objects."""
        return sum(one.size for one in self.objects)

    def marks(self) -> list[dict[str, Any]]:
        """What the objects are, to find out later whether they are still the same."""
        at = self.store.location.at
        return [{"uri": at(o.path), "root": self.root, **o.told()} for o in self.objects]

    @cached_property
    def _groups(self) -> RowGroups:
        footers: list[Footer] = read_footers(self.store, self.objects)
        below = {one.path: self._below(one) for one in self.objects}
        partitions = Partitions(below.values())
        ParquetFiles.check_folders(self.uri, partitions)
        schemas = {below[footer.found.path]: footer.schema for footer in footers}
        schema = pl.Schema({**one_schema(self.uri, schemas), **partitions.schema})
        return RowGroups(self.store, footers, schema, partitions, below)


class ObjectFiles(_Objects):
    """Objects that are fetched as a whole, and then read as files are."""

    def __init__(self, uri: str, store: Store, objects: list[Object], root: str, kind: str) -> None:
        super().__init__(uri, store, objects, root)
        self.kind = kind

    @cached_property
    def _files(self) -> Source:
        folder = new_folder()
        paths = []
        for place, one in enumerate(self.objects):
            # Only the names of `column=value` folders mean something; no name leaves the folder.
            parts = [p for p in PurePosixPath(self._below(one)).parts[:-1] if "=" in p]
            target = folder.joinpath(*parts, f"{place:06d}" if len(self.objects) > 1 else "")
            target.mkdir(parents=True, exist_ok=True)
            paths.append(target / (PurePosixPath(one.name).name or "data"))
        together(self.store, 4, self.store.download, self.objects, paths)
        self.store.check(self.objects)
        found = Found(self.uri, paths, folder, self.store.location.fragment)
        return source_of(found, self.kind)

    def scan(self) -> pl.LazyFrame:
        """The rows of all objects, in the order of their names."""
        return self._files.scan()


class ObjectMedia(_Objects):
    """Pictures, sound and film in object storage, of which only the headers are fetched."""

    @cached_property
    def _media(self) -> MediaFiles:
        opened: Callable[[Object], Any] = self.store.file
        entries = [
            Entry(self._below(one), one.size, one.modified, partial(opened, one))
            for one in self.objects
        ]
        return MediaFiles(self.uri, entries)

    def scan(self) -> pl.LazyFrame:
        """One row an object."""
        return self._media.scan()
