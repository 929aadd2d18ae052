"""What a process is told through its environment about the GPUs that it may use.

``CUDA_VISIBLE_DEVICES`` and ``CUDA_DEVICE_ORDER`` are the CUDA Programming Guide's,
``CUPY_GPU_MEMORY_LIMIT`` CuPy's, ``TF_FORCE_GPU_ALLOW_GROWTH`` TensorFlow's,
``CUDA_MPS_…`` those of NVIDIA's Multi-Process Service; JAX reads
``XLA_PYTHON_CLIENT_MEM_FRACTION``, which newer versions call ``XLA_CLIENT_MEM_FRACTION``.
PyTorch and RMM read none: `caps.cap_memory` limits these.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psutil

from jupyter_mlops.experiments.gpus.devices import Device

__all__ = ["MEMORY", "mps_runs", "variables"]

MEMORY: Final = "JUPYTER_MLOPS_GPU_MEMORY"
#: Where the daemon of the Multi-Process Service is met unless told otherwise.
_PIPES: Final = "/tmp/nvidia-mps"  # noqa: S108


def variables(chosen: Sequence[str], memory: int, found: Sequence[Device]) -> dict[str, str]:
    """Environment variables for a process that may use some GPUs.

    Parameters
    ----------
    chosen : sequence of str
        Their uuids.
    memory : int
        Bytes on the one GPU that is shared; 0 for whole ones.
    found : sequence of Device
        All GPUs.
    """
    told = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ",".join(chosen)}
    if not memory:
        return told
    told |= {
        MEMORY: str(memory),
        "CUPY_GPU_MEMORY_LIMIT": str(memory),
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    }
    total = next((one.total for one in found if one.uuid in chosen), 0)
    if not total:
        return told
    share = min(memory / total, 1.0)
    # JAX refuses both of its names at once.
    newer = "XLA_CLIENT_MEM_FRACTION"
    told[newer if newer in os.environ else "XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{share:.4f}"
    if mps_runs():
        # The GPU is the only one that the process sees, whichever it is.
        told["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"] = f"0={max(memory >> 20, 1)}M"
        told["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] = str(max(round(100 * share), 1))
    return told


def mps_runs() -> bool:
    """Whether a daemon of NVIDIA's Multi-Process Service runs here."""
    pipes = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY") or _PIPES)
    try:
        return psutil.pid_exists(int((pipes / "nvidia-cuda-mps-control.pid").read_text("ascii")))
    except (OSError, ValueError):
        return False
