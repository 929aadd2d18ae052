"""Running uv, which resolves and installs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jupyter_mlops.workspace import Unavailable

__all__ = ["Uv", "UvFailed", "surroundings_for"]

#: What says which Python or which packages are meant, and would mean our own instead.
_OURS: Final = (
    "CONDA_PREFIX",
    "FORCE_COLOR",
    "PYTHONHOME",
    "PYTHONPATH",
    "UV_PROJECT",
    "UV_PROJECT_ENVIRONMENT",
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
    "UV_WORKING_DIRECTORY",
    "VIRTUAL_ENV",
)
_TICK: Final = 1.0
#: Seconds between asking uv to end and ending it.
_PATIENCE: Final = 5.0


class UvFailed(Exception):
    """What uv wrote when it failed."""


@dataclass(frozen=True)
class Uv:
    """A way to run uv.

    Parameters
    ----------
    program : str
        Its path.
    offline : bool
        Whether it may use its cache alone.
    held : tuple of int
        File descriptors that stay open as long as it runs: a lock held through one of them
        outlives us when we are killed, until uv has stopped changing files too.
    waiting : callable, optional
        Called now and then while it runs.
    """

    program: str
    offline: bool = False
    held: tuple[int, ...] = ()
    waiting: Callable[[], None] | None = None

    @classmethod
    def found(cls, offline: bool = False) -> Uv:
        """The uv that is installed beside us, or the one on the path.

        Raises
        ------
        Unavailable
            There is none.
        """
        program: str | None = None
        with suppress(ImportError, FileNotFoundError):
            import uv

            program = uv.find_uv_bin()
        program = program or shutil.which("uv")
        if program is None:
            raise Unavailable(
                "environments need uv, which isn't here",
                fix="run `pip install uv`",
                code="E-ENV-001",
            )
        return cls(program, offline)

    def run(self, *words: str, cwd: Path | None = None) -> str:
        """Run it to its end and return what it printed.

        Raises
        ------
        UvFailed
            Its exit status isn't 0; the message is what it wrote to standard error.
        """
        command = [self.program, *words, *(("--offline",) if self.offline else ())]
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=cwd,
            env=surroundings_for({"NO_COLOR": "1", "UV_NO_PROGRESS": "1"}),
            pass_fds=self.held,
            # What it starts to build packages ends with it.
            start_new_session=True,
        ) as process:
            try:
                out, complaint = self._communicate(process)
            except BaseException:
                _end(process)
                raise
        if process.returncode != 0:
            raise UvFailed(complaint.strip() or f"uv ended with status {process.returncode}")
        return out

    def _communicate(self, process: subprocess.Popen[str]) -> tuple[str, str]:
        while True:
            try:
                return process.communicate(timeout=_TICK)
            except subprocess.TimeoutExpired:
                if self.waiting is not None:
                    self.waiting()


def surroundings_for(more: Mapping[str, str]) -> dict[str, str]:
    """Our environment's variables without those that would lead back to our own packages."""
    return {name: value for name, value in os.environ.items() if name not in _OURS} | dict(more)


def _end(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
