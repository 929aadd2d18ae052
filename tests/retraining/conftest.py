"""A served model, its traffic and its truth, for these tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "agent")]

import world
from living import end_all

from jupyter_mlops import mlops
from jupyter_mlops.workspace import Workspace


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A workspace with delay@1 as champion, served, trained on ten days in which rain decides."""
    monkeypatch.setenv("JUPYTER_MLOPS_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("JUPYTER_MLOPS_AGENT_IDLE", "20")
    monkeypatch.setenv("JUPYTER_MLOPS_USER", "ada")
    ws = Workspace.open(tmp_path)
    first = world.deliveries(10)
    train, valid = first.iloc[:400], first.iloc[400:]
    mlops.data.add("first", train.drop(columns=["id", "at"]))
    mlops.data.add("valid", valid.drop(columns="id"), time="at")
    mlops.train(
        "delay", world.IMPORTS + world.MODEL, data="first", target="late", valid="valid", seed=1
    )
    mlops.register("delay", "delay", alias="champion")
    mlops.serve("delay@champion", key="id", time="at")
    world.training(tmp_path / "train.ipynb")
    yield ws
    end_all(tmp_path)
