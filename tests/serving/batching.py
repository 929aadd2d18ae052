"""A registered model without a registry, and tables for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import served

from jupyter_mlops.serving.modelfile import directory_digest
from jupyter_mlops.workspace import Workspace


@dataclass(frozen=True)
class Version:
    """What is needed of `models.ModelVersion`."""

    folder: Path
    digest: str
    name: str = "delay"
    version: int = 3
    run_id: str = "r" * 32

    @property
    def ref(self) -> str:
        return f"model:{self.name}@{self.version}"

    @classmethod
    def of(cls, folder: Path) -> Version:
        return cls(folder, directory_digest(folder))

    def path(self, ws: Workspace) -> Path:
        return self.folder


def table(rows: int, seed: int = 3) -> pd.DataFrame:
    return served.flights(rows, seed).assign(flight=np.arange(rows))


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return found
