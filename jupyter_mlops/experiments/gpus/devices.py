"""The GPUs of this machine, as NVIDIA's management library tells of them.

No driver and no library means no GPU, which is no error. A JSON file named by the environment
variable ``JUPYTER_MLOPS_FAKE_GPUS`` stands in for the library: a list of objects with the fields
of `Device`; it is read anew at each look, so that what it says can change.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from jupyter_mlops.workspace import Invalid

__all__ = ["FAKE", "Device", "count", "devices", "held_here"]

FAKE = "JUPYTER_MLOPS_FAKE_GPUS"


@dataclass(frozen=True)
class Device:
    """One GPU, or one MIG instance of one.

    Attributes
    ----------
    index : int
        Position in the list of devices, from 0.
    uuid : str
        What ``CUDA_VISIBLE_DEVICES`` takes: ``GPU-…`` or ``MIG-…``.
    total, used : int
        Memory in bytes.
    utilisation : float or None
        Share of the last moments in which it worked, from 0 to 1; None where nobody knows,
        as with MIG instances.
    processes : dict
        Bytes of memory by process id; None where the driver doesn't say.
    parent : str or None
        Of a MIG instance, the GPU's uuid.
    """

    index: int
    uuid: str
    name: str
    total: int
    used: int = 0
    utilisation: float | None = None
    processes: dict[int, int | None] = field(default_factory=dict)
    parent: str | None = None


def devices() -> list[Device]:
    """List the GPUs; a GPU that is cut into MIG instances is listed as these.

    Returns
    -------
    list of Device
        Empty without a GPU, a driver or the library.

    Raises
    ------
    Invalid
        ``JUPYTER_MLOPS_FAKE_GPUS`` names a file that can't be read.

    Examples
    --------
    >>> [one.name for one in devices()]
    ['NVIDIA H100 80GB HBM3']
    """
    path = os.environ.get(FAKE)
    return _told(Path(path)) if path else _found()


def count() -> int:
    """How many GPUs, or MIG instances, this machine has."""
    return len(devices())


def held_here(found: list[Device] | None = None) -> int:
    """Bytes of GPU memory that this process and its children hold, of the devices at hand."""
    found = devices() if found is None else found
    if not found:
        return 0
    here = psutil.Process()
    family = {here.pid, *(child.pid for child in here.children(recursive=True))}
    return sum(
        held or 0 for device in found for pid, held in device.processes.items() if pid in family
    )


def _told(path: Path) -> list[Device]:
    try:
        rows = json.loads(path.read_text("utf-8"))
        return [
            Device(
                **{
                    "index": index,
                    **row,
                    "processes": {int(pid): n for pid, n in row.get("processes", {}).items()},
                }
            )
            for index, row in enumerate(rows)
        ]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise Invalid(
            f"{FAKE} names {path}, which doesn't list GPUs",
            str(error),
            "unset it to see the machine's own GPUs",
            code="E-GPU-001",
        ) from error


def _found() -> list[Device]:
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        # No driver, or one that this process may not use: for us there is no GPU.
        return []
    try:
        found: list[Device] = []
        for number in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(number)
            parts = _instances(pynvml, handle)
            parent = pynvml.nvmlDeviceGetUUID(handle) if parts else None
            for part in parts or [handle]:
                found.append(_device(pynvml, part, len(found), parent))
        return found
    finally:
        pynvml.nvmlShutdown()


def _instances(nvml: Any, handle: Any) -> list[Any]:
    """MIG instances of a GPU; none where it isn't cut, or can't be."""
    try:
        if nvml.nvmlDeviceGetMigMode(handle)[0] != nvml.NVML_DEVICE_MIG_ENABLE:
            return []
        most = nvml.nvmlDeviceGetMaxMigDeviceCount(handle)
    except nvml.NVMLError:
        return []
    parts = []
    for number in range(most):
        try:
            parts.append(nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number))
        except nvml.NVMLError_NotFound:
            # Places for instances are numbered, and may be empty.
            continue
    return parts


def _device(nvml: Any, handle: Any, index: int, parent: str | None) -> Device:
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    try:
        utilisation = nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
    except nvml.NVMLError:
        utilisation = None
    try:
        running = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except nvml.NVMLError:
        running = []
    return Device(
        index,
        nvml.nvmlDeviceGetUUID(handle),
        nvml.nvmlDeviceGetName(handle),
        int(memory.total),
        int(memory.used),
        utilisation,
        {one.pid: one.usedGpuMemory for one in running},
        parent,
    )
