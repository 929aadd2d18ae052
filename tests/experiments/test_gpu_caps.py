"""A lease's memory as a limit in frameworks, and as what child processes are told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_mlops.experiments.gpus import variables
from jupyter_mlops.experiments.gpus.amounts import bytes_of
from jupyter_mlops.experiments.gpus.caps import cap_memory
from jupyter_mlops.experiments.gpus.leases import ask
from jupyter_mlops.workspace import Invalid, Unavailable, Workspace

GB = 10**9

# Frameworks as far as they are called, which tell what they were told.
FRAMEWORKS = {
    "cupy": """
class Pool:
    def set_limit(self, size): print("cupy", size)
def get_default_memory_pool(): return Pool()
""",
    "rmm": """
class mr:
    class CudaMemoryResource: pass
    class PoolMemoryResource:
        def __init__(self, upstream, initial_pool_size, maximum_pool_size):
            self.sizes = initial_pool_size, maximum_pool_size
    @staticmethod
    def set_current_device_resource(one): print("rmm", *one.sizes)
""",
    "torch": """
class cuda:
    @staticmethod
    def is_available(): return True
    @staticmethod
    def get_device_properties(number):
        return type("Properties", (), {"total_memory": 80 * 10**9})
    @staticmethod
    def set_per_process_memory_fraction(fraction, device): print("torch", fraction, device)
""",
}


@pytest.fixture
def frameworks(tmp_path: Path) -> dict[str, str]:
    for name, text in FRAMEWORKS.items():
        (tmp_path / f"{name}.py").write_text(text)
    return {**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}


def _run(code: str, environ: dict[str, str]) -> list[str]:
    code = "from jupyter_mlops.experiments.gpus.caps import cap_memory, cap_on_import\n" + code
    told = subprocess.check_output([sys.executable, "-c", code], env=environ, text=True)
    return told.splitlines()


def test_each_framework_that_is_named_gets_the_limit(frameworks: dict[str, str]) -> None:
    assert _run('print(cap_memory("8GB", ["cupy", "rmm", "torch"]))', frameworks) == [
        "cupy 8000000000",
        "rmm 67108864 8000000000",
        "torch 0.1 0",
        "{'cupy': 8000000000, 'rmm': 8000000000, 'torch': 8000000000}",
    ]


def test_what_isnt_imported_stays_so_and_is_limited_once_it_is(
    frameworks: dict[str, str],
) -> None:
    frameworks["JUPYTER_MLOPS_GPU_MEMORY"] = str(8 * GB)
    code = """
import sys, torch
print(cap_memory())
assert "cupy" not in sys.modules and "rmm" not in sys.modules
cap_on_import(); cap_on_import()
print("then")
import cupy
assert cupy.__spec__.origin.endswith("cupy.py")
"""
    told = _run(code, frameworks)
    assert told == [
        "torch 0.1 0", f"{{'torch': {8 * GB}}}", "torch 0.1 0", "then", f"cupy {8 * GB}"
    ]  # fmt: skip


def test_without_a_part_of_a_gpu_nothing_is_limited(frameworks: dict[str, str]) -> None:
    assert _run("import cupy; print(cap_memory()); cap_on_import(); import torch", frameworks) == [
        "{}"
    ]


def test_a_framework_that_isnt_there_is_named() -> None:
    with pytest.raises(Unavailable, match="rmm"):
        cap_memory("8GB", ["rmm"])
    with pytest.raises(Invalid, match="there are cupy, rmm, torch"):
        cap_memory("8GB", ["tensorflow"])


@pytest.mark.parametrize(
    ("text", "size"), [("8GB", 8 * GB), ("1.5 g", 15 * 10**8), ("2KiB", 2048), ("7", 7), (None, 0)]
)
def test_amounts_are_read(text: str | None, size: int) -> None:
    assert bytes_of(text) == size


def test_a_child_is_told_what_it_may_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "gpus.json"
    path.write_text(json.dumps([{"uuid": "GPU-a", "name": "F", "total": 80 * GB}]))
    monkeypatch.setenv("JUPYTER_MLOPS_FAKE_GPUS", str(path))
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    monkeypatch.delenv("XLA_CLIENT_MEM_FRACTION", raising=False)
    ws = Workspace.open(tmp_path / "work", create=True)
    with ask(ws, memory="20GB", holder="ana", purpose="test", timeout=0) as lease:
        told = lease.environment()
        assert told == {
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            "CUDA_VISIBLE_DEVICES": "GPU-a",
            "CUPY_GPU_MEMORY_LIMIT": str(20 * GB),
            "JUPYTER_MLOPS_GPU_MEMORY": str(20 * GB),
            "TF_FORCE_GPU_ALLOW_GROWTH": "true",
            "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.2500",
        }
        # JAX refuses both of its names at once.
        monkeypatch.setenv("XLA_CLIENT_MEM_FRACTION", "0.9")
        newer = lease.environment()
        assert newer["XLA_CLIENT_MEM_FRACTION"] == "0.2500"
        assert "XLA_PYTHON_CLIENT_MEM_FRACTION" not in newer
        (tmp_path / "nvidia-cuda-mps-control.pid").write_text(f"{os.getpid()}\n")
        assert variables.mps_runs()
        shared = lease.environment()
        assert shared["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"] == "0=19073M"
        assert shared["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] == "25"
