"""A process that has imported what models need, and forks one for each: in 20 ms, not 2 s.

One serves all workspaces of a user that run the same code. It listens on a socket that its user
alone can open, holds no data, runs no thread, and ends when nobody has needed it for a while.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import gc
import hashlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn

from jupyter_mlops.models.threads import single
from jupyter_mlops.serving import standby
from jupyter_mlops.serving.endings import Endings

__all__ = ["ask", "available", "main", "warm"]

#: What forked processes find imported: gateways, and models.
GATEWAYS: Final = (
    "jupyter_mlops.serving.process",
    "jupyter_mlops.serving.application",
    "jupyter_mlops.serving.workers",
    "jupyter_mlops.serving.shortway",
    "pynvml",
    "ctypes.util",
    "uvicorn.protocols.http.httptools_impl",
    "uvicorn.lifespan.off",
    "uvloop",
)
MODELS: Final = (
    "jupyter_mlops.serving.model_process",
    "pandas",
    "pyarrow.pandas_compat",
    "jupyter_mlops.serving.loading",
    "jupyter_mlops.models.formats",
    "jupyter_mlops.models.freezing",
    "jupyter_mlops.models.skops_policy",
    "sklearn.compose",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "sklearn.tree",
)
_IDLE: Final = 900.0
#: As long as it runs, its environment can't be removed.
_IDLE_ELSEWHERE: Final = 30.0
_MESSAGE: Final = 1 << 16
_START: Final = 60.0
_OFF: Final = "JUPYTER_MLOPS_FORK"


def available() -> bool:
    """Whether processes are forked here: on Linux, unless ``JUPYTER_MLOPS_FORK=off``."""
    return sys.platform == "linux" and os.environ.get(_OFF, "on") != "off"


def warm() -> None:
    """See that a zygote of this interpreter and code runs or starts; wait for nothing."""
    if available() and not _answers():
        _start()


def ask(
    role: str,
    arguments: dict[str, Any],
    log: int,
    cwd: Path,
    descriptors: tuple[int, ...] = (),
    python: str = "",
) -> int:
    """Fork a process.

    Parameters
    ----------
    role : {"model", "gateway"}
    arguments : dict
        What the role takes.
    log : int
        File descriptor that its output goes to.
    cwd : Path
    descriptors : tuple of int
        Further ones that it gets.
    python : str
        Whose zygote forks it: the interpreter of another environment, or this one.

    Returns
    -------
    int
        Its process id.

    Raises
    ------
    InterruptedError
        The zygote was killed after it was asked: what it may have forked has the descriptors,
        which must not be given to a second one.
    OSError
        No zygote answers in time.
    """
    environ = single(_elsewhere() if python else os.environ)
    asked = json.dumps(
        {"role": role, "arguments": arguments, "cwd": str(cwd), "env": environ}
    ).encode()
    address = _address(python)
    until = time.monotonic() + _START
    started: subprocess.Popen[bytes] | None = None
    while True:
        sent = False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_START)
            try:
                connection.connect(str(address))
                length = len(asked).to_bytes(4, "little")
                sent = bool(descriptors)
                socket.send_fds(connection, [length], [log, *descriptors])
                connection.sendall(asked)
                told = connection.recv(64)
                if told:
                    return int(told)
            except (FileNotFoundError, ConnectionError):
                pass
        if sent:
            raise InterruptedError("the process that forks ended before it answered")
        # There is none, it has just ended, or it is about to listen.
        ended = 0 if started is None else started.poll() or 0
        if time.monotonic() > until or ended > 0:
            raise OSError(f"no process can be forked; {address.with_suffix('.log')} says why")
        started = _start(python) if started is None or ended else started
        time.sleep(0.02)


def _answers() -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(str(_address()))
        except OSError:
            return False
    return True


def _elsewhere() -> dict[str, str]:
    """Our variables without those that lead to our own packages."""
    from jupyter_mlops.experiments.environments.uv import surroundings_for

    return surroundings_for({})


def _address(python: str = "") -> Path:
    """Where the zygote of an interpreter, its packages and this code listens."""
    if python:
        packages = [str(one) for one in Path(python).parents[1].glob("lib/python3*/site-packages")]
        told = [python, *packages]
    else:
        # Not the rest of the path: it holds the folder that a process was started in.
        packages = [one for one in sys.path if one.endswith("-packages")]
        told = [sys.executable, __file__, os.environ.get("PYTHONPATH", ""), *packages]
    # Installing a package touches the folder it goes to; editing ours touches the file.
    watched = [Path(one) for one in packages] + sorted(Path(__file__).parent.glob("*.py"))
    told += [str(one.stat().st_mtime_ns) for one in watched if one.exists()]
    name = hashlib.sha256("|".join(told).encode()).hexdigest()[:16]
    return _folder() / f"{name}.sock"


def _folder() -> Path:
    """A short path, as sockets need, that this user alone can enter."""
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    folder = Path(base) / f"jupyter-mlops-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    about = folder.lstat()
    if about.st_uid != os.getuid() or about.st_mode & 0o077:
        raise PermissionError(f"{folder} belongs to somebody else, or can be entered by others")
    return folder


def _start(python: str = "") -> subprocess.Popen[bytes] | None:
    """Start a zygote, unless one starts already."""
    path = _address(python)
    with path.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        with path.with_suffix(".log").open("wb") as log:
            # It inherits the lock, and holds it for as long as it lives.
            command = [python or sys.executable, "-m", "jupyter_mlops.serving.zygote"]
            return subprocess.Popen(
                [
                    *(*command, "--socket", str(path), "--lock", str(lock.fileno())),
                    *(("--models",) if python else ()),
                ],
                # Libraries look when they are loaded, which is before anything is forked.
                env=single(_elsewhere() if python else os.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                pass_fds=(lock.fileno(),),
            )


def main(arguments: list[str] | None = None) -> int:
    """Import, listen and fork until nobody needs it."""
    parser = argparse.ArgumentParser(prog="python -m jupyter_mlops.serving.zygote")
    parser.add_argument("--socket", required=True, type=Path)
    parser.add_argument("--lock", required=True, type=int)
    parser.add_argument("--models", action="store_true", help="of another one's gateways")
    given = parser.parse_args(arguments)
    path: Path = given.socket
    _preload(MODELS if given.models else GATEWAYS + MODELS)
    patience = _IDLE_ELSEWHERE if given.models else _IDLE
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    listener.bind(str(path))
    os.umask(before)
    listener.listen(64)
    wake, ended = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # Collecting garbage would copy the pages that children share.
    gc.collect()
    gc.freeze()
    # Whoever kills us must not make others wait for seconds.
    twin = standby.keep()
    signal.set_wakeup_fd(ended)
    children, me = 0, os.getpid()
    endings = Endings()
    while True:
        ready = select.select([listener.fileno(), wake], [], [], patience)[0]
        if wake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(wake, 4096)
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0] != 0:
                pid = found[0]
                if pid == twin.pid:
                    os.close(twin.line)
                    twin = standby.keep()
                    # Those of the one before are nobody's children now.
                    if os.getpid() != me:
                        endings.forget()
                    children, me = (children if os.getpid() == me else 0), os.getpid()
                else:
                    children -= 1
                    endings.tell(*found)
        if listener.fileno() in ready:
            children += _serve(listener, (wake, ended, twin.line, given.lock), endings)
        elif not ready and children <= 0:
            path.unlink(missing_ok=True)
            twin.dismiss()
            return 0


def _preload(names: tuple[str, ...]) -> None:
    import importlib

    for name in names:
        # What an installation lacks, its models don't need.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    with contextlib.suppress(ImportError):
        _rehearse()


def _rehearse() -> None:
    """Open a model and predict: what only then is imported, children share as well.

    A linear model, since it runs no OpenMP, whose threads a fork would lose.
    """
    import pandas as pd
    from sklearn.linear_model import LinearRegression
    from skops.io import dumps, loads

    frame = pd.DataFrame({"a": [0.0, 1.0, 2.0]})
    loads(dumps(LinearRegression().fit(frame, frame["a"]))).predict(frame)


def _serve(listener: socket.socket, own: tuple[int, ...], endings: Endings) -> int:
    """Answer one request; return how many children there are more."""
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(5.0)
        try:
            head, descriptors, _, _ = socket.recv_fds(connection, 4, 8)
            if len(head) < 4:
                return 0  # somebody looked whether there is anybody
            size, content = int.from_bytes(head, "little"), b""
            while len(content) < size:
                part = connection.recv(min(size - len(content), _MESSAGE))
                if not part:
                    return 0
                content += part
            asked, (log, *others) = json.loads(content), descriptors
            role = str(asked["role"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0
        pid = os.fork()
        if pid == 0:
            for number in (*own, listener.fileno(), connection.fileno()):
                os.close(number)
            endings.forget()
            _child(asked, descriptors)
        endings.add(pid, log, role)
        for number in others:
            os.close(number)
        with contextlib.suppress(OSError):
            connection.sendall(str(pid).encode())
        return 1


def _child(asked: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """Become what was asked for; never return to the loop of the parent."""
    status = 70  # sysexits.h EX_SOFTWARE
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        log, *rest = descriptors
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        os.environ.clear()
        os.environ.update(asked["env"])
        time.tzset()
        os.chdir(asked["cwd"])
        _seed()
        _name(f"mlops-{asked['role']}")
        status = _ROLES[asked["role"]](asked["arguments"], rest)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _seed() -> None:
    """Let no two processes draw the same numbers; Python's own generator sees to itself."""
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()


def _name(name: str) -> None:
    """Be told from the others in `ps` and `top`."""
    set_name = 15  # PR_SET_NAME of prctl(2)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(set_name, name.encode(), 0, 0, 0)


def _model(arguments: dict[str, Any], descriptors: list[int]) -> int:
    from jupyter_mlops.serving.model_process import Task, serve

    return serve(Task.of(arguments), socket.socket(fileno=descriptors[0]))


def _gateway(arguments: dict[str, Any], _: list[int]) -> int:
    from jupyter_mlops.serving.process import main as gateway

    return gateway(["--config", arguments["config"]])


_ROLES: Final[dict[str, Callable[[dict[str, Any], list[int]], int]]] = {
    "model": _model,
    "gateway": _gateway,
}

if __name__ == "__main__":
    sys.exit(main())
