"""Networks of PyTorch: trained in the notebook, kept and served as ONNX.

PyTorch's own files run code when they are loaded: ``torch.load`` unpickles, and so does
``torch.export.load`` where it falls back, which evaluates texts of its archive besides. A graph
in ONNX holds numbers and known operations, and its server needs no PyTorch.
"""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from jupyter_mlops.models.onnx import OnnxClassifier, OnnxModel
from jupyter_mlops.workspace import Denied, Invalid, Unavailable

__all__ = ["TorchClassifier", "TorchModel", "freeze"]

#: Rows on which the graph must answer what the network does.
_ROWS: Final = 64
_TOLERANCE: Final = 1e-3


class TorchModel:
    """A network as a model of columns, which predicts a number for each row.

    Parameters
    ----------
    module : torch.nn.Module
        Takes a tensor of float32, shape (rows, columns); gives (rows,) or (rows, 1).
    features : sequence of str
        The columns it takes, in order.

    Examples
    --------
    >>> model = TorchModel(net, ["hour", "distance"])  # doctest: +SKIP
    >>> model.predict(frame).shape  # doctest: +SKIP
    (100,)
    """

    def __init__(self, module: Any, features: Sequence[str]) -> None:
        self.module = module
        self.feature_names_in_ = np.asarray([str(one) for one in features], dtype=object)
        self.n_features_in_ = len(self.feature_names_in_)

    def predict(self, rows: Any) -> Any:
        """Numbers, shape (rows,)."""
        return self._outputs(rows).reshape(-1)

    def exported(self) -> Any:
        """The module that becomes the graph."""
        return self.module

    def _outputs(self, rows: Any) -> Any:
        torch = _torch()
        given = torch.from_numpy(self._matrix(rows))
        module = self.exported()
        training = module.training
        module.eval()
        try:
            with torch.no_grad():
                return module(given.to(_device(module))).cpu().numpy()
        finally:
            module.train(training)

    def _matrix(self, rows: Any) -> Any:
        if isinstance(rows, pd.DataFrame):
            rows = rows[list(self.feature_names_in_)]
        # A copy: a tensor shares its memory, which a data frame's may not be written.
        return np.array(rows, dtype=np.float32)


class TorchClassifier(TorchModel):
    """A network that chooses among classes.

    Parameters
    ----------
    module : torch.nn.Module
        Gives logits: shape (rows, classes), or of two classes (rows,) or (rows, 1) for the
        second.
    features : sequence of str
    classes : sequence
        What its outputs stand for, in order.

    Raises
    ------
    Invalid
        There are fewer than two classes.
    """

    def __init__(self, module: Any, features: Sequence[str], classes: Sequence[Any]) -> None:
        super().__init__(module, features)
        if len(classes) < 2:
            raise Invalid(
                "a classifier needs two classes at least",
                fix="name them in the order of the network's outputs: classes=[0, 1]",
                code="E-MODEL-080",
            )
        self.classes_ = np.asarray(classes)

    def predict(self, rows: Any) -> Any:
        """The likeliest class of each row, shape (rows,)."""
        return self.classes_[np.argmax(self.predict_proba(rows), axis=1)]

    def predict_proba(self, rows: Any) -> Any:
        """Probabilities, shape (rows, classes)."""
        return self._outputs(rows).astype(np.float64)

    def exported(self) -> Any:
        """The module, and what makes probabilities of its logits."""
        return _probabilities(self.module, len(self.classes_))


def _probabilities(module: Any, classes: int) -> Any:
    torch = _torch()

    class Probabilities(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, rows: Any) -> Any:
            logits = self.module(rows)
            if classes == 2 and (logits.ndim == 1 or logits.shape[1] == 1):
                second = torch.sigmoid(logits.reshape(-1, 1))
                return torch.cat([1 - second, second], dim=1)
            return torch.softmax(logits, dim=1)

    made = Probabilities()
    made.train(module.training)
    return made


def freeze(model: Any) -> tuple[Literal["onnx"], bytes] | None:
    """The bytes of a `TorchModel` as ONNX; None for any other model.

    Raises
    ------
    Denied
        The network has no form in ONNX, or one that answers something else.
    Unavailable
        PyTorch's exporter or ONNX Runtime isn't installed.
    """
    if not isinstance(model, TorchModel):
        if any(f"{k.__module__}.{k.__name__}" == _MODULE for k in type(model).__mro__):
            raise Denied(
                f"the {type(model).__name__} is a network without names for its columns",
                fix="wrap it: jupyter_mlops.models.pytorch.TorchModel(net, features) or "
                "TorchClassifier(net, features, classes)",
                code="E-MODEL-081",
            )
        return None
    content = _graph(model)
    _compare(model, content)
    return "onnx", content


_MODULE: Final = "torch.nn.modules.module.Module"


def _graph(model: TorchModel) -> bytes:
    torch = _torch()
    for name in ("onnx", "onnxscript", "onnxruntime"):
        _needed(name)
    module = model.exported()
    training = module.training
    module.eval()
    rows = torch.zeros((2, model.n_features_in_), device=_device(module))
    target = io.BytesIO()
    try:
        # The exporter tells its steps on both streams.
        with (
            warnings.catch_warnings(),
            Path(os.devnull).open("w") as nowhere,
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module,
                (rows,),
                dynamo=True,
                input_names=["rows"],
                output_names=["answers"],
                dynamic_shapes=({0: torch.export.Dim("count", min=1)},),
                verbose=False,
            )
            program.save(target, external_data=False)
    except Exception as error:  # the exporter raises whatever the network makes it meet
        raise Denied(
            f"the {type(model.module).__name__} can't be written as ONNX",
            f"{type(error).__name__}: {str(error).strip().splitlines()[0][:300]}",
            "make its forward of PyTorch's own operations, without branches on values",
            code="E-MODEL-082",
        ) from error
    finally:
        module.train(training)
    return target.getvalue()


def _compare(model: TorchModel, content: bytes) -> None:
    """See that the graph answers what the network does, on rows that nobody chose."""
    rows = np.random.default_rng(0).normal(size=(_ROWS, model.n_features_in_)).astype(np.float32)
    features = [str(one) for one in model.feature_names_in_]
    if isinstance(model, TorchClassifier):
        expected = model.predict_proba(rows)
        found = OnnxClassifier(content, features, model.classes_.tolist()).predict_proba(rows)
    else:
        expected, found = model.predict(rows), OnnxModel(content, features).predict(rows)
    if found.shape != expected.shape or not np.allclose(found, expected, _TOLERANCE, _TOLERANCE):
        raise Denied(
            f"the {type(model.module).__name__} answers otherwise as ONNX",
            "on random rows, its answers and the graph's differ by more than a thousandth",
            "look for random or stateful parts of its forward",
            code="E-MODEL-083",
        )


def _device(module: Any) -> Any:
    return next((one.device for one in module.parameters()), "cpu")


def _torch() -> Any:
    return _needed("torch")


def _needed(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise Unavailable(
            f"a network is kept as ONNX, and {name} isn't installed here",
            fix="pip install torch onnx onnxscript onnxruntime",
            code="E-MODEL-084",
        ) from None
