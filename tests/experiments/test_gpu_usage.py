"""What a trial takes of its GPUs: the most memory, and how busy they were on the whole."""

from __future__ import annotations

import json
import os

from jupyter_mlops.experiments.driver.watching import GpuUse
from jupyter_mlops.experiments.gpus.devices import FAKE


def test_the_most_memory_is_told_though_it_was_given_back(tmp_path, monkeypatch):
    path = tmp_path / "gpus.json"

    def now(held, busy):
        mine = {"uuid": "GPU-a1", "name": "H", "total": 80 << 30, "utilisation": busy,
                "processes": {str(os.getpid()): held}}  # fmt: skip
        other = {"uuid": "GPU-b2", "name": "H", "total": 80 << 30, "utilisation": 0.1}
        path.write_text(json.dumps([mine, other]))

    monkeypatch.setenv(FAKE, str(path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a1")
    use = GpuUse()
    now(5 << 30, 1.0)
    use.look()
    now(1 << 30, 0.5)
    assert use.told() == {"gpu_bytes": float(5 << 30), "gpu_share": 0.75}
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert GpuUse().told() == {}
