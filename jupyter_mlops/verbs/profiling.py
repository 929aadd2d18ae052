"""Verbs for what is known and expected of data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_mlops.verbs.progress import teller
from jupyter_mlops.verbs.table import Data, verb

if TYPE_CHECKING:
    from jupyter_mlops.profiling import Profile, SideBySide
    from jupyter_mlops.workspace import Workspace


@verb("profile", writes=True)
def profile(
    ws: Workspace, source: Data, *, target: str | None = None, against: Data = None
) -> Profile | SideBySide:
    """Profile a table: what is in it, what is wrong with it, and what to do about it.

    One pass over the rows, without loading them whole. With a target, each column is related to
    it, and columns that seem to know the answer are named with their evidence.

    Parameters
    ----------
    source : data
        A dataset, a path or URI, or a data frame.
    target : str
        The column to predict.
    against : data
        Another table to put beside it.

    Examples
    --------
    >>> %mlops profile flights --target late
    >>> %mlops profile flights@2 --against flights@1
    """
    from jupyter_mlops import data, profiling

    made = profiling.make(ws, data.resolve(ws, source), target=target, progress=teller())
    if against is None:
        return made
    other = profiling.make(ws, data.resolve(ws, against), progress=teller())
    return profiling.compare(made, other)
