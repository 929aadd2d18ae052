"""Ending a cluster's process, and whatever it or its trials began.

Every process below a cluster's has a mark of that cluster in its environment. By it what is left
is found, even of a trial that began processes in a session of their own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Mapping
from typing import Final

import psutil

from jupyter_mlops.experiments.clusters.tether import ENVIRONMENT, MARK, WORKER
from jupyter_mlops.experiments.trials import may_live
from jupyter_mlops.workspace import Denied

__all__ = ["end", "here", "marked", "sweep"]

_STEP: Final = 0.05


def marked(environ: Mapping[str, str], mark: str, environment: str = "") -> dict[str, str]:
    """Variables with a mark, in place of those of a cluster that this runs in.

    Parameters
    ----------
    environment : str
        The named environment that the cluster runs in, if any.
    """
    kept = {name: one for name, one in environ.items() if name not in {WORKER, ENVIRONMENT}}
    return kept | {MARK: mark} | ({ENVIRONMENT: environment} if environment else {})


def here(process: str) -> bool:
    """Whether a process, as its record names it, is one of this machine."""
    return process.rsplit(":", 2)[0] == socket.gethostname()


def end(process: str, timeout: float) -> None:
    """Tell a process of this machine to end, and end it when it doesn't.

    Raises
    ------
    Denied
        It is another user's.
    """
    if not here(process):
        return
    pid = int(process.rsplit(":", 2)[1])
    try:
        for number, seconds in ((signal.SIGTERM, timeout), (signal.SIGKILL, 2.0)):
            if not may_live(process):
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            until = time.monotonic() + seconds
            while may_live(process) and time.monotonic() < until:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)  # where it is our own child
                time.sleep(_STEP)
    except PermissionError:
        raise Denied(
            "the cluster's process can't be ended",
            "another user of this machine runs it",
            "it ends by itself in a moment when it still reads the store",
            code="E-CLUSTER-013",
        ) from None


def sweep(mark: str, below: str = "") -> int:
    """Kill all processes with a cluster's mark but this one; return how many there were.

    Parameters
    ----------
    mark : str
        Nothing is killed for an empty one.
    below : str
        Only what that worker, by its process id, began.
    """
    found = 0
    for one in psutil.process_iter() if mark else ():
        with contextlib.suppress(psutil.Error):
            environ = one.environ()
            if environ.get(MARK) != mark or one.pid == os.getpid():
                continue
            if below and environ.get(WORKER) != below:
                continue
            one.kill()
            found += 1
    return found
