from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("agent", "serving")]

import served
from living import Version, end_all

from jupyter_mlops.serving.modelfile import directory_digest
from jupyter_mlops.workspace import Workspace


@pytest.fixture(scope="session")
def version(tmp_path_factory: pytest.TempPathFactory) -> Version:
    table = served.flights()
    folder = served.save_model(tmp_path_factory.mktemp("model") / "m", table, served.late(table))
    return Version(folder, directory_digest(folder))


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A workspace whose agent and endpoints are ended after the test."""
    monkeypatch.setenv("JUPYTER_MLOPS_AGENT_IDLE", "20")
    ws = Workspace.open(tmp_path)
    yield ws
    end_all(tmp_path)
