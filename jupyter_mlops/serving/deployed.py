"""A version of a model as an endpoint serves it: its processes, its contract, its log."""

from __future__ import annotations

import sys
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import numpy as np

from jupyter_mlops.serving.answers import Answer
from jupyter_mlops.serving.batching import Batcher, Outcome
from jupyter_mlops.serving.config import SHADOW, Deployment, EndpointConfig
from jupyter_mlops.serving.expectations import Expectations
from jupyter_mlops.serving.ids import new_request_id
from jupyter_mlops.serving.intake import Intake, Rows
from jupyter_mlops.serving.metrics import QUANTILES, SECONDS, Metrics
from jupyter_mlops.serving.model_process import Task
from jupyter_mlops.serving.modelfile import read_model_file
from jupyter_mlops.serving.pseudonyms import Pseudonyms
from jupyter_mlops.serving.recording import Recorder
from jupyter_mlops.serving.refusals import Refusal
from jupyter_mlops.serving.trafficlog import TrafficLog
from jupyter_mlops.serving.usage import Taken
from jupyter_mlops.serving.workers import start
from jupyter_mlops.workspace.errors import Conflict, Invalid, Unavailable

__all__ = ["Agreement", "Deployed", "Tally", "check_answers", "deploy", "pseudonyms_of"]

_LATENCIES: Final = 2048


