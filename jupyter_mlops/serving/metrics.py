"""An endpoint's counters: for Prometheus as OpenMetrics, for people as a small state."""

from __future__ import annotations

import threading
import time
from collections import Counter as Tally
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

from jupyter_mlops.serving.breaches import Breaches
from jupyter_mlops.serving.usage import Usage
from jupyter_mlops.serving.versionmetrics import VersionMetrics

if TYPE_CHECKING:
    from jupyter_mlops.serving.deployed import Deployed

CONTENT_TYPE = CONTENT_TYPE_LATEST
BUCKET_SECONDS = 5
BUCKETS = 60
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ROWS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536)
_KEPT = 2048  # latencies of a bucket that its percentiles are made from
QUANTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


class Bucket:
    """What was answered within a few seconds; times are kept until those are over."""

    __slots__ = ("at", "errors", "requests", "rows", "seconds", "told_ms")

    def __init__(self, at: int) -> None:
        self.at = at
        self.requests = self.rows = self.errors = 0
        self.seconds: deque[float] | None = deque(maxlen=_KEPT)
        self.told_ms: dict[str, float | None] = {}

    def close(self) -> None:
        """Keep the percentiles alone."""
        self.told_ms = self.percentiles()
        self.seconds = None

    def percentiles(self) -> dict[str, float | None]:
        """Milliseconds within which half, 95 and 99 of 100 requests were answered."""
        if self.seconds is None:
            return self.told_ms
        ordered = sorted(self.seconds)
        return {name: _quantile(ordered, q) for name, q in QUANTILES.items()}

    def told(self) -> dict[str, Any]:
        """As the state file holds it."""
        counted = {"at": self.at, "requests": self.requests, "rows": self.rows}
        return counted | {"errors": self.errors} | self.percentiles()


class LogTally:
    """What became of the rows that were answered; versions share it, each writes by itself.

    Attributes
    ----------
    logged, sampled_out, unlogged, off : int
        Rows written down; left out by the sample; answered although the log could not be
        written; answered while nothing is logged.
    bytes : int
        Bytes written.
    trouble : str
        Why the log can't be written now.
    last_trouble : str
        Why it could not when that happened last.
    """

    def __init__(self) -> None:
        self.logged = self.sampled_out = self.unlogged = self.off = self.bytes = 0
        self.trouble = self.last_trouble = ""
        self._lock = threading.Lock()

    def add(self, rows: int, size: int) -> None:
        """Count rows that were written down."""
        with self._lock:
            self.logged += rows
            self.bytes += size
            self.trouble = ""

    def fail(self, rows: int, reason: str) -> None:
        """Count rows that could not be written down and are answered all the same."""
        with self._lock:
            self.unlogged += rows
            self.trouble = self.last_trouble = reason

    def leave_out(self, rows: int, *, by_sample: bool) -> None:
        """Count rows that nobody wants written down."""
        with self._lock:
            if by_sample:
                self.sampled_out += rows
            else:
                self.off += rows

    def told(self) -> dict[str, Any]:
        """As the state file holds it."""
        with self._lock:
            return {key: value for key, value in vars(self).items() if not key.startswith("_")}


