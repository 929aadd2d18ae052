"""A run's model as the folder MLflow knows: MLmodel, the model's file, an example, requirements."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from mlflow.models import Model, ModelSignature

__all__ = ["requirements", "write_model"]

# What loading and calling a scikit-learn model through MLflow takes; the model's own package
# is added to these.
NEEDED = ("mlflow", "numpy", "pandas", "scikit-learn", "scipy", "skops")


def write_model(
    folder: Path,
    content: bytes,
    told: dict[str, Any],
    run_id: str,
    mlflow_run_id: str,
    model_id: str,
    packages: Sequence[str],
) -> None:
    """Write a model folder that `mlflow.pyfunc` and the flavor of its library load.

    Written by hand rather than by ``mlflow.sklearn.save_model``: the bytes are the ones the
    run recorded, and no subprocess infers requirements that the environment's listing has.

    Parameters
    ----------
    folder : Path
        Made here.
    content : bytes
        The model in its format.
    told : dict
        A run's ``model``: signature, example, task and so on.
    run_id, mlflow_run_id, model_id : str
    packages : sequence of str
        The environment's listing.
    """
    from jupyter_mlops.experiments.flavors import add_flavors

    folder.mkdir(parents=True)
    file = told["file"].rpartition("/")[2]
    (folder / file).write_bytes(content)
    signature = told.get("signature")
    model = Model(
        run_id=mlflow_run_id,
        model_uuid=model_id,
        model_id=model_id,
        signature=_signature(signature) if signature else None,
        saved_input_example_info=_write_example(folder, told.get("example")),
        metadata={"jupyter_mlops": _metadata(told, run_id)},
    )
    needed = requirements(told["class"], packages)
    _write_environment(folder, needed)
    add_flavors(model, file, told)
    model.model_size_bytes = len(content)
    model.save(str(folder / "MLmodel"))


def requirements(model_class: str, packages: Sequence[str]) -> list[str]:
    """The pinned packages a model needs, taken from the environment it was trained in.

    Examples
    --------
    >>> requirements("sklearn.linear_model._base.X", ["numpy==2.0", "black==1", "skops==0.11"])
    ['numpy==2.0', 'skops==0.11']
    """
    own = model_class.partition(".")[0].replace("_", "-").lower()
    # The same module without what it needs for GPUs.
    wanted = {*NEEDED, own, f"{own}-cpu"}
    if model_class.startswith("jupyter_mlops.models."):  # those are kept as ONNX
        wanted.add("onnxruntime")
    return [line for line in packages if line.partition("==")[0].lower() in wanted]


def _signature(signature: dict[str, Any]) -> ModelSignature:
    parts = {key: json.dumps(signature[key]) for key in ("inputs", "outputs")}
    return ModelSignature.from_dict({**parts, "params": None})


def _metadata(told: dict[str, Any], run_id: str) -> dict[str, Any]:
    kept = ("format", "class", "task", "target", "features", "classes", "dtypes", "categories")
    return {"run": run_id, **{key: told[key] for key in kept if told.get(key) is not None}}


def _write_example(folder: Path, example: dict[str, Any] | None) -> dict[str, Any] | None:
    if not example:
        return None
    (folder / "input_example.json").write_text(json.dumps(example), "utf-8")
    serving = {"dataframe_split": example}
    (folder / "serving_input_example.json").write_text(json.dumps(serving, indent=2), "utf-8")
    return {
        "artifact_path": "input_example.json",
        "serving_input_path": "serving_input_example.json",
        "type": "dataframe",
        "pandas_orient": "split",
    }


def _write_environment(folder: Path, needed: list[str]) -> None:
    python = platform.python_version()
    (folder / "requirements.txt").write_text("\n".join(needed) + "\n", "utf-8")
    environment = {
        "python": python,
        "build_dependencies": ["pip"],
        "dependencies": ["-r requirements.txt"],
    }
    (folder / "python_env.yaml").write_text(yaml.safe_dump(environment), "utf-8")
    conda = {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", {"pip": needed}],
    }
    (folder / "conda.yaml").write_text(yaml.safe_dump(conda, sort_keys=False), "utf-8")