class Tally:
    """How a version has done since it serves.

    Attributes
    ----------
    requests, errors : int
        Errors are answers of status 500 and above, and requests that the model failed on.
    seconds : deque of float
        Of the last requests that were answered.
    within : list of int
        Answered requests by how long they took: up to each of `SECONDS`, and longer.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.errors = 0
        self.seconds: deque[float] = deque(maxlen=_LATENCIES)
        self.within = [0] * (len(SECONDS) + 1)

    def add(self, seconds: float, refusal: Refusal | None) -> None:
        """Count a request."""
        if refusal is None:
            self.requests += 1
            self.seconds.append(seconds)
            self.within[bisect_left(SECONDS, seconds)] += 1
        elif refusal.status >= 500 or refusal.code == "E-SERVE-120":
            self.requests += 1
            self.errors += 1
        # Whatever else is refused says something of the caller, not of the model.

    def quantile(self, q: float) -> float | None:
        """Seconds within which that share of the last requests was answered."""
        if not self.seconds:
            return None
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(q * len(ordered)))]

    def told(self) -> dict[str, Any]:
        """As the state file holds it."""
        times = {f"{name}_ms": self.quantile(q) for name, q in QUANTILES.items()}
        longer = list(accumulate(reversed(self.within[1:])))[::-1]
        return {
            "requests": self.requests,
            "errors": self.errors,
            "timed": len(self.seconds),
            "slower": {f"{1000 * limit:g}": n for limit, n in zip(SECONDS, longer, strict=True)},
            **{key: None if s is None else round(1000 * s, 2) for key, s in times.items()},
        }


@dataclass
class Agreement:
    """How a shadow's answers compare with those that were given.

    Attributes
    ----------
    rows, same : int
        Rows compared, and those with the same class.
    difference : float
        Sum of the absolute differences of probabilities, or of numbers predicted.
    left_out : int
        Requests that the shadow was too slow for.
    """

    rows: int = 0
    same: int = 0
    difference: float = 0.0
    left_out: int = 0

    def add(self, given: Answer, shadow: Answer) -> None:
        """Compare the answers to the same rows."""
        self.rows += len(given.prediction)
        self.same += int(np.count_nonzero(given.prediction == shadow.prediction))
        numbers = (
            (given.prediction, shadow.prediction)
            if given.probability is None or shadow.probability is None
            else (given.probability, shadow.probability)
        )
        if numbers[0].shape == numbers[1].shape and numbers[0].dtype.kind in "iuf":
            gap = np.abs(np.asarray(numbers[0], float) - np.asarray(numbers[1], float))
            self.difference += float(gap.sum() if gap.ndim == 1 else gap.mean(axis=1).sum())

    def told(self) -> dict[str, Any]:
        """As the state file holds it."""
        rows = max(self.rows, 1)
        return {
            "rows": self.rows,
            "same": round(self.same / rows, 4),
            "mean_difference": round(self.difference / rows, 6),
            "left_out": self.left_out,
        }


class Deployed:
    """One version, running.

    Attributes
    ----------
    config : Deployment
    intake : Intake
        Its signature.
    portrait : Portrait
        What its process says of it.
    load_seconds : float
        From the start of its processes to when all of them were ready.
    """

    def __init__(
        self, endpoint: EndpointConfig, config: Deployment, intake: Intake, batcher: Batcher,
        log: TrafficLog, metrics: Metrics, load_seconds: float = 0.0,
    ) -> None:  # fmt: skip
        self.config = config
        self.load_seconds = load_seconds
        self._usage = metrics.usage
        self.intake = intake
        self.batcher = batcher
        self.portrait = batcher.portrait
        self.log = log
        self.tally = Tally()
        self.agreement = Agreement()
        self.about = endpoint.about_of(config)
        self.headers = {
            "x-mlops-endpoint": endpoint.endpoint,
            "x-mlops-model": config.model,
            "x-mlops-version": config.version,
            "x-mlops-digest": config.digest,
        }
        #: The same as lines of an HTTP head.
        self.header_lines = b"".join(
            f"{name}: {value}\r\n".encode("latin-1") for name, value in self.headers.items()
        )
        self.expectations = Expectations.of(
            Path(config.path), config.contract, partial(metrics.violation, config.version)
        )

    @property
    def ready(self) -> bool:
        """Whether the next request would be answered."""
        return self.batcher.ready and self.log.ready()

    async def answer(self, request_id: str, rows: Rows) -> Outcome:
        """Predict, log and count."""
        started = time.perf_counter()
        refusal = None
        try:
            return await self.batcher.answer(request_id, rows)
        except Refusal as error:
            refusal = error
            raise
        finally:
            self.tally.add(time.perf_counter() - started, refusal)

    def put(self, request_id: str, rows: Rows, tell: Callable[[Outcome | Refusal], None]) -> None:
        """Predict, log and count; `tell` is called with what comes of it.

        Raises
        ------
        Refusal
            Too many rows wait (429), or no process of the model runs (503).
        """
        started = time.perf_counter()

        def told(result: Outcome | Refusal) -> None:
            refusal = result if isinstance(result, Refusal) else None
            self.tally.add(time.perf_counter() - started, refusal)
            tell(result)

        try:
            self.batcher.put(request_id, rows, told)
        except Refusal as refusal:
            self.tally.add(0.0, refusal)
            raise

    async def compare(self, request_id: str, rows: Rows, given: Answer) -> None:
        """Have it predict in the shadow of the version that answered."""
        if not self.batcher.idle and self.batcher.waiting > 1000:
            self.agreement.left_out += rows.count
            return
        try:
            outcome = await self.answer(request_id, rows)
        except Refusal as refusal:
            print(f"shadow, request {request_id}: {refusal}", file=sys.stderr, flush=True)
        else:
            self.agreement.add(given, outcome.answer)

    async def retire(self, seconds: float) -> None:
        """Finish what is under way, and end its processes."""
        await self.batcher.drain(seconds)
        self.batcher.close()

    def told(self) -> dict[str, Any]:
        """As the state file holds it."""
        version = self.config.version
        taken = self._usage.versions.get(version, Taken())
        told = {
            "version": version,
            "model": self.config.model,
            "role": self.config.role,
            "weight": self.config.weight,
            "environment": self.config.environment,
            "processes": self.batcher.pids,
            "restarts": self.batcher.restarts,
            "busy": self.batcher.busy,
            "waiting_rows": self.batcher.waiting,
            "load_seconds": round(self.load_seconds, 3),
            "memory_bytes": taken.memory,
            "cpu_seconds": round(taken.cpu, 2),
            "gpu_bytes": sum(one.bytes.get(version, 0) for one in self._usage.gpus),
            "scored": self.batcher.scored,
            "outliers": self.batcher.outliers,
            **self.tally.told(),
            "contract": self.expectations.told(),
        }
        return told | ({"shadow": self.agreement.told()} if self.config.role == "shadow" else {})


def deploy(
    endpoint: EndpointConfig,
    config: Deployment,
    metrics: Metrics,
    like: Deployed | None = None,
) -> Deployed:
    """Start a version's processes; waits until its model has answered its input example.

    Parameters
    ----------
    endpoint : EndpointConfig
    config : Deployment
    metrics : Metrics
        Of the endpoint.
    like : Deployed, optional
        Takes the same requests, so it must know the same columns.

    Raises
    ------
    MLOpsError
        The model cannot be served; the sentence says why.
    """
    file = read_model_file(Path(config.path))
    intake = Intake.of(file, key=endpoint.key, time=endpoint.time, max_rows=endpoint.max_rows)
    if like is not None:
        _same_columns(config, intake, like.intake)
    task = Task(
        config.path, config.digest, endpoint.max_memory, config.environment, config.interpreter,
        endpoint.gpus.variables if endpoint.gpus else {}, config.pickles,
    )  # fmt: skip
    pseudonyms = pseudonyms_of(endpoint)
    began = time.perf_counter()
    workers = [start(task) for _ in range(endpoint.replicas)]
    load_seconds = time.perf_counter() - began
    portrait = workers[0].portrait
    folder = Path(endpoint.traffic)
    shadow = config.role == "shadow"
    log = TrafficLog(
        folder / SHADOW if shadow else folder,
        file.fields,
        labels=portrait.labels,
        many=portrait.task == "multiclass",
        answers=portrait.answers,
        unusual=portrait.unusual,
        about=endpoint.about_of(config),
        policy=endpoint.log,
        pseudonyms=pseudonyms,
        key=endpoint.key,
        time=endpoint.time,
    )
    if not log.ready():
        for worker in workers:
            worker.close()
        raise Unavailable(
            "the traffic log cannot be written",
            "the disk is full or read-only",
            "make room, choose another traffic folder, or serve with `--log best-effort`",
            code="E-SERVE-023",
        )
    recorder = Recorder(log, metrics.shadow_log if shadow else metrics.log)
    batcher = Batcher(
        task, workers, recorder, max_waiting=endpoint.max_waiting,
        seconds=endpoint.predict_seconds, observe=metrics.batch,
    )  # fmt: skip
    return Deployed(endpoint, config, intake, batcher, log, metrics, load_seconds)


def check_answers(one: Deployed) -> None:
    """Refuse to let a version take over that doesn't answer its own input example.

    Raises
    ------
    Invalid
        It doesn't; says why.
    """
    if one.portrait.speechless:
        raise Invalid(
            f"{one.config.model}@{one.config.version} can't take over",
            one.portrait.speechless,
            "the endpoint's log says more; train it again, or serve it by itself with `--name`",
            code="E-SERVE-058",
        )


def pseudonyms_of(endpoint: EndpointConfig) -> Pseudonyms | None:
    """What hashes columns, where some are to be.

    Raises
    ------
    Unavailable
        The key cannot be read.
    """
    return Pseudonyms.read(endpoint.hash_key) if endpoint.log.hashed else None


def _same_columns(config: Deployment, mine: Intake, theirs: Intake) -> None:
    kinds = {one.name: one.type.name for one in theirs.fields}
    other = {one.name: one.type.name for one in mine.fields}
    if kinds != other or (mine.tensor, mine.unnamed) != (theirs.tensor, theirs.unnamed):
        differing = sorted(set(kinds.items()) ^ set(other.items()))
        named = ", ".join(dict.fromkeys(name for name, _ in differing))
        raise Conflict(
            f"{config.model}@{config.version} takes other columns than the version it runs beside",
            f"they differ in {named}" if named else "one takes an array",
            "serve it as an endpoint of its own with `--name`",
            code="E-SERVE-026",
        )


def sticky(rows: Rows, request_id: str) -> str:
    """What decides which version answers: the row's business key, else the request."""
    if rows.keys is not None and rows.count and rows.keys[0] is not None:
        return str(rows.keys[0])
    return request_id or new_request_id()
