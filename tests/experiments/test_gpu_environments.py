"""An environment whose kernels hold a GPU: asked for once, written into the kernelspec."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from jupyter_mlops.experiments.environments import kernels
from jupyter_mlops.experiments.environments.wishes import Wish, wish_for
from jupyter_mlops.workspace import Invalid


@pytest.mark.parametrize(
    ("asked", "config"),
    [({"gpus": 2}, {"gpus": 2}), ({"gpu_memory": "8GB"}, {"gpu_memory": "8GB"}), ({}, None)],
)
def test_the_kernelspec_says_what_a_kernel_holds(ws, monkeypatch, tmp_path, asked, config):
    monkeypatch.setattr(kernels, "_prefix", lambda _ws: tmp_path / "prefix")
    folder = kernels.install_kernel(ws, "mine", Path(sys.executable), **asked)
    assert folder.is_relative_to(tmp_path)
    spec = json.loads((folder / "kernel.json").read_text("utf-8"))
    found = spec["metadata"].get("kernel_provisioner")
    if config is None:
        assert found is None
    else:
        assert found == {"provisioner_name": kernels.PROVISIONER, "config": config}
    assert spec["env"]["JUPYTER_MLOPS_WORKSPACE"] == str(ws.root)


def test_the_wish_is_kept_for_the_next_time(ws):
    wish = wish_for("packages", [], add=["six"], gpu_memory="8GB")
    assert Wish.of(wish.plan()) == wish
    old = {name: value for name, value in wish.plan().items() if not name.startswith("gpu")}
    assert Wish.of(old).gpus == 0


@pytest.mark.parametrize(
    "asked", [{"gpus": 1, "gpu_memory": "8GB"}, {"gpu_memory": "much"}, {"gpus": -1}]
)
def test_demands_that_make_no_sense_are_refused(ws, asked):
    with pytest.raises(Invalid):
        wish_for("packages", [], add=["six"], **asked)
