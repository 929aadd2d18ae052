"""Verbs for what is known and expected of data."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from jupyter_mlops.verbs.progress import teller
from jupyter_mlops.verbs.table import Data, verb
from jupyter_mlops.workspace.errors import Invalid

if TYPE_CHECKING:
    from jupyter_mlops.profiling import Preparation, Profile, SideBySide
    from jupyter_mlops.workspace import Workspace


@verb("profile", writes=True)
def profile(
    ws: Workspace,
    source: Data,
    *,
    target: str | None = None,
    against: Data = None,
    as_: Literal["pipeline"] | None = None,
) -> Profile | SideBySide | Preparation:
    """Profile a table: what is in it, what is wrong with it, and what to do about it.

    One pass over the rows, without loading them whole. With a target, each column is related to
    it, and columns that seem to know the answer are named with their evidence. Beside another
    table, such as the test rows of a training set, it says which rows and keys both have.

    Parameters
    ----------
    source : data
        A dataset, a path or URI, or a data frame.
    target : str
        The column to predict.
    against : data
        Another table to put beside it.
    as_ : {"pipeline"}
        Give the preparation instead: one ColumnTransformer of scikit-learn, as code and object.

    Examples
    --------
    >>> %mlops profile flights --target late
    >>> %mlops profile flights@2 --against flights@1
    >>> %mlops profile flights --target late --as pipeline -o preparation
    """
    from jupyter_mlops import data, profiling

    if as_ is not None and against is not None:
        raise Invalid(
            "a preparation is made of one table",
            fix="leave out --against, or --as",
            code="E-PROFILE-061",
        )
    table = data.resolve(ws, source)
    made = profiling.make(ws, table, target=target, progress=teller())
    if as_ is not None:
        return profiling.prepare(made)
    if against is None:
        return made
    rival = data.resolve(ws, against)
    other = profiling.make(ws, rival, progress=teller())
    shared = profiling.overlap(table.scan(), rival.scan(), made, other)
    return replace(profiling.compare(made, other), advice=shared)
