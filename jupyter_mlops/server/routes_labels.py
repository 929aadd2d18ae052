"""What labelers ask of the server: items, their media, and to keep decisions."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_mlops.server.answers import RESOURCE, MLOpsHandler
from jupyter_mlops.workspace.errors import MLOpsError

__all__ = [
    "HANDLERS",
    "LabelActionHandler",
    "LabelMediaHandler",
    "LabelPeaksHandler",
    "LabelStateHandler",
    "LabelerScriptHandler",
]

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class LabelHandler(MLOpsHandler):
    """What the routes of a labeling task share."""

    async def reply(self, task: str, action: str) -> None:
        """Answer as the store does; the person is the server's user."""
        try:
            body = self.json_body()
            found = await self.in_thread(self._ask, task, action, body)
        except MLOpsError as error:
            self.refuse(error)
            return
        await self.finish(found)

    def _ask(self, task: str, action: str, body: dict[str, Any]) -> dict[str, Any]:
        from jupyter_mlops.labeling import answer

        ws = self.app.served.open(self.actor, create=False)
        return answer(ws, task, ws.user, action, body)


class LabelStateHandler(LabelHandler):
    """How far a task is; also how a labeler finds out whether this server knows the task."""

    SUPPORTED_METHODS = ("POST",)

    @web.authenticated
    @authorized("read", RESOURCE)  # type: ignore[untyped-decorator]
    async def post(self, task: str) -> None:
        await self.reply(task, "state")


class LabelActionHandler(LabelHandler):
    """Claim items, keep decisions, renew or release what is held."""

    SUPPORTED_METHODS = ("POST",)

    @web.authenticated
    @authorized("write", RESOURCE)  # type: ignore[untyped-decorator]
    async def post(self, task: str, action: str) -> None:
        await self.reply(task, action)


class LabelMediaHandler(LabelHandler):
    """An item's bytes, whole or in ranges (RFC 9110, section 14)."""

    SUPPORTED_METHODS = ("GET", "HEAD")

    @property
    def content_security_policy(self) -> str:
        return "default-src 'none'; sandbox"

    @web.authenticated
    @authorized("read", RESOURCE)  # type: ignore[untyped-decorator]
    async def get(self, task: str, item: str) -> None:
        await self._send(task, int(item))

    @web.authenticated
    @authorized("read", RESOURCE)  # type: ignore[untyped-decorator]
    async def head(self, task: str, item: str) -> None:
        await self._send(task, int(item))

    async def _send(self, task: str, item: int) -> None:
        try:
            media = await self.in_thread(self._find, task, item)
            tag = f'"{media.digest}"'
            self.set_header("ETag", tag)
            # The content is named by its digest; an item never shows another.
            self.set_header("Cache-Control", "private, max-age=86400, immutable")
            self.set_header("Accept-Ranges", "bytes")
            self.set_header("X-Content-Type-Options", "nosniff")
            if tag in self.request.headers.get("If-None-Match", ""):
                self.set_status(304)
                await self.finish()
                return
            start, length = self._range(media.size, tag)
            if length <= 0:
                self.set_status(416)
                self.set_header("Content-Range", f"bytes */{media.size}")
                await self.finish()
                return
            if length < media.size:
                self.set_status(206)
                self.set_header("Content-Range", f"bytes {start}-{start + length - 1}/{media.size}")
            content = await self.in_thread(media.read, start, length)
        except MLOpsError as error:
            self.refuse(error)
            return
        await self.finish(content, set_content_type=media.type)

    def _find(self, task: str, item: int) -> Any:
        from jupyter_mlops.labeling import open_media

        side = self.get_query_argument("side", "")
        return open_media(self.app.served.open(create=False), task, item, side)

    def _range(self, size: int, tag: str) -> tuple[int, int]:
        """First byte and number of bytes; a number below one can't be satisfied."""
        asked = _RANGE.fullmatch(self.request.headers.get("Range", ""))
        condition = self.request.headers.get("If-Range", tag)
        if asked is None or asked.groups() == ("", "") or condition != tag:
            return 0, size
        first, last = asked.groups()
        if not first:
            length = min(size, int(last))
            return size - length, length
        start = int(first)
        stop = min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return 0, size  # not a range at all: RFC 9110 says to ignore it
        return start, stop - start


class LabelPeaksHandler(LabelHandler):
    """How loud an item's sound is along its time."""

    SUPPORTED_METHODS = ("GET",)

    @web.authenticated
    @authorized("read", RESOURCE)  # type: ignore[untyped-decorator]
    async def get(self, task: str, item: str) -> None:
        try:
            found = await self.in_thread(self._peaks, task, int(item))
        except MLOpsError as error:
            self.refuse(error)
            return
        await self.finish(found.as_dict())

    def _peaks(self, task: str, item: int) -> Any:
        from jupyter_mlops.labeling import peaks_of

        return peaks_of(self.app.served.open(create=False), task, item)


class LabelerScriptHandler(LabelHandler):
    """The labeler's scripts and style: the whole one, and what each kind of answers adds."""

    SUPPORTED_METHODS = ("GET",)

    @web.authenticated
    @authorized("read", RESOURCE)  # type: ignore[untyped-decorator]
    async def get(self, file: str) -> None:
        try:
            content = await self.in_thread(self._content, file)
        except MLOpsError as error:
            self.refuse(error)
            return
        tag = f'"{hashlib.sha256(content).hexdigest()}"'
        self.set_header("ETag", tag)
        # Asked for again each time, and sent again only when it is another.
        self.set_header("Cache-Control", "private, no-cache")
        self.set_header("X-Content-Type-Options", "nosniff")
        if tag in self.request.headers.get("If-None-Match", ""):
            self.set_status(304)
            await self.finish()
            return
        type = "text/css" if file.endswith(".css") else "text/javascript"
        await self.finish(content, set_content_type=f"{type}; charset=utf-8")

    def _content(self, file: str) -> bytes:
        from jupyter_mlops.labeling.widgets import bundle

        if file == "labeler.css":
            return bundle.style().encode()
        if file == "labeler.js":
            return bundle.script().encode()
        return bundle.pad(file.removesuffix(".js"))


_TASK = r"/mlops/api/labels/([^/]+)"
HANDLERS: list[tuple[str, type]] = [
    (rf"{_TASK}/state", LabelStateHandler),
    (rf"{_TASK}/(claim|events|renew|release)", LabelActionHandler),
    (rf"{_TASK}/media/(\d{{1,9}})", LabelMediaHandler),
    (rf"{_TASK}/peaks/(\d{{1,9}})", LabelPeaksHandler),
    (r"/mlops/api/labelers/([a-z.]+)", LabelerScriptHandler),
]
