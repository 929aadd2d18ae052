from __future__ import annotations

from experiments.workbench import bench, diabetes, iris, mlflow_database, tracked, ws

__all__ = ["bench", "diabetes", "iris", "mlflow_database", "tracked", "ws"]
