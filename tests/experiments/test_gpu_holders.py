"""`%mlops gpu` says who holds which GPU and who waits, and says so where there is none."""

from __future__ import annotations

import json

from jupyter_mlops.experiments.gpus.holders import gpus
from jupyter_mlops.experiments.gpus.leases import ask, set_quota
from jupyter_mlops.views import mimebundle


def test_a_machine_without_a_gpu_says_so(ws, monkeypatch, tmp_path):
    (tmp_path / "none.json").write_text("[]")
    monkeypatch.setenv("JUPYTER_MLOPS_FAKE_GPUS", str(tmp_path / "none.json"))
    assert "no NVIDIA GPU" in mimebundle(gpus(ws))["text/plain"]


def test_each_gpu_names_its_holder(ws, monkeypatch, tmp_path):
    told = [
        {"uuid": f"GPU-{i}", "name": "H100", "total": 80_000_000_000, "used": 2_000_000_000 * i}
        for i in range(2)
    ]
    (tmp_path / "two.json").write_text(json.dumps(told))
    monkeypatch.setenv("JUPYTER_MLOPS_FAKE_GPUS", str(tmp_path / "two.json"))
    set_quota(ws, "vision", 0.5)
    with ask(ws, gpus=1, holder="ana", team="vision", purpose="trial 3"):
        found = gpus(ws)
        (claim,) = found.claims
        assert (claim.status, claim.holder, claim.gpus) == ("held", "ana", 1)
        bundle = mimebundle(found)
        text = bundle["text/plain"]
        assert "ana" in text
        assert "nobody" in text
        assert "50 %" in text or "50%" in text
        assert "2.0 of 80 GB" in bundle["text/html"]
    assert gpus(ws).claims == ()
