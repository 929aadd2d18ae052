"""Served models, their traffic and their truth, for these tests."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "agent")]

import world
from living import end_all

from jupyter_mlops import mlops, retraining
from jupyter_mlops.workspace import NotFound, Workspace

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, str]]:
    """A workspace with a run that was trained on ten days in which rain decides."""
    root = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_MLOPS_WORKSPACE", str(root))
        patch.setenv("JUPYTER_MLOPS_AGENT_IDLE", "30")
        patch.setenv("JUPYTER_MLOPS_USER", "ada")
        ws = Workspace.open(root)
        first = world.deliveries(10)
        mlops.data.add("first", first.iloc[:400].drop(columns=["id", "at"]))
        mlops.data.add("valid", first.iloc[400:].drop(columns="id"), time="at")
        body = world.IMPORTS + world.MODEL
        run = mlops.train("delay", body, data="first", target="late", valid="valid", seed=1)
        world.training(root / "train.ipynb")
        # Notebooks train others under the same name.
        yield ws, run.ref
        end_all(root)


@pytest.fixture
def place(project: tuple[Workspace, str]) -> Iterator[world.Place]:
    """A model of its own: version 1 is champion, and served under the model's name."""
    name = f"delay{next(NUMBERS)}"
    ws, run = project
    mlops.register(run, name, alias="champion")
    mlops.serve(f"{name}@champion", key="id", time="at")
    yield world.Place(ws, name)
    try:
        retraining.pause(ws, name)
        retraining.remove(ws, name)
    except NotFound:
        pass  # the test set no policy
    mlops.stop(name)
