"""Object stores and web servers, asked through fsspec: listing, byte ranges, whole objects.

Retries are made here and nowhere below, with growing pauses, for everything that may pass: lost
connections, time-outs, servers that are busy or being restarted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, TypeVar

from jupyter_mlops.data.sources.files.formats import format_of, hidden
from jupyter_mlops.data.sources.objects.clients import client_of
from jupyter_mlops.data.sources.objects.locations import Location
from jupyter_mlops.data.sources.objects.refusals import explain, transient
from jupyter_mlops.data.sources.objects.together import result_of
from jupyter_mlops.workspace.errors import Conflict, Denied, NotFound, closest

__all__ = ["Object", "Store"]

#: Seconds for which something that may pass is tried again: while looking, and while reading.
PATIENCE: Final = {"look": 10.0, "read": 45.0}
_GAP: Final = 8 << 10
_PIECE: Final = 8 << 20
T = TypeVar("T")


@dataclass(frozen=True)
class Object:
    """An object as it was listed.

    Attributes
    ----------
    path : str
        ``bucket/key``, or the URL without its secrets.
    size : int
        In bytes; -1 when a web server doesn't say.
    tag : str
        Its ETag, or what else changes with the content.
    version : str
        In a bucket with versions.
    modified : datetime or None
    ranged : bool
        Whether a part of it can be asked for.
    ending : str
        Of its name, where that has none but the server says the type.
    """

    path: str
    size: int
    tag: str = ""
    version: str = ""
    modified: datetime | None = None
    ranged: bool = True
    ending: str = ""

    @property
    def name(self) -> str:
        """The last part of its path, with an ending where a web server told only the type."""
        return self.path.partition("?")[0].rpartition("/")[2] + self.ending

    def told(self) -> dict[str, Any]:
        """What says which content it has, as JSON."""
        when = self.modified.isoformat() if self.modified else ""
        known = {"tag": self.tag, "version": self.version, "modified": when}
        return {"size": self.size} | {k: v for k, v in known.items() if v}


class Store:
    """What is at a location, and how to get it.

    Parameters
    ----------
    location : Location
    allow_private : bool
        Whether the host may be a private address.

    Raises
    ------
    Unavailable
        The client of that kind of store isn't installed.
    Denied
        The host is a private address.
    """

    def __init__(self, location: Location, allow_private: bool = False) -> None:
        self.location = location
        self._fs = client_of(location, allow_private)
        self._asked: set[Future[Any]] = set()
        self._abandoned = False

    def __repr__(self) -> str:
        return f"<Store {self.location.uri}>"

    def ask(self, call: Callable[..., T], *args: Any, stage: str = "read", **named: Any) -> T:
        """Call the client, again and again while what goes wrong may pass.

        Raises
        ------
        MLOpsError
            One sentence that says what it was.
        """
        from tenacity import Retrying, retry_if_exception, stop_after_delay
        from tenacity import wait_exponential_jitter as growing

        trying = Retrying(
            retry=retry_if_exception(transient),
            wait=growing(initial=0.1, max=4.0, jitter=0.2),
            stop=stop_after_delay(PATIENCE[stage]),
            reraise=True,
        )
        try:
            found: T = trying(self._once, call, *args, **named)
        except Exception as error:
            raise explain(error, self.location) from None
        return found

    def _once(self, call: Callable[..., T], *args: Any, **named: Any) -> T:
        if self._abandoned:
            raise CancelledError
        return call(*args, **named)

    def _waited(self, call: Callable[..., Coroutine[Any, Any, T]], *args: Any, **named: Any) -> T:
        """What a coroutine of the client gives; `abandon` ends it from another thread."""
        task = asyncio.run_coroutine_threadsafe(call(*args, **named), self._fs.loop)
        self._asked.add(task)
        try:
            return result_of(task)
        finally:
            task.cancel()
            self._asked.discard(task)

    def abandon(self) -> None:
        """End every request that is under way, and begin no other."""
        self._abandoned = True
        for task in list(self._asked):
            task.cancel()

    def find(self) -> tuple[str, list[Object]]:
        """The objects that the location means, in the order of their names, and their root.

        Raises
        ------
        NotFound
            There are none; names the closest.
        """
        path = self.location.path
        if self.location.kind == "http":
            found = self.look(path)
            return path.rpartition("/")[0], [found]
        stars = [i for i, part in enumerate(path.split("/")) if any(c in part for c in "*?[")]
        if stars:
            root = "/".join(path.split("/")[: stars[0]])
            listed = self._listed(self._fs.glob, path, detail=True)
            names = {name for name in listed if format_of(name)}
        else:
            facts = self._listed(self._fs.info, path)
            if facts.get("type") == "file":
                return path.rpartition("/")[0], [_object(path, facts)]
            root = path
            listed = self._listed(self._fs.find, path, detail=True)
            below = {name: name[len(root) :].lstrip("/") for name in listed}
            names = {name for name, b in below.items() if b and format_of(b) and not hidden(b)}
        files = [_object(n, f) for n, f in listed.items() if n in names and f["type"] == "file"]
        if not files:
            raise self._missing()
        return root, sorted(files, key=lambda one: one.path)

    def _listed(self, call: Callable[..., Any], *args: Any, **named: Any) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self.ask(call, *args, stage="look", **named)
        except NotFound:
            raise self._missing() from None
        except Denied:
            # The answer to a look at one object has no body; one to a listing says why.
            self.ask(self._fs.ls, self.location.path.partition("/")[0], stage="look")
            raise
        return found

    def look(self, path: str, stage: str = "look") -> Object:
        """An object as it is now."""
        if self.location.kind == "http":
            found: Object = self.ask(self._probe, stage=stage)
            return found
        return _object(path, self.ask(self._fs.info, path, stage=stage, refresh=True))

    def _probe(self) -> Object:
        from fsspec.asyn import sync

        found: Object = sync(self._fs.loop, self._first_byte)
        return found

    async def _first_byte(self) -> Object:
        from email.utils import parsedate_to_datetime

        session = await self._fs.set_session()
        url = self._fs.encode_url(self.location.url())
        async with session.get(url, headers={"Range": "bytes=0-0"}) as answer:
            if answer.status == 404:
                raise FileNotFoundError(self.location.path)
            if answer.status != 416:
                answer.raise_for_status()
            heads = answer.headers
            ranged = answer.status == 206
            total = heads.get("Content-Range", "").rpartition("/")[2]
            length = total if ranged else heads.get("Content-Length", "")
            packed = heads.get("Content-Encoding", "identity") not in {"", "identity"}
            size = int(length) if length.isdigit() and not packed else -1
            when = heads.get("Last-Modified")
            stamp = parsedate_to_datetime(when) if when else None
            named = format_of(self.location.path.partition("?")[0])
            kind = heads.get("Content-Type", "").partition(";")[0].strip()
            return Object(
                self.location.path,
                0 if answer.status == 416 else size,
                heads.get("ETag", "").strip('"'),
                "",
                stamp,
                ranged and size > 0,
                "" if named else _TYPES.get(kind, ""),
            )

    def read(self, path: str, ranges: list[tuple[int, int]]) -> list[tuple[int, bytes]]:
        """The bytes of ranges, fetched at the same time; near ones in one request.

        Returns
        -------
        list of (start, bytes)
            They cover all ranges.
        """
        pieces = _pieces(ranges)
        starts, ends = [a for a, _ in pieces], [b for _, b in pieces]
        paths = [self._called(path)] * len(pieces)
        read = partial(self._waited, self._fs._cat_ranges, paths, starts, ends, on_error="raise")
        return list(zip(starts, self.ask(read), strict=True))

    def download(self, found: Object, target: Path) -> None:
        """Copy a whole object; nothing is left of a copy that failed."""
        try:
            self.ask(self._waited, self._fs._get_file, self._called(found.path), str(target))
        except BaseException:
            target.unlink(missing_ok=True)
            raise

    def file(self, found: Object) -> IO[bytes]:
        """An object as a file, of which only the parts are fetched that are read."""
        opened: IO[bytes] = self.ask(
            self._fs.open, self._called(found.path), "rb", block_size=1 << 16, cache_type="bytes"
        )
        return opened

    def check(self, objects: list[Object]) -> None:
        """Make sure that objects are what they were when they were listed.

        Raises
        ------
        Conflict
            One has changed.
        NotFound
            One is gone.
        """
        for one in objects:
            try:
                now = self.look(one.path, "read")
            except NotFound:
                raise NotFound(
                    f"{one.name} went away while it was read",
                    f"it belongs to {self.location.uri}",
                    "read the data again when it is complete",
                    code="E-OBJECT-008",
                ) from None
            if (now.tag, now.size, now.version) != (one.tag, one.size, one.version) or (
                not one.tag and now.modified != one.modified
            ):
                raise Conflict(
                    f"{one.name} was changed while it was read",
                    f"it belongs to {self.location.uri}",
                    "read the data again when nobody writes it",
                    code="E-OBJECT-009",
                )

    def _called(self, path: str) -> str:
        return self.location.url() if self.location.kind == "http" else path

    def _missing(self) -> NotFound:
        """Say what is there instead, as far as it may be listed."""
        path, uri = self.location.path, self.location.uri
        bucket = path.partition("/")[0]
        if self.location.kind == "http":
            fix = "web servers list no files: name one" if "*" in path else "check the URL"
            return NotFound(f"there is no {uri}", fix=fix, code="E-OBJECT-004")
        if self._names(bucket) is None:
            known = self._names("") or []
            return NotFound(
                f"there is no {'container' if self.location.kind == 'az' else 'bucket'} {bucket!r}",
                f"there are {', '.join(known[:8])}" if known else "",
                closest(bucket, known) or "check its name and the endpoint",
                code="E-OBJECT-005",
            )
        parent, _, last = path.rpartition("/")
        known = self._names(parent) or []
        return NotFound(
            f"there is no data at {uri}",
            f"{parent} holds {', '.join(known[:5])}{' …' if len(known) > 5 else ''}"
            if known
            else f"{parent or bucket} holds nothing that starts so",
            closest(last, known) or "check the name",
            code="E-OBJECT-004",
        )

    def _names(self, folder: str) -> list[str] | None:
        """What is in a folder; None when it doesn't exist or may not be listed."""
        try:
            listed: list[str] = self._fs.ls(folder, detail=False)
        except Exception:  # a hint only: the error that led here is told in any case
            return None
        return sorted({name.rstrip("/").rpartition("/")[2] for name in listed} - {""})


