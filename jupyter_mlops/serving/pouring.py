"""Bodies that are answered while they come: block after block, in bounded memory.

Lines of JSON and Arrow batches that come without a length, or with one above the limit of a whole
body, are answered as they arrive. Many clients read nothing before they have sent all; for them
answers wait in a file, up to a bound, beyond which they have to read to go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import traceback
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from jupyter_mlops.serving.arrowbody import STREAM_END, ArrowSplitter, answer_batch, read_arrow
from jupyter_mlops.serving.asking import TIME_TO_SEND, Reply, caller_of, pieces
from jupyter_mlops.serving.formats import Form
from jupyter_mlops.serving.intake import Rows
from jupyter_mlops.serving.lines import LINES, LineSplitter, refused_line, take_lines, write_lines
from jupyter_mlops.serving.refusals import Refusal
from jupyter_mlops.serving.spool import Spool

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from jupyter_mlops.serving.application import Endpoint

__all__ = ["pour"]

#: Statuses that tell of rows alone: whoever sent others may go on.
_OF_THE_ROWS: Final = frozenset({400, 422, 504})
_BROKEN_CONTRACT: Final = "E-SERVE-170"
_PAUSE: Final = 0.1


async def pour(endpoint: Endpoint, request: Request, form: Form, request_id: str) -> Response:
    """Answer a body while it comes.

    Raises
    ------
    Refusal
        Nothing of it can be answered; what fails later is told within the answer.
    ClientDisconnect
        The caller hung up before the first answer.
    """
    kind = _Lines if form.sent == LINES else _Batches
    pouring = kind(endpoint, request_id, caller_of(request.headers))
    answers = pouring.answers(pieces(request))
    first = await anext(answers, b"")
    if not first:
        raise Refusal(400, "E-SERVE-103", "the request holds no rows")
    headers = {**endpoint.board.primary.headers, "x-request-id": request_id}
    return _Poured(pouring, first, answers, headers, form.wanted)


class _Pouring(ABC):
    """What lines and batches have in common."""

    def __init__(self, endpoint: Endpoint, request_id: str, caller: str) -> None:
        self.endpoint = endpoint
        self.request_id = request_id
        self.caller = caller
        self.limit = endpoint.config.max_body

    @abstractmethod
    def answers(self, sent: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Give the answer piece by piece."""

    @abstractmethod
    def last(self, refusal: Refusal) -> bytes:
        """Return what ends an answer that goes no further; nothing where it has to be cut off."""

    async def ask(self, size: int, decode: Callable[[], Rows], *, counted: bool = False) -> Reply:
        """Have rows predicted; while too many wait already, these do, too."""
        clock = asyncio.get_running_loop()
        until = clock.time() + TIME_TO_SEND
        while True:
            try:
                with self.endpoint.counting("invocations") as count:
                    return await self.endpoint.ask(
                        count, self.request_id, size, decode, counted=counted, caller=self.caller
                    )
            except Refusal as refusal:
                if refusal.status != 429 or clock.time() > until:
                    raise
            await asyncio.sleep(_PAUSE)


class _Lines(_Pouring):
    """Each row has its line in the answer, with a prediction or with what is wrong with it."""

    def __init__(self, endpoint: Endpoint, request_id: str, caller: str) -> None:
        super().__init__(endpoint, request_id, caller)
        self.row = 0

    async def answers(self, sent: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        splitter = LineSplitter(self.limit)
        async for piece in sent:
            for lines in splitter.feed(piece):
                yield await self._answered(lines)
        if lines := splitter.end():
            yield await self._answered(lines)

    def last(self, refusal: Refusal) -> bytes:
        return refused_line(refusal, self.row)

    async def _answered(self, lines: list[bytes]) -> bytes:
        try:
            told = write_lines(await self._ask(lines))
        except Refusal as refusal:
            if refusal.status not in _OF_THE_ROWS:
                raise
            counted = refusal.code == _BROKEN_CONTRACT
            # One of them is wrong, or more: each is asked alone, and they share the batches.
            alone = [self._alone(line, self.row + n, counted) for n, line in enumerate(lines)]
            told = b"".join(await asyncio.gather(*alone))
        self.row += len(lines)
        return told

    async def _alone(self, line: bytes, row: int, counted: bool) -> bytes:
        try:
            return write_lines(await self._ask([line], counted=counted))
        except Refusal as refusal:
            if refusal.status not in _OF_THE_ROWS:
                raise
            message = refusal.message.removeprefix("row 0: ").removeprefix("row 0, ")
            return refused_line(Refusal(refusal.status, refusal.code, message), row)

    async def _ask(self, lines: list[bytes], *, counted: bool = False) -> Reply:
        def decode() -> Rows:
            return take_lines(lines, self.endpoint.board.primary.intake)

        return await self.ask(sum(map(len, lines)), decode, counted=counted)


class _Batches(_Pouring):
    """One batch of answers for each of rows."""

    schema: pa.Schema | None = None

    async def answers(self, sent: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        splitter = ArrowSplitter(self.limit)
        async for piece in sent:
            for content in splitter.feed(piece):
                yield await self._answered(content)
        splitter.end()
        if self.schema is not None:
            yield STREAM_END

    def last(self, refusal: Refusal) -> bytes:
        return b""

    async def _answered(self, content: bytes) -> bytes:
        def decode() -> Rows:
            return read_arrow(content, self.endpoint.board.primary.intake, self.limit)

        reply = await self.ask(len(content), decode)
        batch = answer_batch(reply, self.request_id)
        if self.schema is None:
            self.schema = batch.schema
            return b"".join([batch.schema.serialize(), batch.serialize()])
        if batch.schema != self.schema:
            raise Refusal(503, "E-SERVE-125", "another version, of other answers, took over")
        return bytes(batch.serialize())


class _Poured(Response):
    """The answer, sent as it is made; one that ends too early is cut off, not rounded off."""

    def __init__(
        self,
        pouring: _Pouring,
        first: bytes,
        answers: AsyncIterator[bytes],
        headers: dict[str, str],
        media_type: str,
    ) -> None:
        self.pouring = pouring
        self.first = first
        self.answers = answers
        self.whole = False
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        spool = Spool()
        await spool.put(self.first)
        making = asyncio.create_task(self._make(spool))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            while content := await spool.get():
                part: Any = {"type": "http.response.body", "body": content, "more_body": True}
                await send(part)
            if self.whole:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            making.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await making
            spool.close()

    async def _make(self, spool: Spool) -> None:
        try:
            async for content in self.answers:
                await spool.put(content)
            self.whole = True
        except Refusal as refusal:
            last = self.pouring.last(refusal)
            print(f"request {self.pouring.request_id}: {refusal}", file=sys.stderr, flush=True)
            if last:
                await spool.put(last)
                self.whole = True
        except ClientDisconnect:
            pass  # what it had sent is answered and logged; there is nobody to tell
        except Exception:
            traceback.print_exc()
        finally:
            await spool.end()
