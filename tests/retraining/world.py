"""A small world that changes: whether a delivery is late depends on rain, then on distance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jupyter_mlops import mlops

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


def ask(table: pd.DataFrame) -> None:
    """Let the endpoint answer rows, and give it their truth."""
    mlops.call("delay", table.drop(columns="late"))
    mlops.feedback("delay", table[["id", "late"]], truth="late")
