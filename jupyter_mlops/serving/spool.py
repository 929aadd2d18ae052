"""Answers that wait for a caller who reads late, in a file where they are many."""

from __future__ import annotations

import asyncio
import tempfile
from typing import Final

__all__ = ["Spool"]

_IN_MEMORY: Final = 1 << 20
_PIECE: Final = 1 << 18


class Spool:
    """Bytes put in at one end and taken out at the other.

    Parameters
    ----------
    most : int
        Bytes that may wait; whoever adds more waits until some are taken.

    Examples
    --------
    >>> async def example() -> bytes:
    ...     spool = Spool()
    ...     await spool.put(b"answers")
    ...     return await spool.get()
    >>> asyncio.run(example())
    b'answers'
    """

    def __init__(self, most: int = 256 << 20) -> None:
        self.most = most
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  closed below
        self._taken = self._put = 0
        self._ended = False
        self._news = asyncio.Condition()

    async def put(self, content: bytes) -> None:
        """Add bytes."""
        async with self._news:
            await self._news.wait_for(lambda: self._put - self._taken < self.most)
            self._file.seek(self._put)
            self._file.write(content)
            self._put += len(content)
            self._news.notify_all()

    async def end(self) -> None:
        """Say that no more will come."""
        async with self._news:
            self._ended = True
            self._news.notify_all()

    async def get(self) -> bytes:
        """Return what waits, up to a piece; nothing when that was all."""
        async with self._news:
            await self._news.wait_for(lambda: self._ended or self._put > self._taken)
            self._file.seek(self._taken)
            content = self._file.read(min(_PIECE, self._put - self._taken))
            self._taken += len(content)
            if self._taken == self._put:
                self._file.seek(0)
                self._file.truncate()
                self._taken = self._put = 0
            self._news.notify_all()
            return content

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
