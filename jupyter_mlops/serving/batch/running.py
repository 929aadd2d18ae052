"""A batch prediction from its first row to its manifest."""

from __future__ import annotations

import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import polars as pl

from jupyter_mlops.data import Table, add, resolve
from jupyter_mlops.data.sources.files.columnar import ParquetFiles
from jupyter_mlops.data.sources.frames import FrameSource
from jupyter_mlops.profiling.interrupting import deferred
from jupyter_mlops.serving.batch.job import Job, Receipt
from jupyter_mlops.serving.batch.lanes import ClusterLane, Lane, ProcessLane
from jupyter_mlops.serving.batch.output import ANSWERS, Output
from jupyter_mlops.serving.batch.places import Place, place_of
from jupyter_mlops.serving.batch.results import BatchPrediction, BatchStep
from jupyter_mlops.serving.batch.rows import RESERVED, check_columns, sliceable
from jupyter_mlops.serving.expectations import Mode
from jupyter_mlops.serving.modelfile import read_model_file
from jupyter_mlops.workspace import Invalid, Workspace, check_name

if TYPE_CHECKING:
    from jupyter_mlops.experiments.clusters import Cluster

__all__ = ["PART_ROWS", "Version", "check", "predict"]

PART_ROWS: Final = 100_000
_MOST: Final = 2_000_000
#: Rows that are given back without a folder to keep them.
_IN_MEMORY: Final = 1_000_000
_SHOWN: Final = 10


