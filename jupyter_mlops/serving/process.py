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
from jupyter_mlops.workspace.errors import Conflict, MLOpsError, Unavailable

if TYPE_CHECKING:
    from jupyter_mlops.serving.application import Endpoint

WRONG = 78  # sysexits.h EX_CONFIG: starting again would fail again
TAKEN = 75  # EX_TEMPFAIL: another process serves this already
STATE_SECONDS = 1.0


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


def take_port(port: int, *, takeover: bool = False) -> socket.socket:
    """Reserve a port on 127.0.0.1 without listening yet.

    Processes of one user can share it, so that a new version takes over from the old one
    without a moment in which nobody listens. Unless this is such a takeover, somebody else on
    the port is an error.

    Raises
    ------
    Unavailable
        Another program has the port.
    """
    try:
        if port and not takeover:
            _bind(port, shared=False).close()
        return _bind(port, shared=True)
    except OSError as error:
        reason = "another program uses it" if error.errno == errno.EADDRINUSE else error.strerror
        raise Unavailable(
            f"port {port} cannot be used",
            reason or "",
            "serve on another with `--port`, or leave it out to take a free one",
            code="E-SERVE-022",
        ) from error


def _bind(port: int, *, shared: bool) -> socket.socket:
    taken = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared and hasattr(socket, "SO_REUSEPORT"):
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
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
    from jupyter_mlops.serving.batching import Batcher
    from jupyter_mlops.serving.intake import Intake
    from jupyter_mlops.serving.model_process import Task
    from jupyter_mlops.serving.modelfile import read_model_file
    from jupyter_mlops.serving.trafficlog import TrafficLog
    from jupyter_mlops.serving.workers import start

    file = read_model_file(Path(config.path))
    intake = Intake(
        file.fields,
        tensor=file.tensor,
        key=config.key,
        time=config.time,
        max_rows=config.max_rows,
    )
    task = Task(config.path, config.digest, config.max_memory)
    workers = [start(task) for _ in range(config.replicas)]
    portrait = workers[0].portrait
    log = TrafficLog(
        Path(config.traffic),
        file.fields,
        labels=portrait.labels,
        many=portrait.task == "multiclass",
        about=config.about,
    )
    if not log.ready():
        raise Unavailable(
            "the traffic log cannot be written",
            "the disk is full or read-only",
            "make room or choose another traffic folder",
            code="E-SERVE-023",
        )
    batcher = Batcher(task, workers, log, seconds=config.predict_seconds)
    return Endpoint(config, portrait, batcher, intake, log)


async def serve(endpoint: Endpoint, listener: socket.socket, state: StateFile) -> None:
    """Listen until the process is told to stop, then finish what is under way."""
    import uvicorn

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            # uvicorn's own would raise the signal again, and end us before the log is closed.
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self.handle_exit, number, None)
            yield

    port = listener.getsockname()[1]
    server = Server(
        uvicorn.Config(
            endpoint.application(port),
            http="httptools",
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
    endpoint.batcher.begin()
    running = asyncio.create_task(server.serve(sockets=[listener]))
    fields = {"port": port, "url": f"http://127.0.0.1:{port}"}
    while not running.done():
        if server.started:
            state.write(ready=True, **fields, **endpoint.metrics.state(endpoint.log.bytes_written))
        pause = STATE_SECONDS if server.started else 0.01
        await asyncio.wait([running], timeout=pause)
    await running
    await endpoint.batcher.drain(20.0)
    endpoint.batcher.close()
    state.write(
        ready=False, stopped=True, **fields, **endpoint.metrics.state(endpoint.log.bytes_written)
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the endpoint; return the process's exit status."""
    parser = argparse.ArgumentParser(prog="python -m jupyter_mlops.serving.process")
    parser.add_argument("--config", required=True, type=Path)
    try:
        config = EndpointConfig.read(parser.parse_args(arguments).config)
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
        listener = take_port(config.port, takeover=config.takeover)
        endpoint = build(config)
    except MLOpsError as error:
        print(error, file=sys.stderr)
        state.write(ready=False, error=error.as_dict())
        return WRONG
    except Exception as error:
        traceback.print_exc()
        what = {
            "code": "E-SERVE-024",
            "what": "the model cannot be loaded",
            "why": f"{type(error).__name__}: {str(error)[:200]}",
            "fix": "the endpoint's log holds the details",
        }
        state.write(ready=False, error=what)
        return WRONG
    try:
        import uvloop

        run: Any = uvloop.run
    except ImportError:  # Windows
        run = asyncio.run
    run(serve(endpoint, listener, state))
    os.close(lock)
    return 0


if __name__ == "__main__":
    sys.exit(main())
