"""What MLmodel says of a model in each format, so that MLflow's own loaders open it too."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from mlflow import pyfunc
from mlflow.models import Model

__all__ = ["add_flavors"]

_LOADERS = {
    "skops": "mlflow.sklearn",
    "pickle": "mlflow.sklearn",
    "xgboost": "mlflow.xgboost",
    "lightgbm": "mlflow.lightgbm",
    "onnx": "mlflow.onnx",
}


def add_flavors(model: Model, file: str, told: dict[str, Any]) -> None:
    """Add the flavor of a model's format, and the generic one that leads to it.

    Parameters
    ----------
    model : mlflow.models.Model
        Changed in place.
    file : str
        The model's file within its folder.
    told : dict
        A run's ``model``: format, class, trusted types.
    """
    kind = told.get("format", "skops")
    pyfunc.add_to_model(
        model,
        loader_module=_LOADERS[kind],
        **({"data": file} if kind == "onnx" else {"model_path": file}),
        conda_env="conda.yaml",
        python_env="python_env.yaml",
        **({"predict_fn": "predict"} if kind in {"skops", "pickle"} else {}),
    )
    if kind in {"skops", "pickle"}:
        model.add_flavor(
            "sklearn",
            pickled_model=file,
            sklearn_version=version("scikit-learn"),
            serialization_format="skops" if kind == "skops" else "cloudpickle",
            code=None,
            skops_trusted_types=told.get("trusted", []),
        )
    elif kind == "xgboost":
        model.add_flavor(
            "xgboost",
            data=file,
            model_class=told["class"],
            model_format="ubj",
            xgb_version=version(_installed("xgboost", "xgboost-cpu")),
            code=None,
        )
    elif kind == "lightgbm":
        # Its estimators have no file of their own: MLflow loads the booster inside.
        model.add_flavor(
            "lightgbm",
            data=file,
            model_class="lightgbm.basic.Booster",
            lgb_version=version("lightgbm"),
            code=None,
        )
    else:
        model.add_flavor(
            "onnx", data=file, onnx_version=None, providers=["CPUExecutionProvider"], code=None
        )


def _installed(*names: str) -> str:
    """Which of the packages that bring the same module is installed."""
    from importlib.metadata import PackageNotFoundError

    for name in names[:-1]:
        try:
            version(name)
        except PackageNotFoundError:
            continue
        return name
    return names[-1]
