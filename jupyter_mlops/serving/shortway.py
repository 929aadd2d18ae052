"""The short way of a plain question: from the socket to the model and back, without a task.

A `POST /invocations` of JSON that is answered in JSON, and that came in one piece, is checked and
put before the model in the callback that read it; its answer is written in the callback that
settles it. Whatever else comes goes uvicorn's way, through the `Door` and the application. Both
ways ask the same of a request and answer the same to it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
import traceback
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from jupyter_mlops.serving.asking import Reply, caller_of, request_id_of
from jupyter_mlops.serving.door import Door, refusal_response
from jupyter_mlops.serving.formats import JSON, Form, form_of, json_answer
from jupyter_mlops.serving.recording import Outcome
from jupyter_mlops.serving.refusals import Refusal

if TYPE_CHECKING:
    from uvicorn import Config
    from uvicorn.server import ServerState

    from jupyter_mlops.serving.application import Endpoint
    from jupyter_mlops.serving.deployed import Deployed
    from jupyter_mlops.serving.intake import Rows

__all__ = ["Line", "ShortWay", "http_for"]

_PATH: Final = b"/invocations"
_END: Final = b"\r\n\r\n"
_PLAIN: Final = Form(JSON, JSON)
#: Heads that are remembered: of as many callers' programs, about.
_HEADS: Final = 512
_FAILED: Final = Refusal(500, "E-SERVE-190", "the endpoint failed; its log says why")


@dataclass(frozen=True)
class _Head:
    """What the checked head of a request says: bytes of the body, the caller's own id, and who."""

    length: int
    request_id: str
    caller: str


class ShortWay:
    """Takes plain questions to an endpoint.

    Parameters
    ----------
    endpoint : Endpoint
    door : Door
        Before the endpoint's application.

    Notes
    -----
    A caller's program sends the same head again and again: one that was parsed and let in is
    remembered, by a keyed digest, so that nobody learns a token from how long looking it up
    takes. The same bytes are let in again without another look.
    """

    def __init__(self, endpoint: Endpoint, door: Door) -> None:
        self.endpoint = endpoint
        self.door = door
        self._key = os.urandom(32)
        self._heads: dict[bytes, _Head] = {}

    def known(self, head: bytes) -> _Head | None:
        """Return what a head says that was let in before."""
        return self._heads.get(self._digest(head))

    def remember(self, raw: bytes, head: _Head) -> None:
        """Let the same bytes in again."""
        if len(self._heads) >= _HEADS:
            self._heads.clear()
        self._heads[self._digest(raw)] = head

    def _digest(self, head: bytes) -> bytes:
        return hashlib.blake2b(head, digest_size=16, key=self._key).digest()

    def head(self, raw: list[tuple[bytes, bytes]]) -> _Head | None:
        """Return what the headers of a question say; None where it is not a plain one."""
        if self.door.refusal(_PATH.decode(), raw) is not None:
            return None
        headers = Headers(raw=raw)
        lengths = headers.getlist("content-length")
        if len(lengths) != 1 or not lengths[0].isdecimal() or "transfer-encoding" in headers:
            return None
        length = int(lengths[0]) if len(lengths[0]) < 16 else self.endpoint.config.max_body + 1
        try:
            form = form_of(headers)
        except HTTPException:
            return None
        if length > self.endpoint.config.max_body or form != _PLAIN:
            return None
        return _Head(length, headers.get("x-request-id", ""), caller_of(headers))

    def ask(self, head: _Head, body: bytes, line: Line, turn: _Turn) -> None:
        """Check a question and put it before the model; `line` is told what comes of it."""
        endpoint = self.endpoint
        asked = _Asked(endpoint, line, turn, request_id_of(head.request_id), head.caller)
        try:
            asked.begin(body)
        except Refusal as refusal:
            asked.settle(refusal)
        except Exception:
            traceback.print_exc()
            asked.settle(_FAILED)


def http_for(endpoint: Endpoint, application: Any) -> Any:
    """What uvicorn's `http` has to be for an endpoint's application."""
    if isinstance(application, Door):
        return partial(Line, ShortWay(endpoint, application))
    return "httptools"  # something stands before the door, and sees requests first


