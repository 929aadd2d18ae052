from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_mlops.workspace import Workspace


@pytest.fixture
def ws(database: str, tmp_path: Path) -> Workspace:
    """A workspace on either database."""
    return Workspace.open(tmp_path / "project", user="maria")
