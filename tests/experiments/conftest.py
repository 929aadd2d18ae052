from __future__ import annotations

from experiments.workbench import (
    bench,
    diabetes,
    experiment,
    iris,
    mlflow_database,
    scheduler,
    tracked,
    ws,
)

__all__ = [
    "bench",
    "diabetes",
    "experiment",
    "iris",
    "mlflow_database",
    "scheduler",
    "tracked",
    "ws",
]
