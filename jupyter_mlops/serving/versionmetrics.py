"""What Prometheus is told of each version, read from the version itself when it asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from jupyter_mlops.serving.usage import Usage

if TYPE_CHECKING:
    from jupyter_mlops.serving.deployed import Deployed

__all__ = ["VersionMetrics"]

_GAUGES: Final = {
    "mlops_version_ready": ("Whether the next request would be answered.", ""),
    "mlops_queue_rows": ("Rows that wait for a process of the model.", ""),
    "mlops_queue_limit_rows": ("Rows that may wait; more are refused with 429.", ""),
    "mlops_processes": ("Processes of the model that run.", ""),
    "mlops_processes_busy": ("Those of them that predict at this moment.", ""),
    "mlops_model_load_seconds": ("From the start of the processes to the first answer.", "seconds"),
    "mlops_process_memory_bytes": ("Memory of the model's processes.", "bytes"),
}
_COUNTERS: Final = {
    "mlops_process_restarts": ("Processes of the model that ended and were replaced.", ""),
    "mlops_process_cpu_seconds": ("Processor time of the model's processes.", "seconds"),
    "mlops_rows_scored": ("Rows of which it was told how strange they are.", ""),
    "mlops_outliers": ("Rows as strange as one training row in a thousand.", ""),
}
_GPUS: Final = {
    "mlops_gpu_memory_bytes": ("Memory of the GPU in use, by anybody.", "bytes"),
    "mlops_gpu_memory_total_bytes": ("Memory of the GPU.", "bytes"),
}


class VersionMetrics(Collector):
    """Collects from the versions that run, and from what their processes take.

    Parameters
    ----------
    running : callable
        The versions; several of one number count together.
    usage : Usage
    """

    def __init__(self, running: Callable[[], Iterable[Deployed]], usage: Usage) -> None:
        self.running = running
        self.usage = usage

    def collect(self) -> Iterator[Metric]:
        """Give the metrics of this moment."""
        sums: dict[str, dict[str, float]] = {}
        for one in self.running():
            told = sums.setdefault(one.config.version, {})
            for name, value in _values(one).items():
                told[name] = told.get(name, 0) + value
        for version, told in sums.items():
            taken = self.usage.versions.get(version)
            if taken is not None:
                told["mlops_process_memory_bytes"] = taken.memory
                told["mlops_process_cpu_seconds"] = taken.cpu
            told["mlops_version_ready"] = min(told["mlops_version_ready"], 1)
        for family, names in ((GaugeMetricFamily, _GAUGES), (CounterMetricFamily, _COUNTERS)):
            for name, (words, unit) in names.items():
                metric = family(name, words, labels=["version"], unit=unit)
                for version, told in sums.items():
                    if name in told:
                        metric.add_metric([version], told[name])
                yield metric
        yield from self._gpus()

    def _gpus(self) -> Iterator[Metric]:
        held = GaugeMetricFamily(
            "mlops_process_gpu_memory_bytes",
            "Memory of the GPU that the model's processes hold.",
            labels=["version", "gpu"],
            unit="bytes",
        )
        values = {
            name: GaugeMetricFamily(name, words, labels=["gpu"], unit=unit)
            for name, (words, unit) in _GPUS.items()
        }
        busy = GaugeMetricFamily(
            "mlops_gpu_utilisation_ratio",
            "Share of the last moments in which the GPU worked.",
            labels=["gpu"],
            unit="ratio",
        )
        for use in self.usage.gpus:
            one = use.device
            for version, memory in use.bytes.items():
                held.add_metric([version, one.uuid], memory)
            values["mlops_gpu_memory_bytes"].add_metric([one.uuid], one.used)
            values["mlops_gpu_memory_total_bytes"].add_metric([one.uuid], one.total)
            if one.utilisation is not None:
                busy.add_metric([one.uuid], one.utilisation)
        yield from (held, *values.values(), busy)


def _values(one: Deployed) -> dict[str, float]:
    batcher = one.batcher
    return {
        "mlops_version_ready": float(one.ready),
        "mlops_queue_rows": batcher.waiting,
        "mlops_queue_limit_rows": batcher.max_waiting,
        "mlops_processes": len(batcher.pids),
        "mlops_processes_busy": batcher.busy,
        "mlops_model_load_seconds": one.load_seconds,
        "mlops_process_restarts": batcher.restarts,
        "mlops_rows_scored": batcher.scored,
        "mlops_outliers": batcher.outliers,
    }