class Version(Protocol):
    """What is needed of a registered model; `models.ModelVersion` is one."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def digest(self) -> str: ...
    @property
    def ref(self) -> str: ...
    def path(self, ws: Workspace) -> Path: ...


def predict(
    ws: Workspace,
    version: Version,
    table: Table,
    *,
    to: str | None = None,
    cluster: Cluster | None = None,
    keep: tuple[str, ...] = (),
    probabilities: bool = False,
    part_rows: int = PART_ROWS,
    mode: Mode = "observe",
    name: str | None = None,
    progress: Callable[[BatchStep], None] | None = None,
    stop: threading.Event | None = None,
    interpreter: Path | None = None,
) -> BatchPrediction:
    """Answer all rows of a table, part by part, as an endpoint of the model would.

    The same call after an interrupt or a kill goes on where it stopped: parts that are there,
    by their digests, aren't done again.

    Parameters
    ----------
    ws : Workspace
    version : ModelVersion
    table : Table
        Larger than memory if need be. Its key goes along into the output.
    to : str, optional
        A folder or a URI; without it the answers come back in memory.
    cluster : Cluster, optional
        Whose workers answer; a process of this machine when left out.
    keep : tuple of str
        Further columns that go along.
    probabilities : bool
        Whether the classes' probabilities are written too.
    part_rows : int
        Rows of a part, from 1 to 2,000,000.
    mode : {"observe", "enforce", "off"}
        Rows that break the contract are counted, stop the job, or aren't looked for. Rows that
        don't fit the signature are put aside, and stop the job when it enforces.
    name : str, optional
        The dataset that the answers become.
    progress : callable, optional
    stop : threading.Event, optional
        Set by somebody who wants it to end, as by an interrupt.
    interpreter : Path, optional
        Of another environment, whose process holds the model where no cluster answers.

    Raises
    ------
    Invalid
        A column is missing, or a row doesn't fit and the job enforces.
    Conflict
        The folder holds something else.
    KeyboardInterrupt
        Somebody stopped it; the argument says how far it was.

    Examples
    --------
    >>> predict(ws, models.get(ws, "delay@champion"), table, to="scores")  # doctest: +SKIP
    """
    if name is not None:
        check_name(name, "dataset")
    if table.key is not None and table.key not in RESERVED:
        keep = (table.key, *keep)
    keep = tuple(dict.fromkeys(keep))
    check(part_rows, table, to)
    path = version.path(ws)
    columns = check_columns(read_model_file(path), table, keep)
    job = Job(
        version.name, str(version.version), version.digest, table.label, table.digest,
        table.rows, part_rows, keep, probabilities, mode,
    )  # fmt: skip
    if not job.rows:
        raise Invalid(f"{table.label} holds no rows", fix="give at least one", code="E-BATCH-050")
    with _place(ws, to) as place:
        run = _Run(ws, job, version.ref, table, Output(place, job), to, progress, stop, interpreter)
        try:
            return run.whole(str(path), columns, cluster, name)
        finally:
            place.leave()


def check(part_rows: int, table: Table, to: str | None) -> None:
    """Refuse parts that are too small or too large, and more answers than memory holds.

    Raises
    ------
    Invalid
        The sentence says which.
    """
    if not 1 <= part_rows <= _MOST:
        raise Invalid(
            f"a part can't have {part_rows:,} rows",
            fix=f"choose from 1 to {_MOST:,}",
            code="E-BATCH-051",
        )
    if to is None and table.rows > _IN_MEMORY:
        raise Invalid(
            f"{table.rows:,} answers are too many to hold in memory",
            fix="name a folder or a bucket for them with --to",
            code="E-BATCH-052",
        )


@contextmanager
def _place(ws: Workspace, to: str | None) -> Iterator[Place]:
    if to is not None:
        yield place_of(to, ws.settings.allow_private_urls)
        return
    with tempfile.TemporaryDirectory(prefix="jupyter-mlops-") as folder:
        yield place_of(folder)


class _Run:
    """One attempt at a job."""

    def __init__(
        self,
        ws: Workspace,
        job: Job,
        model: str,
        table: Table,
        output: Output,
        to: str | None,
        progress: Callable[[BatchStep], None] | None,
        stop: threading.Event | None,
        interpreter: Path | None,
    ) -> None:
        self.ws = ws
        self.job = job
        self.table = table
        self.output = output
        self.to = to
        self.progress = progress
        self.stop = stop
        self.interpreter = interpreter
        self.inputs = [model, *table.inputs]
        self.receipts: dict[int, Receipt] = {}
        self.before = 0
        self.started = time.perf_counter()

    def whole(
        self, path: str, columns: list[str], cluster: Cluster | None, name: str | None
    ) -> BatchPrediction:
        self.receipts = self.output.begin()
        reused = len(self.receipts)
        self.before = self._rows(self.receipts)
        left = [part for part in range(self.job.parts) if part not in self.receipts]
        if left:
            self._emit("started", {"left": len(left), "workers": cluster.name if cluster else ""})
            try:
                self._answer(left, path, columns, cluster)
            except BaseException as error:
                self._emit("stopped", {"reason": str(error)[:500] or type(error).__name__})
                raise
        seconds = time.perf_counter() - self.started
        # A kill may have come between the last part and the manifest.
        fresh = bool(left) or self.output.finished is None
        if fresh:
            self.output.finish(self.receipts, {**self._sums(), "inputs": self.inputs})
        table = self._answers()
        dataset = None
        if name is not None and table is not None:
            dataset = add(self.ws, name, table, key=self._key).ref
        if fresh:
            outputs = [dataset] if dataset else []
            self._emit("finished", {**self._sums(), "seconds": round(seconds, 3)}, outputs)
        return self._result(table, reused, seconds, dataset)

    def _answer(
        self, left: list[int], path: str, columns: list[str], cluster: Cluster | None
    ) -> None:
        waiting = list(reversed(left))
        under_way = 0
        with (
            sliceable(self.table, columns) as frame,
            deferred(self.stop) as stop,
            self._lane(path, cluster) as lane,
        ):
            while waiting or under_way:
                if stop.is_set():
                    done = self._rows(self.receipts)
                    raise KeyboardInterrupt(
                        f"stopped after {done:,} of {self.job.rows:,} rows; "
                        + ("the same line goes on from there" if self.to else "none is kept")
                    )
                while waiting and lane.free and not stop.is_set():
                    part = waiting.pop()
                    start, end = self.job.bounds(part)
                    lane.submit(part, start, frame.slice(start, end - start))
                    under_way += 1
                for part, outcome in lane.collect():
                    self.receipts[part] = self.output.publish(part, outcome)
                    under_way -= 1
                    self._tell()

    @contextmanager
    def _lane(self, path: str, cluster: Cluster | None) -> Iterator[Lane]:
        spec = self.job.spec(path)
        if cluster is None:
            with ProcessLane(spec, self.output.draft, self.interpreter) as alone:
                yield alone
            return
        # Workers that this machine started read its files; of others nothing is known.
        here = cluster.kind in ("local", "cuda")
        with cluster.client() as client:
            lane = ClusterLane(client, spec, cluster.workers, shares_disk=here, reads_there=here)
            with lane:
                yield lane

    @property
    def _key(self) -> str | None:
        """The key of the answers: that of the data, if it went along."""
        return self.table.key if self.table.key in self.job.keep else None

    def _tell(self) -> None:
        if self.progress is not None:
            self.progress(
                BatchStep(
                    self.job.label,
                    self._rows(self.receipts) - self.before,
                    self.job.rows - self.before,
                    self.before,
                    self._sums()["rejected"],
                    time.perf_counter() - self.started,
                )
            )

    def _rows(self, receipts: dict[int, Receipt]) -> int:
        return sum(one.stop - one.start for one in receipts.values())

    def _sums(self) -> dict[str, Any]:
        violations: Counter[str] = Counter()
        for one in self.receipts.values():
            violations.update(one.violations)
        return {
            "answered": sum(one.rows for one in self.receipts.values()),
            "rejected": sum(one.rejected for one in self.receipts.values()),
            "violations": dict(violations),
        }

    def _emit(self, what: str, told: dict[str, Any], outputs: list[str] | None = None) -> None:
        payload = {
            "job": self.job.fingerprint,
            "data": self.job.data,
            "data_digest": self.job.data_digest,
            "digest": self.job.digest,
            "to": self.to or "",
            "rows": self.job.rows,
            "parts": self.job.parts,
            "mode": self.job.mode,
            **told,
        }
        with self.ws.write() as tx:
            tx.emit(
                f"prediction.batch_{what}",
                f"prediction:{self.job.fingerprint[:16]}",
                payload=payload,
                inputs=self.inputs,
                outputs=outputs or [],
            )

    def _answers(self) -> Table | None:
        """The parts as a table; in memory when they have no folder of their own."""
        parts = [self.receipts[part] for part in sorted(self.receipts)]
        names = [one.files["answers"]["name"] for one in parts if "answers" in one.files]
        if not names:
            return None
        place = self.output.place
        if self.to is None:
            frame = pl.concat(
                [pl.read_parquet(Path(place.folder.root) / name, glob=False) for name in names],
                how="vertical_relaxed",
            )
            source: Any = FrameSource(frame, f"predictions of {self.job.label}")
        elif place.is_local:
            paths = [Path(place.folder.root) / name for name in names]
            source = ParquetFiles(place.uri(ANSWERS), paths)
        else:
            source = resolve(self.ws, place.uri(ANSWERS)).source
        return Table(source, inputs=self.inputs)

    def _result(
        self, table: Table | None, reused: int, seconds: float, dataset: str | None
    ) -> BatchPrediction:
        sums = self._sums()
        job = self.job
        classes = next((one.classes for one in self.receipts.values() if one.classes), None)
        return BatchPrediction(
            job=job.fingerprint,
            model=job.label,
            digest=job.digest,
            data=job.data,
            to=self.to,
            rows=sums["answered"],
            rejected=sums["rejected"],
            parts=job.parts,
            reused=reused,
            seconds=seconds,
            mode=job.mode,
            violations=sums["violations"],
            classes=None if classes is None else tuple(classes),
            dataset=dataset,
            head=pl.DataFrame() if table is None else table.scan().head(_SHOWN).collect(),
            reasons=self._reasons(),
            table=table,
        )

    def _reasons(self) -> pl.DataFrame:
        """The first rows that were put aside."""
        for part in sorted(self.receipts):
            file = self.receipts[part].files.get("rejected")
            if file is not None:
                content = self.output.place.read(file["name"])
                return pl.read_parquet(content).head(_SHOWN) if content else pl.DataFrame()
        return pl.DataFrame()
