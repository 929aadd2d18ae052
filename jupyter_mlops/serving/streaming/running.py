"""Run a declared stream in this process: one at a time, recorded as it goes, ended gracefully."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import Final

from jupyter_mlops.experiments.trials import process_name
from jupyter_mlops.serving.records import StreamRecord
from jupyter_mlops.serving.streaming.asking import Asking
from jupyter_mlops.serving.streaming.messages import Sink
from jupyter_mlops.serving.streaming.opening import open_sink, open_source
from jupyter_mlops.serving.streaming.pump import Pump, Tally
from jupyter_mlops.serving.streaming.streams import Stream, folder, get
from jupyter_mlops.workspace import Conflict, MLOpsError, Unavailable, Workspace
from jupyter_mlops.workspace.records import utcnow

__all__ = ["run"]

#: Seconds between two notes in the store, and over which the rate is taken.
_NOTE: Final = 1.0
_RATE: Final = 10.0
#: Partitions whose positions are shown.
_SHOWN: Final = 100


def run(
    ws: Workspace, name: str, progress: Callable[[Stream, Tally], None] | None = None
) -> Stream:
    """Run a declared stream until it ends, is idle for long enough, or is stopped.

    SIGTERM and an interrupt end it after what is in flight; a second interrupt at once.

    Parameters
    ----------
    ws : Workspace
    name : str
    progress : callable, optional
        ``progress(stream, tally)`` a few times a second.

    Raises
    ------
    Conflict
        Another process runs it.
    MLOpsError
        A part of it failed, or was away for longer than its patience.
    """
    found = get(ws, name)
    with _alone(ws, found), _signals() as stop:
        return _Run(ws, found, stop, progress)()


class _Run:
    """One run, and what the store is told of it."""

    def __init__(
        self,
        ws: Workspace,
        stream: Stream,
        stop: threading.Event,
        progress: Callable[[Stream, Tally], None] | None,
    ) -> None:
        self.ws, self.stream, self.stop = ws, stream, stop
        self.progress = progress
        self._before = (stream.answered, stream.refused)
        self._noted = 0.0
        self._past: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])

    def __call__(self) -> Stream:
        ws, stream, limits = self.ws, self.stream, self.stream.limits
        kept = folder(ws, stream.name)
        source = open_source(stream.source, stream.name, kept / "source.json", stream.follow)
        sink = open_sink(stream.sink, stream.name, source)
        dead = open_sink(stream.dead, f"{stream.name}.dead")
        asking = Asking(ws, stream.endpoint, stream.name, limits.patience, self.stop)
        pump = Pump(source, sink, dead, asking, limits, self._tell, self.stop)
        self._started(sink)
        try:
            why = pump.run()
        except BaseException as error:
            self._failed(error, pump.tally)
            raise
        finally:
            asking.close()
        return self._ended(why, pump.tally)

    def _started(self, sink: Sink) -> None:
        with self.ws.write() as tx:
            row = tx.session.get_one(StreamRecord, self.stream.name)
            row.state, row.process, row.error = "running", process_name(), None
            row.guarantee = sink.guarantee
            row.started_at, row.ended_at, row.told_at = utcnow(), None, utcnow()
            tx.emit(
                "stream.started",
                self.stream.ref,
                payload={"source": row.source, "sink": row.sink, "guarantee": sink.guarantee},
                inputs=[f"endpoint:{row.endpoint}"],
            )

    def _tell(self, tally: Tally) -> bool:
        """Note how far it is now and then; return whether it should go on."""
        now = time.monotonic()
        done = tally.answered + tally.refused
        self._past.append((now, done))
        while len(self._past) > 2 and now - self._past[0][0] > _RATE:
            self._past.popleft()
        if self.progress is not None:
            self.progress(replace(self.stream, rate=self._rate(), error=tally.trouble), tally)
        if now - self._noted < _NOTE:
            return True
        self._noted = now
        try:
            return self._note(tally)
        except Unavailable:
            # A store that is away for a moment, or a full disk, stops nothing that flows.
            return True

    def _rate(self) -> float:
        (first, before), (last, after) = self._past[0], self._past[-1]
        return (after - before) / (last - first) if last > first else 0.0

    def _note(self, tally: Tally) -> bool:
        with self.ws.read() as session:
            wanted = session.get_one(StreamRecord, self.stream.name).desired
        with self.ws.write() as tx:
            row = tx.session.get_one(StreamRecord, self.stream.name)
            self._fill(row, tally)
        return wanted == "running"

    def _fill(self, row: StreamRecord, tally: Tally) -> None:
        row.answered = self._before[0] + tally.answered
        row.refused = self._before[1] + tally.refused
        row.rate, row.lag = self._rate(), tally.lag
        if tally.marks:
            row.positions = {**row.positions, **dict(list(tally.marks.items())[:_SHOWN])}
        row.error = tally.trouble or None
        row.told_at = utcnow()

    def _ended(self, why: str, tally: Tally) -> Stream:
        with self.ws.write() as tx:
            row = tx.session.get_one(StreamRecord, self.stream.name)
            self._fill(row, tally)
            # The agent begins a detached one again when only its process was told to end.
            goes_on = row.detached and row.desired == "running" and why == "stopped"
            row.state = "waiting" if goes_on else "stopped" if why == "stopped" else "finished"
            row.desired = "running" if goes_on else "stopped"
            row.ended_at, row.process, row.error = utcnow(), None, None
            tx.emit(
                "stream.stopped",
                self.stream.ref,
                payload={
                    "why": why,
                    "answered": tally.answered,
                    "refused": tally.refused,
                    "seconds": round(tally.seconds, 3),
                },
                inputs=[f"endpoint:{row.endpoint}"],
            )
        return replace(get(self.ws, self.stream.name), why=why)

    def _failed(self, error: BaseException, tally: Tally) -> None:
        reason = str(error) if isinstance(error, MLOpsError) else type(error).__name__
        with self.ws.write() as tx:
            row = tx.session.get_one(StreamRecord, self.stream.name)
            self._fill(row, tally)
            row.error, row.ended_at, row.process = reason, utcnow(), None
            row.state = "failed"
            if not row.detached:
                row.desired = "stopped"
            tx.emit(
                "stream.failed",
                self.stream.ref,
                payload={
                    "code": error.code if isinstance(error, MLOpsError) else "",
                    "answered": tally.answered,
                    "refused": tally.refused,
                },
                inputs=[f"endpoint:{row.endpoint}"],
            )


@contextmanager
def _alone(ws: Workspace, stream: Stream) -> Iterator[None]:
    """Hold the stream's lock, which ends with the process however it ends."""
    path = folder(ws, stream.name) / "lock"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Unavailable(
            f"the stream '{stream.name}' can't be locked",
            f"{path}: {error.strerror}",
            "make room, or make the workspace writable",
            code="E-STREAM-150",
        ) from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                f"the stream '{stream.name}' runs in another process",
                stream.process or "",
                f"`%mlops stream stop {stream.name}` ends it",
                code="E-STREAM-151",
            ) from None
        yield
    finally:
        os.close(handle)


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """Let SIGTERM and the first interrupt ask for an end; the second interrupt is one."""
    stop = threading.Event()
    interrupts = 0

    def ask(number: int, _: FrameType | None) -> None:
        nonlocal interrupts
        stop.set()
        interrupts += number == signal.SIGINT
        if interrupts > 1:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
