"""Where parts are answered: in a process of this machine, or in the workers of a cluster."""

from __future__ import annotations

import io
import json
import os
import selectors
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol

import polars as pl

from jupyter_mlops.experiments.environments.uv import surroundings_for
from jupyter_mlops.serving.batch.job import Spec
from jupyter_mlops.workspace import Unavailable, errors

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["ClusterLane", "Lane", "ProcessLane"]

#: Seconds. Where system calls go on after a signal, as they do once polars is imported, Python
#: hears of an interrupt only when a wait is over.
_STEP: Final = 0.2
Draft = Callable[[str, int, Path], Path]


class Lane(Protocol):
    """Takes parts and gives their outcomes, in any order."""

    @property
    def free(self) -> bool:
        """Whether it can take another part at once."""

    def submit(self, part: int, start: int, rows: pl.LazyFrame) -> None:
        """Hand in a part."""

    def collect(self) -> list[tuple[int, dict[str, Any]]]:
        """What has come back within a moment.

        Raises
        ------
        MLOpsError
            A part couldn't be answered.
        """

    def __enter__(self) -> Lane: ...

    def __exit__(self, *raised: Any) -> None: ...


def raise_error(told: dict[str, str]) -> None:
    """Raise what went wrong elsewhere."""
    kind: type[errors.MLOpsError] = getattr(errors, told["kind"], errors.MLOpsError)
    raise kind(told["what"], told["why"], told["fix"], code=told["code"])


class ProcessLane:
    """One process beside this one holds the model; the next part waits while one is answered.

    Parameters
    ----------
    spec : Spec
    draft : callable
        ``draft(kind, part, scratch)``: the path that a part's file is written to.
    interpreter : Path, optional
        Of another environment.
    """

    def __init__(self, spec: Spec, draft: Draft, interpreter: Path | None = None) -> None:
        self.spec = spec
        self.interpreter = interpreter
        self.draft = draft
        self._waiting: dict[int, Path] = {}
        self._buffer = b""

    def __enter__(self) -> ProcessLane:
        self._scratch = tempfile.TemporaryDirectory(prefix="jupyter-mlops-")
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [str(self.interpreter or sys.executable), "-m", "jupyter_mlops.serving.batch.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            bufsize=0,
            # An interrupt is meant for the cell.
            start_new_session=True,
            env=surroundings_for({}) if self.interpreter else None,
        )
        self._told = selectors.DefaultSelector()
        self._told.register(self._out, selectors.EVENT_READ)
        self._say(self.spec.write())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Whatever it still does, nobody waits for it, and its drafts never appear.
        self._process.kill()
        self._process.wait()
        self._told.close()
        for pipe in (self._process.stdin, self._process.stdout, self._log):
            if pipe is not None:
                pipe.close()
        self._scratch.cleanup()

    @property
    def free(self) -> bool:
        return len(self._waiting) < 2

    def submit(self, part: int, start: int, rows: pl.LazyFrame) -> None:
        folder = Path(self._scratch.name)
        path = folder / f"rows-{part:05d}.arrow"
        rows.collect().rechunk().write_ipc(path, compression="uncompressed")
        self._waiting[part] = path
        drafts = {kind: str(self.draft(kind, part, folder)) for kind in ("answers", "rejected")}
        self._say(json.dumps({"part": part, "start": start, "rows": str(path), **drafts}))

    def collect(self) -> list[tuple[int, dict[str, Any]]]:
        if not self._told.select(_STEP):
            return []
        read = os.read(self._out.fileno(), 1 << 16)
        if not read:
            raise self._died()
        *lines, self._buffer = (self._buffer + read).split(b"\n")
        found = []
        for line in lines:
            outcome = json.loads(line)
            part = outcome.pop("part")
            self._waiting.pop(part).unlink()
            if "error" in outcome:
                raise_error(outcome["error"])
            found.append((part, outcome))
        return found

    @property
    def _out(self) -> Any:
        assert self._process.stdout is not None
        return self._process.stdout

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
        except BrokenPipeError:
            raise self._died() from None

    def _died(self) -> Unavailable:
        status = self._process.wait()
        self._log.seek(0)
        lines = self._log.read()[-4000:].decode("utf-8", "replace").strip().splitlines()
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        return Unavailable(
            f"the process that held the model ended {how}",
            lines[-1][:300] if lines else "it said nothing; it may have run out of memory",
            "the same line goes on with the part it was at; fewer --part-rows take less memory",
            code="E-BATCH-030",
        )


class ClusterLane:
    """The workers of a Dask cluster, each of which loads the model once.

    Parameters
    ----------
    client : distributed.Client
        Closed by whoever made it.
    spec : Spec
    workers : int
    shares_disk : bool
        Whether the workers read this machine's files under the same names.
    reads_there : bool
        Whether a lazy frame can go to a worker, instead of its rows.
    """

    def __init__(
        self, client: Client, spec: Spec, workers: int, *, shares_disk: bool, reads_there: bool
    ) -> None:
        self.client = client
        self.spec = spec.write()
        self.reads_there = reads_there
        self.most = 2 * max(1, workers)
        self._waiting: dict[int, Future] = {}
        self._model = None if shares_disk else client.scatter(_packed(Path(spec.path)), hash=False)
        self._mark = spec.job

    def __enter__(self) -> ClusterLane:
        return self

    def __exit__(self, *raised: Any) -> None:
        self.client.cancel(list(self._waiting.values()))

    @property
    def free(self) -> bool:
        return len(self._waiting) < self.most

    def submit(self, part: int, start: int, rows: pl.LazyFrame) -> None:
        from jupyter_mlops.serving.batch.worker import score_on_cluster

        given: Any = rows
        if not self.reads_there:
            target = io.BytesIO()
            rows.collect().write_ipc(target, compression="lz4")
            given = self.client.scatter(target.getvalue(), hash=False)
        self._waiting[part] = self.client.submit(
            score_on_cluster, self.spec, self._model, start, given,
            key=f"predict-{self._mark}-{part}-{os.urandom(4).hex()}", pure=False,
        )  # fmt: skip

    def collect(self) -> list[tuple[int, dict[str, Any]]]:
        from distributed import wait

        try:
            with self.client.as_current():
                wait(list(self._waiting.values()), timeout=_STEP, return_when="FIRST_COMPLETED")
        except TimeoutError:
            return []
        found = []
        for part in [part for part, future in self._waiting.items() if future.done()]:
            future = self._waiting.pop(part)
            try:
                outcome = future.result()
            except Exception as error:  # a worker that died again and again, a scheduler that left
                raise Unavailable(
                    f"the cluster gave no answer to part {part}",
                    f"{type(error).__name__}: {str(error)[:200]}",
                    "the same line goes on where it stopped",
                    code="E-BATCH-031",
                ) from None
            if "error" in outcome:
                raise_error(outcome["error"])
            found.append((part, outcome))
        return found


def _packed(folder: Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())
    return packed.getvalue()
