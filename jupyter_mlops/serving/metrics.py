"""An endpoint's counters: for Prometheus as OpenMetrics, for people as a small state."""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST
BUCKET_SECONDS = 5
BUCKETS = 60
MEMORY_SECONDS = 10.0  # between two looks: telling shared pages apart takes the kernel 7 ms
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ROWS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536)


class Metrics:
    """Counts requests of one endpoint process.

    Parameters
    ----------
    about : dict of str to str
        Endpoint, model, version and digest; becomes an info metric.

    Attributes
    ----------
    processes : callable
        Ids of the model's processes, whose time and memory count as the endpoint's.
    """

    def __init__(self, about: dict[str, str]) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "mlops_requests",
            "Requests answered.",
            ["protocol", "status", "version"],
            registry=self.registry,
        )
        self._rows = Counter("mlops_rows", "Rows predicted and logged.", registry=self.registry)
        self._seconds = Histogram(
            "mlops_request_seconds",
            "Time from the last byte of a request to its answer.",
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
        self.processes: Callable[[], Iterable[int]] = tuple
        self._process = psutil.Process()
        self._models: dict[int, psutil.Process] = {}
        self._spent: dict[int, float] = {}
        self._memory_seen, self._memory_bytes = -math.inf, 0
        self._cpu_before = 0.0
        times = self._process.cpu_times()
        self._cpu_at = (time.monotonic(), times.user + times.system)
        self._log_before = 0
        self.requests = 0
        self.rows = 0
        self.errors = 0
        self._latencies: deque[float] = deque(maxlen=4096)
        self._buckets: deque[list[float]] = deque(maxlen=BUCKETS)

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
        bucket[1] += 1
        if status >= 400:
            self.errors += 1
            bucket[3] += 1
            return
        self._seconds.observe(seconds)
        self._latencies.append(seconds)
        self._rows.inc(rows)
        self.rows += rows
        bucket[2] += rows

    def batch(self, rows: int) -> None:
        """Count one call of the model."""
        self._batch.observe(rows)

    def violation(self, column: str, rule: str, rows: int) -> None:
        """Count rows that break a rule of the model's contract."""
        self._broken.labels(column, rule).inc(rows)

    def _bucket(self) -> list[float]:
        now = int(time.time()) // BUCKET_SECONDS * BUCKET_SECONDS
        if not self._buckets or self._buckets[-1][0] != now:
            self._buckets.append([now, 0, 0, 0])
        return self._buckets[-1]

    def _sample(self, log_bytes: int) -> tuple[float, int]:
        now = time.monotonic()
        due = now - self._memory_seen > MEMORY_SECONDS
        memory = 0
        if due:
            self._memory_seen = now
            memory = _memory(self._process)
        times = self._process.cpu_times()
        for pid in self.processes():
            with contextlib.suppress(psutil.Error):
                known = self._models.setdefault(pid, psutil.Process(pid))
                spent = known.cpu_times()
                memory += _memory(known) if due else 0
                self._spent[pid] = spent.user + spent.system
        # What processes that have ended spent was spent all the same.
        cpu = times.user + times.system + sum(self._spent.values())
        self._cpu.inc(max(0.0, cpu - self._cpu_before))
        self._cpu_before = max(cpu, self._cpu_before)
        if due:
            self._memory.set(memory)
            self._memory_bytes = memory
        self._log.inc(log_bytes - self._log_before)
        self._log_before = log_bytes
        return cpu, self._memory_bytes

    def exposition(self, log_bytes: int) -> bytes:
        """Return all metrics in OpenMetrics text format."""
        self._sample(log_bytes)
        return bytes(generate_latest(self.registry))  # type: ignore[no-untyped-call]

    def state(self, log_bytes: int) -> dict[str, Any]:
        """Return what a person wants to see of the last five minutes."""
        cpu, memory = self._sample(log_bytes)
        now = time.monotonic()
        before, cpu_before = self._cpu_at
        self._cpu_at = (now, cpu)
        ordered = sorted(self._latencies)
        return {
            "requests": self.requests,
            "rows": self.rows,
            "errors": self.errors,
            "p50_ms": _quantile(ordered, 0.50),
            "p99_ms": _quantile(ordered, 0.99),
            "cpu_percent": round(100 * (cpu - cpu_before) / max(now - before, 1e-6), 1),
            "cpu_seconds": round(cpu, 2),
            "memory_bytes": memory,
            "log_bytes": log_bytes,
            "traffic": [
                {"at": int(at), "requests": int(n), "rows": int(rows), "errors": int(errors)}
                for at, n, rows, errors in self._buckets
            ],
        }


def _memory(process: psutil.Process) -> int:
    """Bytes of a process: forked ones share most of what is resident."""
    found = process.memory_full_info()
    return int(getattr(found, "pss", found.rss))


def _quantile(ordered: list[float], q: float) -> float | None:
    if not ordered:
        return None
    return round(1000 * ordered[min(len(ordered) - 1, int(q * len(ordered)))], 2)
