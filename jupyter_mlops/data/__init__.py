"""Data: where it comes from, what it is called, and which version it is."""

from __future__ import annotations

from jupyter_mlops.data.datasets import Dataset, Datasets, add, get, list_datasets
from jupyter_mlops.data.differences import Difference, diff
from jupyter_mlops.data.digest import Digest, digest, logical_type
from jupyter_mlops.data.joins import asof
from jupyter_mlops.data.overlaps import Overlap, overlap
from jupyter_mlops.data.queries import query
from jupyter_mlops.data.resolving import Preview, resolve, sample
from jupyter_mlops.data.sources import LazySource, Request, Source, open_source, register
from jupyter_mlops.data.splits import PARTS, Split, split
from jupyter_mlops.data.tables import Table, numpy_pandas

__all__ = [
    "PARTS",
    "Dataset",
    "Datasets",
    "Difference",
    "Digest",
    "LazySource",
    "Overlap",
    "Preview",
    "Request",
    "Source",
    "Split",
    "Table",
    "add",
    "asof",
    "diff",
    "digest",
    "get",
    "list_datasets",
    "logical_type",
    "numpy_pandas",
    "open_source",
    "overlap",
    "query",
    "register",
    "resolve",
    "sample",
    "split",
]
