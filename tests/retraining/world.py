"""A small world that changes: whether a delivery is late depends on rain, then on distance."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jupyter_mlops import mlops, serving
from jupyter_mlops.models.aliases import pointed_to
from jupyter_mlops.retraining import Decision
from jupyter_mlops.retraining.records import PolicyRecord
from jupyter_mlops.workspace import Workspace
from jupyter_mlops.workspace.records import utcnow

FEATURES = ["rain", "distance", "van"]
MODEL = """
model = make_pipeline(
    make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["van"]), (StandardScaler(), ["rain", "distance"])
    ),
    LogisticRegression(),
).fit(data[["rain", "distance", "van"]], data["late"].astype(int))
"""
IMPORTS = """
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
"""


def deliveries(
    days: int, *, start: str = "2026-01-01", a_day: int = 60, turned: bool = False, seed: int = 1
) -> pd.DataFrame:
    """Rows with their truth; `turned` says that distance decides, and rain no more."""
    rng = np.random.default_rng(seed)
    count = days * a_day
    times = pd.date_range(start, periods=days, tz="UTC").repeat(a_day)
    table = pd.DataFrame(
        {
            "id": [f"{start}-{n}" for n in range(count)],
            "at": times + pd.to_timedelta(np.tile(np.arange(a_day), days), unit="min"),
            "rain": rng.normal(size=count).round(3),
            "distance": rng.normal(size=count).round(3),
            "van": rng.choice(["a", "b"], count),
        }
    )
    cause = table["distance"] if turned else table["rain"]
    chance = 1 / (1 + np.exp(-2.5 * cause))
    table["late"] = (rng.uniform(size=count) < chance).astype(int)
    return table


def notebook(path: Path, *cells: str, parameters: str = "data = 'first'") -> Path:
    """A notebook whose first cell is tagged ``parameters``."""
    made: list[dict[str, Any]] = []
    for number, source in enumerate([parameters, *cells]):
        made.append(
            {
                "cell_type": "code",
                "id": f"c{number}",
                "metadata": {} if number else {"tags": ["parameters"]},
                "source": source.strip(),
                "outputs": [],
                "execution_count": None,
            }
        )
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = {
        "cells": made,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(book), "utf-8")
    return path


def training(path: Path, model: str = MODEL) -> Path:
    """The notebook that trains the model on the data it is given."""
    return notebook(
        path,
        "%load_ext jupyter_mlops",
        IMPORTS,
        f"%%mlops train delay --data {{data}} --target late\n{model.strip()}",
    )


@dataclass(frozen=True)
class Place:
    """A served model in a workspace; its policy and its endpoint are called like it."""

    ws: Workspace
    name: str

    def ask(self, table: pd.DataFrame) -> None:
        """Let the endpoint answer rows, and give it their truth."""
        mlops.call(self.name, table.drop(columns="late"))
        mlops.feedback(self.name, table[["id", "late"]], truth="late")

    def turn(self, days: int = 30) -> None:
        """The world turns: from now on distance decides."""
        self.ask(deliveries(days, start="2026-02-01", turned=True, seed=3))

    def retrain(self, **terms: Any) -> Any:
        """Set a policy; the agent looks at it once, and then in thirty days."""
        return mlops.retrain(self.name, **{"notebook": "train.ipynb", "every": "30d", **terms})

    def decide(self, **terms: Any) -> Decision:
        """Set a policy that the agent leaves alone, and decide here."""
        found = self.retrain(**terms)
        with self.ws.write() as tx:
            row = tx.session.get_one(PolicyRecord, found.name)
            row.due_at = utcnow() + timedelta(days=30)
        return self.look()

    def look(self, **more: Any) -> Decision:
        """Decide here and now."""
        return mlops.retrain.run(self.name, **more)

    @property
    def decisions(self) -> list[Decision]:
        return list(mlops.decisions(self.name))

    @property
    def champion(self) -> int | None:
        return pointed_to(self.ws, self.name, "champion")

    @property
    def serves(self) -> str:
        return serving.get(self.ws, self.name).serves
