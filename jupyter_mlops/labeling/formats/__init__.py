"""Labels as other tools write and read them: one module a format, none of which knows the store."""

from __future__ import annotations

from jupyter_mlops.labeling.formats.catalogue import (
    FORMATS,
    Format,
    by_ending,
    find,
    fitting,
    recognize,
)
from jupyter_mlops.labeling.formats.files import Files, Written, read_files, write_files
from jupyter_mlops.labeling.formats.labelset import (
    Act,
    Entry,
    Given,
    LabelSet,
    Prediction,
    Reading,
)

__all__ = [
    "FORMATS",
    "Act",
    "Entry",
    "Files",
    "Format",
    "Given",
    "LabelSet",
    "Prediction",
    "Reading",
    "Written",
    "by_ending",
    "find",
    "fitting",
    "read_files",
    "recognize",
    "write_files",
]
