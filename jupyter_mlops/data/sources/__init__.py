"""Sources: files, databases, object storage, streams and frames behind one protocol."""

from __future__ import annotations

from jupyter_mlops.data.sources.opening import (
    LazySource,
    Narrowed,
    Request,
    Source,
    known_schemes,
    open_source,
    register,
)

__all__ = [
    "LazySource",
    "Narrowed",
    "Request",
    "Source",
    "known_schemes",
    "open_source",
    "register",
]
