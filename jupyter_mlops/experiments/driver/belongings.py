"""What a trial's process has to be shown of the notebook: its names, its modules and its folder."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

__all__ = ["provide", "settle_in"]


def provide(value: Any, provided: Mapping[str, Any]) -> None:
    """Let the notebook's functions and methods see what the body sees."""
    value = getattr(value, "func", value) if isinstance(value, partial) else value
    kind = value if isinstance(value, type) else type(value)
    # An object's class has the names of its module, whether or not the cell names it, too.
    members = vars(kind).values() if kind.__module__ == "__main__" else [value]
    for one in members:
        function = getattr(one, "__func__", one)
        if isinstance(function, types.FunctionType) and function.__module__ == "__main__":
            for name, thing in provided.items():
                # Bound anew by each trial; a global of the notebook's own came along with it.
                function.__globals__[name] = thing


def settle_in(folder: str, cwd: str) -> None:
    """Let the notebook's own modules and files be found; others of their names are forgotten.

    Parameters
    ----------
    folder : str
        A shipment's.
    cwd : str
        The notebook's folder, where this machine has it.
    """
    if os.path.isdir(cwd):  # noqa: PTH112  once a trial
        os.chdir(cwd)
    place = str(Path(folder) / "modules")
    if place not in sys.path and os.path.isdir(place):  # noqa: PTH112  once a trial
        for known in [one for one in sys.path if one.endswith("/modules") and "shipments" in one]:
            sys.path.remove(known)
        sys.path.insert(0, place)
        tops = {entry.partition(".")[0] for entry in os.listdir(place)}  # noqa: PTH208
        for name in [one for one in sys.modules.copy() if one.partition(".")[0] in tops]:
            del sys.modules[name]