class _Asked:
    """One question on its way."""

    __slots__ = (
        "caller", "endpoint", "line", "request_id", "rows", "started", "turn", "version"
    )  # fmt: skip

    def __init__(
        self, endpoint: Endpoint, line: Line, turn: _Turn, request_id: str, caller: str
    ) -> None:
        self.endpoint = endpoint
        self.caller = caller
        self.line = line
        self.turn = turn
        self.request_id = request_id
        self.version: Deployed = endpoint.board.primary
        self.rows: Rows | None = None
        self.started = time.perf_counter()

    def begin(self, body: bytes) -> None:
        """Check it against the signature and the contract, and put it before the model."""
        board = self.endpoint.board
        sent = _PLAIN.read(body, board.primary.intake, self.endpoint.config.max_body)
        one = board.choose(sent, self.request_id)
        self.rows = one.expectations.meet(replace(sent, caller=self.caller))
        self.version = one
        one.put(self.request_id, self.rows, self.settle)

    def settle(self, result: Outcome | Refusal) -> None:
        """Count it and answer."""
        rows = self.rows
        answered = 0
        if isinstance(result, Refusal) or rows is None:
            refusal = result if isinstance(result, Refusal) else _FAILED
            status = refusal.status
            content = self._refused(refusal)
        else:
            try:
                body = json_answer(Reply(self.version, rows, result), self.request_id)
                self.endpoint.board.shade(self.request_id, rows, result)
                status, answered = 200, rows.count
                content = b"".join(
                    (
                        self.version.header_lines,
                        b"x-request-id: %b\r\ncontent-type: application/json\r\n"
                        b"content-length: %d\r\n\r\n" % (self.request_id.encode(), len(body)),
                        body,
                    )
                )
            except Exception:
                traceback.print_exc()
                status, content = 500, self._refused(_FAILED)
        seconds = time.perf_counter() - self.started
        self.endpoint.metrics.request(
            "invocations", status, self.version.config.version, seconds, answered
        )
        self.line.answer(self.turn, STATUS_LINE[status], content)

    def _refused(self, refusal: Refusal) -> bytes:
        response = refusal_response(refusal.status, refusal.code, refusal.message, self.request_id)
        lines = [b"%b: %b\r\n" % header for header in response.raw_headers]
        return b"".join((*lines, b"\r\n", bytes(response.body)))


class _Nobody:
    """Where uvicorn would wake the task of a request: there is none."""

    def set(self) -> None:
        """Wake nobody."""


class _Turn:
    """A request under way on a connection, as uvicorn sees it: the cycle that others wait for."""

    __slots__ = ("disconnected", "keep_alive", "response_complete")
    message_event: Final = _Nobody()

    def __init__(self) -> None:
        self.disconnected = False
        self.keep_alive = True
        self.response_complete = False


class Line(HttpToolsProtocol):
    """A caller's connection.

    Parameters
    ----------
    way : ShortWay
    config, server_state, app_state
        As uvicorn gives them.
    """

    def __init__(
        self,
        way: ShortWay,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._way = way
        #: Whether the parser is within a request.
        self._within = False
        #: The bytes that the parser reads now, where a request begins with them.
        self._whole = b""
        self._taking: _Head | None = None
        self._parts: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        """Take what a caller sent."""
        self._whole = b""
        if not self._within and self._free():
            stop = data.find(_END) + len(_END)
            if stop >= len(_END):
                head = self._way.known(data[:stop])
                if head is not None and len(data) == stop + head.length:
                    self._unset_keepalive_if_required()
                    self._ask(head, data[stop:])
                    return
                self._whole = data
        super().data_received(data)
        if self._taking is not None:
            # The rest of the body comes later, maybe slowly: that is for a task.
            self._taking, parts = None, self._parts
            if not self.transport.is_closing():
                super().on_headers_complete()
                for part in parts:
                    super().on_body(part)

    def _free(self) -> bool:
        """Whether nothing is under way, nor written and unread."""
        return (self.cycle is None or self.cycle.response_complete) and not self.flow.write_paused

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        self._within = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Choose the way of a request."""
        parser = self.parser
        if (
            self.url == _PATH
            and parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and not self.expect_100_continue
            and self._free()
        ):
            self._taking = self._way.head(self.headers)
            if self._taking is not None:
                self._parts = []
                return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        if self._taking is None:
            super().on_body(body)
        else:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        """Ask what came whole."""
        self._within = False
        head, self._taking = self._taking, None
        if head is None:
            super().on_message_complete()
            return
        body = b"".join(self._parts)
        stop = self._whole.find(_END) + len(_END)
        if stop + len(body) == len(self._whole):
            # It was all there was: a head and its body, nothing before or after.
            self._way.remember(self._whole[:stop], head)
        self._whole = b""
        self._ask(head, body)

    def _ask(self, head: _Head, body: bytes) -> None:
        turn = _Turn()
        self.cycle = turn  # type: ignore[assignment]
        self._way.ask(head, body, self, turn)

    def answer(self, turn: _Turn, status: bytes, content: bytes) -> None:
        """Write an answer and go on."""
        turn.response_complete = True
        if turn.disconnected:
            return
        lines = [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        if not turn.keep_alive:
            lines.append(b"connection: close\r\n")
        self.transport.write(b"".join((status, *lines, content)))
        if not turn.keep_alive:
            self.transport.close()
        self.on_response_complete()
