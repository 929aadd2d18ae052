"""What all protocols do with a request: take its body in, name it, say who answered."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from jupyter_mlops.serving.batching import Outcome
from jupyter_mlops.serving.ids import CALLER, new_request_id
from jupyter_mlops.serving.intake import Rows
from jupyter_mlops.serving.refusals import Refusal

if TYPE_CHECKING:
    from starlette.requests import Request

    from jupyter_mlops.serving.deployed import Deployed

__all__ = [
    "TIME_TO_SEND",
    "Reply",
    "caller_of",
    "length_of",
    "pieces",
    "read_body",
    "request_id_of",
    "too_large",
]

#: Seconds that a sender has for a body, or for the next piece of one that is answered in pieces.
TIME_TO_SEND: Final = 30.0
_LONGEST_CALLER: Final = 128
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")


@dataclass(frozen=True)
class Reply:
    """A request that was answered.

    Attributes
    ----------
    version : Deployed
        Who answered it.
    rows : Rows
        What was asked.
    outcome : Outcome
    """

    version: Deployed
    rows: Rows
    outcome: Outcome


def request_id_of(given: str) -> str:
    """Return the caller's own id of a request, where it is one, or a new one."""
    return given if _REQUEST_ID.fullmatch(given) else new_request_id()


def caller_of(headers: Mapping[str, str]) -> str:
    """Return who asks, as the request says: its header, its user name, or else its program.

    All callers have the one token of the endpoint, so nobody vouches for what they say.
    """
    said = headers.get(CALLER, "")
    if not said:
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                said = base64.b64decode(credentials, validate=True).partition(b":")[0].decode()
            except (binascii.Error, ValueError):
                said = ""
    else:
        # HTTP knows Latin-1 alone; names come in UTF-8.
        said = said.encode("latin-1", "replace").decode("utf-8", "replace")
    said = said or headers.get("user-agent", "")
    return said[:_LONGEST_CALLER] if said.isprintable() else ""


def length_of(request: Request) -> int | None:
    """Return how many bytes a request says that its body has; None when it does not say."""
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        return None
    return int(length) if len(length) < 16 else 10**15


def too_large(limit: int, what: str = "the body") -> Refusal:
    """Return the refusal of more than `limit` bytes."""
    return Refusal(413, "E-SERVE-160", f"{what} is larger than {limit >> 20} MiB: send it in parts")


async def read_body(request: Request, limit: int, seconds: float = TIME_TO_SEND) -> bytes:
    """Read a request's body.

    Parameters
    ----------
    request : Request
    limit : int
        Bytes accepted.
    seconds : float
        How long the sender may take.

    Raises
    ------
    Refusal
        The body is larger (413) or the sender slower (408).
    """
    if (length_of(request) or 0) > limit:
        raise too_large(limit)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise too_large(limit)
                chunks.append(chunk)
    except TimeoutError:
        raise _too_slow() from None
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def pieces(request: Request, seconds: float = TIME_TO_SEND) -> AsyncIterator[bytes]:
    """Give a body piece by piece as it comes, for as long as the next comes in time.

    Raises
    ------
    Refusal
        The sender paused for longer (408).
    """
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(seconds):
                piece = await anext(stream, None)
        except TimeoutError:
            raise _too_slow() from None
        if piece is None:
            return
        if piece:
            yield piece


def _too_slow() -> Refusal:
    return Refusal(408, "E-SERVE-161", "the body did not arrive in time")