class Metrics:
    """Counts requests of one endpoint process.

    Parameters
    ----------
    about : dict of str to str
        Endpoint, model, version and digest; becomes an info metric.
    breaches : Breaches
        Keeps what breaks the contract for longer than the process lives.

    Attributes
    ----------
    versions : callable
        Those that run, whose processes' time and memory count as the endpoint's.
    usage : Usage
        What they take.
    log, shadow_log : LogTally
        What became of the rows that were answered, and of a shadow's.
    """

    def __init__(self, about: dict[str, str], breaches: Breaches) -> None:
        self.breaches = breaches
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "mlops_requests",
            "Requests answered.",
            ["protocol", "status", "version"],
            registry=self.registry,
        )
        self._rows = Counter("mlops_rows", "Rows predicted.", ["version"], registry=self.registry)
        self._seconds = Histogram(
            "mlops_request_seconds",
            "Time from the last byte of a request to its answer.",
            ["version"],
            unit="seconds",
            buckets=SECONDS,
            registry=self.registry,
        )
        self._batch = Histogram(
            "mlops_batch_rows", "Rows predicted at once.", buckets=_ROWS, registry=self.registry
        )
        self._broken = Counter(
            "mlops_contract_violations",
            "Rows that break a rule of the model's contract.",
            ["column", "rule"],
            registry=self.registry,
        )
        self._log = Counter(
            "mlops_traffic_log_bytes", "Bytes of traffic log.", unit="bytes", registry=self.registry
        )
        self._log_rows = Counter(
            "mlops_traffic_log_rows",
            "Rows answered: logged, left out by the sample, unlogged for want of room, or off.",
            ["fate"],
            registry=self.registry,
        )
        self._memory = Gauge(
            "mlops_memory_bytes",
            "Memory; what processes share counts for each by its share.",
            unit="bytes",
            registry=self.registry,
        )
        self._cpu = Counter(
            "mlops_cpu_seconds", "Processor time.", unit="seconds", registry=self.registry
        )
        self._info = Info("mlops_model", "What is served.", registry=self.registry)
        self.name(about)
        self._children: dict[tuple[str, int, str], Counter] = {}
        self._answered: dict[str, tuple[Histogram, Counter]] = {}
        self.versions: Callable[[], Iterable[Deployed]] = tuple
        self.usage = Usage(self._processes)
        self.registry.register(VersionMetrics(lambda: self.versions(), self.usage))
        self._cpu_before = 0.0
        self.usage.look()
        self._cpu_at = (time.monotonic(), self.usage.cpu)
        self.log, self.shadow_log = LogTally(), LogTally()
        self._log_before: dict[str, int] = {}
        self.requests = 0
        self.rows = 0
        self.errors = 0
        self._latencies: deque[float] = deque(maxlen=4096)
        self._buckets: deque[Bucket] = deque(maxlen=BUCKETS)
        self._failures: Tally[int] = Tally()

    def name(self, about: dict[str, str]) -> None:
        """Say what is served from now on."""
        self._info.info(about)

    def request(self, protocol: str, status: int, version: str, seconds: float, rows: int) -> None:
        """Count one request; `rows` is 0 when it was refused."""
        child = self._children.get((protocol, status, version))
        if child is None:
            child = self._requests.labels(protocol, str(status), version)
            self._children[protocol, status, version] = child
        child.inc()
        self.requests += 1
        bucket = self._bucket()
        bucket.requests += 1
        if status >= 400:
            self.errors += 1
            bucket.errors += 1
            self._failures[status] += 1
            return
        answered = self._answered.get(version)
        if answered is None:
            answered = self._seconds.labels(version), self._rows.labels(version)
            self._answered[version] = answered
        answered[0].observe(seconds)
        self._latencies.append(seconds)
        answered[1].inc(rows)
        self.rows += rows
        bucket.rows += rows
        if bucket.seconds is not None:
            bucket.seconds.append(seconds)

    def batch(self, rows: int) -> None:
        """Count one call of the model."""
        self._batch.observe(rows)

    def violation(self, version: str, column: str, rule: str, rows: int) -> None:
        """Count rows that break a rule of the contract that came with a version."""
        self.breaches.add(version, column, rule, rows)
        self._broken.labels(column, rule).inc(rows)

    def _bucket(self) -> Bucket:
        now = int(time.time()) // BUCKET_SECONDS * BUCKET_SECONDS
        if not self._buckets or self._buckets[-1].at != now:
            if self._buckets:
                self._buckets[-1].close()
            self._buckets.append(Bucket(now))
        return self._buckets[-1]

    def _count_log(self) -> dict[str, Any]:
        """Bring the log's counters up to what the versions have told since the last look."""
        told = self.log.told()
        told["bytes"] += self.shadow_log.bytes
        for fate in ("bytes", "logged", "sampled_out", "unlogged", "off"):
            counter = self._log if fate == "bytes" else self._log_rows.labels(fate)
            counter.inc(told[fate] - self._log_before.get(fate, 0))
            self._log_before[fate] = told[fate]
        return told

    def _processes(self) -> Mapping[str, Sequence[int]]:
        """Ids of the models' processes by version."""
        found: dict[str, list[int]] = {}
        for one in self.versions():
            found.setdefault(one.config.version, []).extend(one.batcher.pids)
        return found

    def _sample(self) -> tuple[float, int]:
        self.usage.look()
        cpu = self.usage.cpu
        self._cpu.inc(max(0.0, cpu - self._cpu_before))
        self._cpu_before = max(cpu, self._cpu_before)
        self._memory.set(self.usage.memory)
        return cpu, self.usage.memory

    def exposition(self) -> bytes:
        """Return all metrics in OpenMetrics text format."""
        self._sample()
        self._count_log()
        return bytes(generate_latest(self.registry))  # type: ignore[no-untyped-call]

    def state(self) -> dict[str, Any]:
        """Return what a person wants to see of the last five minutes."""
        cpu, memory = self._sample()
        log = self._count_log()
        self.breaches.keep()
        now = time.monotonic()
        before, cpu_before = self._cpu_at
        self._cpu_at = (now, cpu)
        ordered = sorted(self._latencies)
        return {
            "requests": self.requests,
            "rows": self.rows,
            "errors": self.errors,
            **{f"{name}_ms": _quantile(ordered, q) for name, q in QUANTILES.items()},
            "failures": {str(status): n for status, n in sorted(self._failures.items())},
            "cpu_percent": round(100 * (cpu - cpu_before) / max(now - before, 1e-6), 1),
            "cpu_seconds": round(cpu, 2),
            "memory_bytes": memory,
            "gpus": [one.told() for one in self.usage.gpus],
            "log_bytes": log["bytes"],
            "log": log,
            "traffic": [bucket.told() for bucket in self._buckets],
        }


def _quantile(ordered: list[float], q: float) -> float | None:
    if not ordered:
        return None
    return round(1000 * ordered[min(len(ordered) - 1, int(q * len(ordered)))], 2)