_TYPES: Final = {
    "text/csv": ".csv",
    "application/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/json": ".json",
    "application/x-ndjson": ".jsonl",
    "application/jsonl": ".jsonl",
    "application/vnd.apache.parquet": ".parquet",
    "application/vnd.apache.arrow.file": ".arrow",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
}


def _object(path: str, facts: dict[str, Any]) -> Object:
    tag = next((facts[k] for k in ("ETag", "etag", "md5Hash") if facts.get(k)), "")
    when = next((facts[k] for k in ("LastModified", "last_modified", "updated") if facts.get(k)), 0)
    if isinstance(when, str):
        when = datetime.fromisoformat(when.replace("Z", "+00:00"))
    version = facts.get("VersionId") or facts.get("generation") or ""
    return Object(
        path,
        int(facts["size"] or 0),
        str(tag).strip('"'),
        "" if version == "null" else str(version),
        when.astimezone(UTC) if isinstance(when, datetime) else None,
    )


def _pieces(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join ranges that are near each other, and cut long ones to be fetched side by side."""
    joined: list[list[int]] = []
    for start, end in sorted(ranges):
        if joined and start - joined[-1][1] <= _GAP:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([start, end])
    return [
        (at, min(at + _PIECE, end)) for start, end in joined for at in range(start, end, _PIECE)
    ]
