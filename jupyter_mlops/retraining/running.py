"""A training notebook, run by papermill in a process that can be watched and ended."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil
import yaml  # type: ignore[import-untyped]

from jupyter_mlops.workspace import Unavailable

__all__ = ["Progress", "Ran", "run_notebook"]

_LOOK: Final = 0.5
_PATIENCE: Final = 5.0
_LONGEST_REASON: Final = 500


@dataclass(frozen=True)
class Progress:
    """How far a notebook is: cells that are done, all cells, the source of the one that runs."""

    done: int
    cells: int
    running: str
    cpu_seconds: float


@dataclass(frozen=True)
class Ran:
    """What became of a notebook.

    Attributes
    ----------
    notebook : bytes
        The notebook as it ran, with its outputs; empty when it never began.
    error : str
        Why it failed; empty when it didn't.
    stopped : str
        Why it was ended from outside; empty when it wasn't.
    cpu_seconds : float
        Processor time of the kernel and all it started, as seen twice a second.
    """

    notebook: bytes
    error: str
    stopped: str
    seconds: float
    cpu_seconds: float


def run_notebook(
    source: Path,
    parameters: Mapping[str, Any],
    *,
    kernel: str | None,
    environment: Mapping[str, str],
    timeout: float,
    watch: Callable[[Progress], str],
) -> Ran:
    """Run a notebook in its folder, as ``papermill`` does, and wait for its end.

    Parameters
    ----------
    source : Path
    parameters : mapping
        Put into a cell after the one that is tagged ``parameters``.
    kernel : str or None
        The kernelspec; the notebook's own when None.
    environment : mapping of str to str
        Variables that the kernel gets beside those of this process.
    timeout : float
        Seconds after which it is ended.
    watch : callable
        Told how far it is; a sentence that it returns ends the notebook.

    Raises
    ------
    Unavailable
        Papermill can't be started.
    """
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="jupyter-mlops-") as folder:
        output, given = Path(folder) / "ran.ipynb", Path(folder) / "parameters.yaml"
        log = Path(folder) / "log"
        given.write_text(yaml.safe_dump(dict(parameters)), "utf-8")
        command = [sys.executable, "-m", "papermill", str(source), str(output)]
        command += ["-f", str(given), "--cwd", str(source.parent), "--no-progress-bar"]
        command += ["--kernel", kernel] if kernel else []
        # A kernel that waits for a debugger never answers.
        added = {"PYDEVD_DISABLE_FILE_VALIDATION": "1", **environment}
        try:
            with log.open("wb") as stream:
                child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=stream,
                    env={**os.environ, **added},
                    start_new_session=True,
                )
        except OSError as error:
            raise Unavailable(
                "the notebook's process can't be started", str(error), code="E-RETRAIN-020"
            ) from error
        used = _Used(child.pid)
        stopped = ""
        try:
            while child.poll() is None:
                used.look()
                stopped = watch(_progress(output, used.seconds))
                if not stopped and time.monotonic() - begun > timeout:
                    stopped = f"it took longer than {timeout:,.0f} s"
                if stopped:
                    break
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(_LOOK)
        finally:
            # Whatever ended the wait, an interrupt too: no kernel stays behind.
            _end(child)
        notebook = output.read_bytes() if output.is_file() else b""
        failed = ""
        if not stopped and child.returncode != 0:
            failed = _failure(notebook) or _last_line(log) or f"exit status {child.returncode}"
        return Ran(notebook, failed, stopped, time.monotonic() - begun, used.seconds)


class _Used:
    """The processor time of a tree of processes; those that ended keep what was seen last."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._seen: dict[int, float] = {}

    def look(self) -> None:
        try:
            root = psutil.Process(self.pid)
            tree = [root, *root.children(recursive=True)]
        except psutil.Error:
            return
        for one in tree:
            with contextlib.suppress(psutil.Error):
                times = one.cpu_times()
                self._seen[one.pid] = times.user + times.system

    @property
    def seconds(self) -> float:
        return sum(self._seen.values())


def _end(child: subprocess.Popen[bytes]) -> None:
    """End papermill and the kernel, which is in a session of its own."""
    try:
        root = psutil.Process(child.pid)
        tree = [*root.children(recursive=True), root]
    except psutil.Error:
        tree = []
    for one in tree:
        with contextlib.suppress(psutil.Error):
            one.terminate()
    _, alive = psutil.wait_procs(tree, timeout=_PATIENCE)
    for one in alive:
        with contextlib.suppress(psutil.Error):
            one.kill()
    child.wait()


def _progress(output: Path, cpu_seconds: float) -> Progress:
    """What papermill wrote so far: it saves the notebook after each cell."""
    try:
        cells = json.loads(output.read_bytes())["cells"]
    except (OSError, ValueError, KeyError):
        return Progress(0, 0, "", cpu_seconds)  # not begun, or being written right now
    states = [_state(one) for one in cells]
    now = next((n for n, one in enumerate(states) if one == "running"), None)
    source = "".join(cells[now]["source"]) if now is not None else ""
    done = sum(one == "completed" for one in states)
    return Progress(done, len(cells), source.strip().partition("\n")[0][:120], cpu_seconds)


def _state(cell: Mapping[str, Any]) -> str:
    return str(cell.get("metadata", {}).get("papermill", {}).get("status", ""))


def _failure(notebook: bytes) -> str:
    """The error of the cell that failed, with the cell's number."""
    try:
        cells = json.loads(notebook)["cells"]
    except (ValueError, KeyError):
        return ""
    for cell in cells:
        for output in cell.get("outputs", ()):
            if output.get("output_type") == "error":
                number = cell.get("execution_count")
                said = f"{output.get('ename', '')}: {output.get('evalue', '')}"
                return _line(f"cell {number} failed: {said}")
    return ""


def _last_line(log: Path) -> str:
    lines = [one.strip() for one in log.read_text(errors="replace").splitlines() if one.strip()]
    # An exception's name says enough without its module.
    return _line(re.sub(r"^(?:\w+\.)+(?=\w+: )", "", lines[-1])) if lines else ""


def _line(said: str) -> str:
    """One line that any database takes, whatever a cell wrote."""
    plain = "".join(one if one.isprintable() else " " for one in said)
    return " ".join(plain.split())[:_LONGEST_REASON]
