"""Workspaces and small tables to label."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from jupyter_mlops.labeling import Decision, Task, create
from jupyter_mlops.workspace import Workspace


@dataclass
class Rows:
    """A table as the data room hands it over."""

    frame: pl.DataFrame
    digest: str = "d1"
    ref: str | None = "data:remarks@1"

    def scan(self) -> pl.LazyFrame:
        return self.frame.lazy()


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path, user="maria")


@pytest.fixture
def texts(ws: Workspace) -> Callable[..., Task]:
    """Make a task of `count` short texts."""

    def make(count: int = 20, name: str = "remarks", classes: tuple[str, ...] = ("a", "b")) -> Task:
        frame = pl.DataFrame({"remark": [f"remark {n}" for n in range(count)]})
        return create(ws, name, Rows(frame), "text", list(classes))

    return make


def label(ev: str, item: int, value: str = "a", **more: object) -> Decision:
    return Decision(ev, item, "label", value, **more)  # type: ignore[arg-type]


def undo(ev: str, item: int, undoes: str) -> Decision:
    return Decision(ev, item, "undo", undoes=undoes)


def skip(ev: str, item: int, reason: str = "unclear") -> Decision:
    return Decision(ev, item, "skip", reason=reason)
