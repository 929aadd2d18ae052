"""JSON lines: an object a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jupyter_mlops.labeling.formats import faults
from jupyter_mlops.labeling.formats.files import Files

__all__ = ["records"]


def records(files: Files) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every line's object of the first file, and where it is; empty lines are passed over."""
    file, content = next(iter(files.items()))
    # JSON has no line feed inside a string, and other line ends are no ends of a line here.
    for number, line in enumerate(faults.decode(file, content).split("\n"), 1):
        if line.strip():
            place = faults.at_line(file, number)
            yield place, faults.fields(place, faults.load(place, line))
