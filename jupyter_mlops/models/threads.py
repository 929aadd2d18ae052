"""How many threads a process computes with that answers for a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["single"]

_THREADS: Final = "OMP_NUM_THREADS"


def single(environ: Mapping[str, str]) -> dict[str, str]:
    """Variables of a process that computes with one thread, unless they say otherwise.

    Threads of OpenMP and OpenBLAS wait for one another by spinning. A request holds too few rows
    to gain by them, and where other processes want the processors, too, one that spins for a
    thread that isn't running takes many times as long. Replicas are how a model gets more.

    Parameters
    ----------
    environ : mapping of str to str

    Returns
    -------
    dict of str to str

    Examples
    --------
    >>> single({"HOME": "/root"})["OMP_NUM_THREADS"]
    '1'
    >>> single({"OMP_NUM_THREADS": "4"})["OMP_NUM_THREADS"]
    '4'
    """
    return {_THREADS: "1", **environ}
