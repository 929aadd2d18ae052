"""The formats a model may be kept in, and what its file is called in each."""

from __future__ import annotations

from typing import Literal

__all__ = ["FILES", "Format"]

Format = Literal["skops", "xgboost", "lightgbm", "onnx", "pickle"]
FILES: dict[Format, str] = {
    "skops": "model.skops",
    "xgboost": "model.ubj",
    "lightgbm": "model.txt",
    "onnx": "model.onnx",
    "pickle": "model.pkl",
}
