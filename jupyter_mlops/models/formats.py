"""The formats that models are kept in, and opening each of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyter_mlops.models.freezing import thaw

__all__ = ["open_folder"]


def open_folder(folder: Path) -> Any:
    """Load the model of a folder whose digest was verified."""
    return thaw(folder / "model.skops")
