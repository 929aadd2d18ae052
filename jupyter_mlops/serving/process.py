"""The endpoint process: ``python -m jupyter_mlops.serving.process --config FILE``.

It is the gateway: it listens on 127.0.0.1, checks who asks and what, has the model's own process
predict, writes the log, and keeps a small state file that the agent and the views read. It never
opens a model, needs neither the store nor MLflow, and lives on when whoever started it dies.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import fcntl
import gc
import json
import os
import signal
import socket
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_mlops.serving.config import EndpointConfig
from jupyter_mlops.serving.grpc.port import GrpcPort
from jupyter_mlops.workspace.errors import Conflict, MLOpsError, Unavailable

if TYPE_CHECKING:
    from jupyter_mlops.serving.application import Endpoint

WRONG = 78  # sysexits.h EX_CONFIG: starting again would fail again
TAKEN = 75  # EX_TEMPFAIL: another process serves this already
STATE_SECONDS = 1.0
_GARBAGE = (10_000, 20, 20)


class StateFile:
    """The process's state, replaced as a whole each time it is written.

    Parameters
    ----------
    path : Path
    config : EndpointConfig
    """

    def __init__(self, path: Path, config: EndpointConfig) -> None:
        import psutil

        self.path = path
        self.fixed: dict[str, Any] = {
            **config.about,
            "pid": os.getpid(),
            "created": psutil.Process().create_time(),
            "started": time.time(),
        }

    def write(self, **more: Any) -> None:
        """Write the state; a full disk makes it old, never torn."""
        partial = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            partial.write_text(json.dumps({**self.fixed, **more, "at": time.time()}))
            partial.replace(self.path)
        except OSError as error:
            print(f"the state file cannot be written: {error.strerror}", file=sys.stderr)
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)


def only_one(config: EndpointConfig) -> int:
    """Take the lock beside the state file; held until the process ends.

    Raises
    ------
    Conflict
        Another process serves it already.
    """
    path = Path(config.state).with_suffix(".lock")
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise Conflict(
            f"endpoint '{config.endpoint}' is served by another process already",
            code="E-SERVE-021",
        ) from None
    return handle


def take_port(port: int) -> socket.socket:
    """Reserve a port on 127.0.0.1 without listening yet.

    Raises
    ------
    Unavailable
        Another program has the port.
    """
    try:
        return _bind(port)
    except OSError as error:
        reason = "another program uses it" if error.errno == errno.EADDRINUSE else error.strerror
        raise Unavailable(
            f"port {port} cannot be used",
            reason or "",
            "serve on another with `--port`, or leave it out to take a free one",
            code="E-SERVE-022",
        ) from error


def _bind(port: int) -> socket.socket:
    taken = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind(("127.0.0.1", port))
    except OSError:
        taken.close()
        raise
    return taken


def build(config: EndpointConfig) -> Endpoint:
    """Start the model's processes and return the endpoint before them.

    Raises
    ------
    MLOpsError
        The model cannot be served; the sentence says why.
    """
    from jupyter_mlops.serving.application import Endpoint

    return Endpoint(config)


class Declared:
    """The configuration file, which the agent writes anew when something else is declared.

    Parameters
    ----------
    path : Path
    endpoint : Endpoint
    """

    def __init__(self, path: Path, endpoint: Endpoint) -> None:
        self.path = path
        self.endpoint = endpoint
        self.grpc = GrpcPort(endpoint)
        self.failed: dict[str, Any] | None = None
        self._seen = self._stamp()
        self._news = False

    def news(self) -> bool:
        """Whether something came of it since this was last asked."""
        news, self._news = self._news, False
        return news

    def _stamp(self) -> tuple[int, int]:
        try:
            about = self.path.stat()
        except OSError:
            return (0, 0)
        return about.st_mtime_ns, about.st_ino

    async def follow(self) -> None:
        """Serve what is declared, if that changed; what fails leaves all as it was."""
        stamp = self._stamp()
        if stamp in (self._seen, (0, 0)):
            return
        self._seen, self._news = stamp, True
        generation = -1
        try:
            config = EndpointConfig.read(self.path)
            generation = config.generation
            if generation == self.endpoint.board.config.generation:
                return
            async with self.grpc.following(config):
                await self.endpoint.board.apply(config)
            self.failed = None
        except MLOpsError as error:
            print(error, file=sys.stderr, flush=True)
            self.failed = {"generation": generation, "error": error.as_dict()}
        except Exception as error:
            traceback.print_exc()
            self.failed = {"generation": generation, "error": unexpected(error)}


def unexpected(error: Exception) -> dict[str, str]:
    """What is told of an error that nobody foresaw."""
    return {
        "code": "E-SERVE-024",
        "what": "the model cannot be loaded",
        "why": f"{type(error).__name__}: {str(error)[:200]}",
        "fix": "the endpoint's log holds the details",
    }


async def serve(
    endpoint: Endpoint, listener: socket.socket, state: StateFile, declared: Declared
) -> int:
    """Listen until the process is told to stop or can't go on; return its exit status.

    Raises
    ------
    Unavailable
        The port for gRPC can't be used.
    """
    import uvicorn

    from jupyter_mlops.serving.shortway import http_for

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            # uvicorn's own would raise the signal again, and end us before the log is closed.
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self.handle_exit, number, None)
            yield

    port = listener.getsockname()[1]
    application = endpoint.application(port)
    server = Server(
        uvicorn.Config(
            application,
            http=http_for(endpoint, application),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=20,
        )
    )
    async with declared.grpc.following(endpoint.config):
        endpoint.board.begin()
    hurry = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hurry.set)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    # What is there by now stays, and requests leave hardly any cycles behind.
    gc.freeze()
    gc.set_threshold(*_GARBAGE)
    fields = {"port": port, "url": f"http://127.0.0.1:{port}"}

    def tell(**more: Any) -> None:
        counted = endpoint.metrics.state()
        about = endpoint.board.config.about
        told = endpoint.board.told() | declared.grpc.told()
        state.write(**fields, **about, **counted, **told, failed=declared.failed, **more)

    following: asyncio.Task[None] | None = None
    looking: asyncio.Task[None] | None = None
    while not running.done():
        if server.started:
            endpoint.board.watch()
            if looking is None or looking.done():
                # A driver may hang, and the endpoint goes on without it.
                looking = asyncio.create_task(
                    asyncio.to_thread(endpoint.metrics.usage.look_at_gpus)
                )
            if endpoint.board.primary.batcher.failed is not None:
                server.should_exit = True  # the agent records why, and shows it
            if following is None or following.done():
                following = asyncio.create_task(declared.follow())
                # Once it is served, say so at once.
                following.add_done_callback(lambda _: hurry.set() if declared.news() else None)
            tell(ready=True)
        hurry.clear()
        wake = asyncio.create_task(hurry.wait())
        pause = STATE_SECONDS if server.started else 0.01
        await asyncio.wait([running, wake], timeout=pause, return_when=asyncio.FIRST_COMPLETED)
        wake.cancel()
    await running
    await declared.grpc.close()
    await endpoint.board.drain(20.0)
    endpoint.board.close()
    failed = endpoint.board.primary.batcher.failed
    tell(ready=False, stopped=True, **({"error": failed.as_dict()} if failed else {}))
    return WRONG if failed else 0


def main(arguments: list[str] | None = None) -> int:
    """Run the endpoint; return the process's exit status."""
    parser = argparse.ArgumentParser(prog="python -m jupyter_mlops.serving.process")
    parser.add_argument("--config", required=True, type=Path)
    given = parser.parse_args(arguments)
    # The agent hurries a process that may not listen for that yet.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        config = EndpointConfig.read(given.config)
        lock = only_one(config)
    except Conflict as error:
        print(error, file=sys.stderr)
        return TAKEN
    except MLOpsError as error:
        print(error, file=sys.stderr)
        return WRONG
    state = StateFile(Path(config.state), config)
    state.write(ready=False)
    # A model's warnings at each request would fill the log and cost more than its arithmetic.
    warnings.simplefilter("ignore")
    try:
        listener = take_port(config.port)
        endpoint = build(config)
    except MLOpsError as error:
        print(error, file=sys.stderr)
        state.write(ready=False, error=error.as_dict())
        return WRONG
    except Exception as error:
        traceback.print_exc()
        state.write(ready=False, error=unexpected(error))
        return WRONG
    try:
        import uvloop

        run: Any = uvloop.run
    except ImportError:  # Windows
        run = asyncio.run
    try:
        status: int = run(serve(endpoint, listener, state, Declared(given.config, endpoint)))
    except MLOpsError as error:
        print(error, file=sys.stderr)
        state.write(ready=False, error=error.as_dict())
        endpoint.board.close()
        return WRONG
    os.close(lock)
    return status


if __name__ == "__main__":
    sys.exit(main())
