"""Models in ONNX: a graph of known operations, which ONNX Runtime computes.

The runtime is imported when a model is opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from jupyter_mlops.workspace import Unavailable

__all__ = ["OnnxClassifier", "OnnxModel", "freeze", "thaw"]

#: What inputs of these types are given as.
_TYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": object,
}


class OnnxModel:
    """An ONNX graph as a model of columns.

    It takes either one input of shape (rows, columns), or an input for each column, named
    as the column is. Its first output is the answer.

    Parameters
    ----------
    content : bytes
        The graph, as ``SerializeToString`` writes it.
    features : sequence of str
        The columns it takes, in order.

    Raises
    ------
    Unavailable
        ONNX Runtime isn't installed, or can't read the graph.
    """

    def __init__(self, content: bytes, features: Sequence[str]) -> None:
        self.content = content
        self.feature_names_in_ = np.asarray(features, dtype=object)
        self.n_features_in_ = len(features)
        self._session = _session(content)

    def predict(self, rows: Any) -> Any:
        """The first output, shape (rows,)."""
        return np.asarray(self._run(rows)[0]).reshape(-1)

    def _run(self, rows: Any) -> list[Any]:
        inputs = self._session.get_inputs()
        names = list(self.feature_names_in_)
        frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows, columns=names)
        if len(inputs) == 1 and inputs[0].name not in names:
            given = {inputs[0].name: frame[names].to_numpy(_TYPES[inputs[0].type])}
        else:
            given = {one.name: frame[[one.name]].to_numpy(_TYPES[one.type]) for one in inputs}
        found: list[Any] = self._session.run(None, given)
        return found


class OnnxClassifier(OnnxModel):
    """An ONNX graph of a classifier.

    Its outputs are labels, and probabilities of shape (rows, classes); or these alone.

    Parameters
    ----------
    content : bytes
    features : sequence of str
    classes : sequence
        What the columns of probabilities stand for.
    """

    def __init__(self, content: bytes, features: Sequence[str], classes: Sequence[Any]) -> None:
        super().__init__(content, features)
        self.classes_ = np.asarray(classes)

    def predict(self, rows: Any) -> Any:
        """The first output, or the likeliest class, shape (rows,)."""
        found = self._run(rows)
        if len(found) == 1:
            return self.classes_[np.argmax(found[0], axis=1)]
        return np.asarray(found[0]).reshape(-1)

    def predict_proba(self, rows: Any) -> Any:
        """Probabilities, shape (rows, classes)."""
        found = self._run(rows)[-1]
        if isinstance(found, list):  # a dict for each row, as converters write it by default
            found = [[row[one] for one in self.classes_.tolist()] for row in found]
        return np.asarray(found, dtype=np.float64)


def freeze(model: Any) -> tuple[Literal["onnx"], bytes] | None:
    """The bytes of an `OnnxModel`; None for any other model.

    The runtime has read them before: it takes no operation that it doesn't bring itself, and
    no numbers from other files.
    """
    return ("onnx", model.content) if isinstance(model, OnnxModel) else None


def thaw(path: Path, told: Mapping[str, Any]) -> OnnxModel:
    """Open a model file; `told` is what MLmodel says: ``features`` and ``classes``.

    Raises
    ------
    Unavailable
        As for `OnnxModel`.
    """
    content = path.read_bytes()
    features, classes = told.get("features") or (), told.get("classes")
    return OnnxClassifier(content, features, classes) if classes else OnnxModel(content, features)


def _session(content: bytes) -> Any:
    runtime = _library("onnxruntime")
    try:
        return runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's own errors have no common class
        raise Unavailable(
            "ONNX Runtime can't read the model",
            str(error).splitlines()[0][:300],
            "convert the model again",
            code="E-MODEL-034",
        ) from error


def _library(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        raise Unavailable(
            f"the model is in ONNX, and {name} isn't installed here",
            fix=f"pip install {name}",
            code="E-MODEL-035",
        ) from None
