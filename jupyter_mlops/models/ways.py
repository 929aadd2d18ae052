"""How a model's folder may be loaded: by its own file, through MLflow, or only under a waiver.

MLmodel is read here and nowhere trusted: whoever can change the model can change what it says.
It decides between loaders that are all harmless; whatever else it says makes the folder one that
may run any code, which takes a waiver.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jupyter_mlops.models.files import FILES

__all__ = ["Way", "unreviewed", "way"]

#: What scikit-learn's interface of LightGBM puts beside its booster, which holds its native text.
LIGHTGBM: Final = frozenset(
    {
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMRegressor",
        "lightgbm.sklearn.LGBMRanker",
    }
)
_PLAIN: Final = frozenset(
    {"boolean", "integer", "long", "float", "double", "string", "binary", "datetime"}
)
_NUMBERS: Final = frozenset({"float64", "float32", "int64", "int32", "bool"})


@dataclass(frozen=True)
class Way:
    """How the model in a folder is loaded.

    Attributes
    ----------
    exact : bool
        Through ``mlflow.pyfunc``, which checks and converts what it is asked; else from `file`.
    file : str
        The model's file, relative to the folder; empty where MLflow alone knows.
    hazard : str
        Why loading it may run any code, as a clause; empty where it can't.
    skops : bool
        Whether `file` is one of skops, which holds reviewed types or takes a waiver, too.
    """

    exact: bool
    file: str
    hazard: str = ""
    skops: bool = False


def way(described: Mapping[str, Any]) -> Way:
    """Decide from what MLmodel says.

    Examples
    --------
    >>> way({"flavors": {"python_function": {"loader_module": "mlflow.statsmodels"}}}).hazard
    'it is loaded by mlflow.statsmodels, which runs what the file holds'
    """
    own = ((described.get("metadata") or {}).get("jupyter_mlops") or {}).get("format")
    flavors = described.get("flavors") or {}
    if own in FILES:
        hazard = "it is a pickle" if own == "pickle" else ""
        return Way(False, FILES[own], hazard, own == "skops")
    function = flavors.get("python_function") or {}
    loader = str(function.get("loader_module", ""))
    if not function and "sklearn" in flavors:
        loader = "mlflow.sklearn"  # what is saved without the generic flavor loads all the same
    flavor = flavors.get(loader.removeprefix("mlflow.")) or {}
    if function.get("code") or flavor.get("code"):
        return Way(True, "", "it brings modules of its own")
    if loader == "mlflow.pyfunc.model":
        return Way(True, "", "it is Python code and pickled objects")
    if loader == "mlflow.sklearn":
        return _sklearn(described, function, flavor)
    if loader == "mlflow.lightgbm":
        return _lightgbm(flavor)
    data = str(flavor.get("data") or function.get("data") or "")
    if loader == "mlflow.xgboost":
        named = str(flavor.get("model_class", "xgboost.core.Booster"))
        strange = not named.startswith(("xgboost.core.", "xgboost.sklearn."))
        return Way(True, data, f"it names the class {named[:60]}" if strange else "")
    if loader == "mlflow.onnx":
        return Way(True, data)
    if loader == "mlflow.pytorch":
        # torch.export.load falls back to unpickling, and evaluates texts of the archive: sympify.
        return Way(True, data, "it is loaded by torch.load or torch.export, which may unpickle it")
    told = loader[:60] or "no loader that it names"
    return Way(True, data, f"it is loaded by {told}, which runs what the file holds")


def _sklearn(
    described: Mapping[str, Any], function: Mapping[str, Any], flavor: Mapping[str, Any]
) -> Way:
    file = str(flavor.get("pickled_model") or function.get("model_path") or "")
    if flavor.get("serialization_format") != "skops":
        return Way(True, file, "it is a pickle")
    exact = function.get("predict_fn", "predict") != "predict" or not _plain(described)
    return Way(exact, file or "model.skops", skops=True)


def _lightgbm(flavor: Mapping[str, Any]) -> Way:
    file = str(flavor.get("data", ""))
    if flavor.get("model_class", "lightgbm.basic.Booster") == "lightgbm.basic.Booster":
        return Way(True, file)
    if flavor.get("serialization_format", "cloudpickle") == "skops":
        return Way(True, file, skops=True)
    return Way(True, file, "it is a pickle")


def _plain(described: Mapping[str, Any]) -> bool:
    """Whether rows of the signature are typed columns, or a matrix of numbers, and no more."""
    signature = described.get("signature") or {}
    if signature.get("params"):
        return False
    inputs = json.loads(signature.get("inputs") or "[]")
    if len(inputs) == 1 and inputs[0].get("type") == "tensor":
        spec = inputs[0]["tensor-spec"]
        shape = spec["shape"]
        matrix = len(shape) == 2 and shape[0] == -1 and shape[1] >= 1
        return matrix and not inputs[0].get("name") and spec["dtype"] in _NUMBERS
    return all(one.get("name") and str(one.get("type")) in _PLAIN for one in inputs)


def unreviewed(folder: Path, found: Way) -> list[str]:
    """Types in the model's file of skops that aren't known to be harmless; none for other files.

    The file is read and not loaded. What MLmodel says about trust is not asked.
    """
    if not found.skops or not found.file:
        return []
    import skops.io

    from jupyter_mlops.models.skops_policy import refused

    held = set(skops.io.get_untrusted_types(file=folder / found.file))
    return refused(held - LIGHTGBM if found.exact else held)
