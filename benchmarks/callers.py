"""Callers of an endpoint that write down what they were answered, as a process of its own.

Usage: ``python benchmarks/callers.py --port N --token TEXT --out FILE [--callers 16] [--rate 0]``

Each answer is a line: begin and end on the system's monotonic clock, status (0 when the connection
broke), version, prediction id, the number sent and the number predicted. It ends at SIGTERM, or
when ``--requests`` were answered.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import orjson

COLUMNS = ("sent", "b", "c", "d")
#: A version's answers say which it is: they are this times its number, and what was sent.
STEP = 1_000_000


@dataclass(frozen=True)
class Record:
    """What a request came to."""

    begin: float
    end: float
    status: int
    version: int
    prediction_id: str
    sent: int
    predicted: float

    @property
    def right(self) -> bool:
        """Whether the answer is the version's own, to what was sent."""
        return abs(self.predicted - (self.version * STEP + self.sent)) < 0.01


def records(path: Path) -> list[Record]:
    """Read what callers wrote down; a torn last line is left out."""
    found = []
    for line in path.read_text().splitlines():
        told = line.split("\t")
        if len(told) == 7:
            begin, end, status, version, id_, sent, predicted = told
            found.append(
                Record(float(begin), float(end), int(status), int(version), id_, int(sent),
                       float(predicted))
            )  # fmt: skip
    return found


def question(number: int) -> bytes:
    """The body of a request."""
    rows = {"columns": COLUMNS, "data": [[number, 0.5, 0.25, 0.125]]}
    return orjson.dumps({"dataframe_split": rows})


class Line:
    """One connection, made again when it breaks."""

    def __init__(self, port: int, token: str) -> None:
        self.port = port
        self.head = (
            f"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Content-Type: application/json\r\nAuthorization: Bearer {token}\r\n"
        ).encode()
        self._pair: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, number: int) -> Record:
        """Send a number; a broken connection is a record, too."""
        begin = time.monotonic()
        try:
            async with asyncio.timeout(30):
                status, told = await self._exchange(question(number))
        except (OSError, EOFError, TimeoutError):
            if self._pair is not None:
                self._pair[1].close()
            self._pair = None
            return Record(begin, time.monotonic(), 0, 0, "", number, 0.0)
        end = time.monotonic()
        if status != 200:
            return Record(begin, end, status, 0, told.get("code", ""), number, 0.0)
        version = told["model"]["version"] if "model" in told else 0  # MLflow's own says none
        id_ = told["prediction_ids"][0] if version else ""
        return Record(begin, end, 200, int(version), id_, number, float(told["predictions"][0]))

    async def _exchange(self, body: bytes) -> tuple[int, dict]:
        if self._pair is None:
            self._pair = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self._pair
        writer.write(self.head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        at = answer.index(b"content-length:") + 15
        length = int(answer[at : answer.index(b"\r", at)])
        content = await reader.readexactly(length)
        plain = b"content-type: application/json" not in answer
        return int(answer[9:12]), {} if plain else orjson.loads(content)


async def call(given: argparse.Namespace, out: IO[str]) -> None:
    """Ask until told to stop."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    started, asked, answered = time.monotonic(), 0, 0

    async def caller() -> None:
        nonlocal asked, answered
        line = Line(given.port, given.token)
        while not stopping.is_set():
            number = asked
            asked += 1
            if given.rate:
                due = started + number / given.rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            one = await line.ask(number)
            answered += one.status == 200
            out.write(
                f"{one.begin:.6f}\t{one.end:.6f}\t{one.status}\t{one.version}\t"
                f"{one.prediction_id}\t{one.sent}\t{one.predicted!r}\n"
            )
            if one.status != 200:
                await asyncio.sleep(0.02)
            if given.requests and answered >= given.requests:
                stopping.set()

    await asyncio.gather(*(caller() for _ in range(given.callers)))


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--callers", type=int, default=16)
    parser.add_argument("--rate", type=float, default=0.0, help="requests a second; 0: at once")
    parser.add_argument("--requests", type=int, default=0, help="0: until SIGTERM")
    given = parser.parse_args()
    with given.out.open("w", buffering=1) as out:
        asyncio.run(call(given, out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
