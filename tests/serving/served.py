"""A small model of flights in MLflow's format, and endpoints that serve it, for these tests."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd

from jupyter_mlops.serving.config import EndpointConfig
from jupyter_mlops.serving.modelfile import directory_digest

TOKEN = "a token for tests"
AUTH = {"Authorization": f"Bearer {TOKEN}"}


def flights(rows: int = 400, seed: int = 7) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "hour": rng.integers(5, 24, rows),
            "distance": rng.normal(1000, 300, rows).round(1),
            "carrier": rng.choice(["AA", "UA", "DL"], rows),
        }
    )


def late(table: pd.DataFrame) -> np.ndarray:
    return ((table["hour"] > 15) ^ (table["carrier"] == "UA")).to_numpy()


def save_model(
    path: Path,
    table: pd.DataFrame,
    target: Any,
    final: Any = None,
    encoder: Any = None,
    **more: Any,
) -> Path:
    """Fit a pipeline and save it as an MLflow model in skops format."""
    import mlflow
    from mlflow.models import infer_signature
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [c for c in table if table[c].dtype.kind in "if"]
    words = [c for c in table if c not in numbers]
    model = make_pipeline(
        make_column_transformer(
            (encoder or OneHotEncoder(handle_unknown="ignore"), words), (StandardScaler(), numbers)
        ),
        final or LogisticRegression(),
    ).fit(table, target)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options: dict[str, Any] = {
            "signature": infer_signature(table, model.predict(table)),
            "input_example": table.head(3),
            "pip_requirements": ["scikit-learn"],
            "serialization_format": "skops",
            "skops_trusted_types": ["numpy.dtype"],
        }
        mlflow.sklearn.save_model(model, path, **{**options, **more})
    return path


def config(model: Path, folder: Path, **more: Any) -> EndpointConfig:
    settings: dict[str, Any] = {
        "endpoint": "delay",
        "model": "delay",
        "version": "3",
        "digest": directory_digest(model),
        "path": str(model),
        "traffic": str(folder / "traffic"),
        "state": str(folder / "state.json"),
        "token_sha256": hashlib.sha256(TOKEN.encode()).hexdigest(),
    }
    return EndpointConfig(**{**settings, **more})


class Client(httpx.Client):
    """Talks to an endpoint with its token; knows the endpoint's parts."""

    def __init__(self, url: str, endpoint: Any) -> None:
        super().__init__(base_url=url, headers=AUTH, timeout=60)
        self.url = url
        self.host = url.removeprefix("http://")
        self.endpoint = endpoint


@dataclass
class Running:
    """An endpoint process."""

    process: subprocess.Popen[bytes]
    config: EndpointConfig
    state: dict[str, Any]

    @property
    def url(self) -> str:
        return str(self.state["url"])

    def post(self, path: str, **more: Any) -> httpx.Response:
        headers = {**AUTH, **more.pop("headers", {})}
        return httpx.post(self.url + path, headers=headers, timeout=60, **more)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, headers=AUTH, timeout=60)


def launch(settings: EndpointConfig, folder: Path) -> subprocess.Popen[bytes]:
    path = folder / "config.json"
    settings.write(path)
    with (folder / "log.txt").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "jupyter_mlops.serving.process", "--config", str(path)],
            stdout=log,
            stderr=log,
        )


def read_state(folder: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads((folder / "state.json").read_text())
    except FileNotFoundError:
        return {}
    return state


@contextlib.contextmanager
def running(settings: EndpointConfig, folder: Path) -> Iterator[Running]:
    process = launch(settings, folder)
    try:
        deadline = time.monotonic() + 90
        while not read_state(folder).get("ready"):
            assert process.poll() is None, (folder / "log.txt").read_text()
            assert time.monotonic() < deadline, "the endpoint did not come up"
            time.sleep(0.05)
        yield Running(process, settings, read_state(folder))
    finally:
        process.terminate()
        process.wait(60)
