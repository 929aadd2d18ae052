"""Which GPUs there are."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from jupyter_mlops.experiments import gpus
from jupyter_mlops.workspace import Invalid


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "gpus.json"
    monkeypatch.setenv("JUPYTER_MLOPS_FAKE_GPUS", str(path))
    return path


def test_a_file_stands_in_and_is_read_anew(fake: Path) -> None:
    row = {"uuid": "GPU-a", "name": "Fake", "total": 80, "processes": {str(os.getpid()): 7, "1": 9}}
    fake.write_text(json.dumps([row, {"uuid": "MIG-b", "name": "Part", "total": 10}]))
    assert [(one.index, one.uuid, one.total) for one in gpus.devices()] == [
        (0, "GPU-a", 80),
        (1, "MIG-b", 10),
    ]
    assert gpus.count() == 2
    assert gpus.held_here() == 7
    row["processes"] = {str(os.getpid()): 11}
    fake.write_text(json.dumps([row]))
    assert gpus.held_here() == 11


@pytest.mark.parametrize("text", ["{", '[{"uuid": "GPU-a"}]', "[1]"])
def test_a_file_that_lists_no_gpus_is_refused(fake: Path, text: str) -> None:
    fake.write_text(text)
    with pytest.raises(Invalid, match="doesn't list GPUs"):
        gpus.devices()


def test_what_nvml_tells_of_a_whole_gpu_and_of_one_that_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nvml = pytest.importorskip("pynvml")
    monkeypatch.delenv("JUPYTER_MLOPS_FAKE_GPUS", raising=False)
    refused = nvml.NVMLError(nvml.NVML_ERROR_NOT_SUPPORTED)

    def mode(handle: str) -> tuple[int, int]:
        if handle == "GPU-0":
            raise refused
        return nvml.NVML_DEVICE_MIG_ENABLE, nvml.NVML_DEVICE_MIG_ENABLE

    def part(handle: str, number: int) -> str:
        # Places for instances may be empty.
        if number not in {0, 2}:
            raise nvml.NVMLError(nvml.NVML_ERROR_NOT_FOUND)
        return f"MIG-{number}"

    def busy(handle: str) -> SimpleNamespace:
        if handle.startswith("MIG"):
            raise refused
        return SimpleNamespace(gpu=40)

    told = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda number: f"GPU-{number}",
        "nvmlDeviceGetMigMode": mode,
        "nvmlDeviceGetMaxMigDeviceCount": lambda handle: 7,
        "nvmlDeviceGetMigDeviceHandleByIndex": part,
        "nvmlDeviceGetUUID": lambda handle: handle,
        "nvmlDeviceGetName": lambda handle: "H100",
        "nvmlDeviceGetMemoryInfo": lambda handle: SimpleNamespace(total=80, used=9),
        "nvmlDeviceGetUtilizationRates": busy,
        "nvmlDeviceGetComputeRunningProcesses": lambda handle: [
            SimpleNamespace(pid=7, usedGpuMemory=None)
        ],
    }
    for name, call in told.items():
        monkeypatch.setattr(nvml, name, call)
    found = gpus.devices()
    assert [(one.uuid, one.parent, one.utilisation) for one in found] == [
        ("GPU-0", None, 0.4),
        ("MIG-0", "GPU-1", None),
        ("MIG-2", "GPU-1", None),
    ]
    assert [one.index for one in found] == [0, 1, 2]
    assert found[1].processes == {7: None}


def test_no_driver_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    pynvml = pytest.importorskip("pynvml")

    def fail() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", fail)
    assert gpus.devices() == []
    assert gpus.held_here() == 0
