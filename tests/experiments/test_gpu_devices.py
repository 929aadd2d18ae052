"""Which GPUs there are."""

from __future__ import annotations

import json
import os
from pathlib import Path

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


def test_no_driver_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    pynvml = pytest.importorskip("pynvml")

    def fail() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", fail)
    assert gpus.devices() == []
    assert gpus.held_here() == 0
