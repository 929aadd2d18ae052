"""What the figures of a profile rest on, where that isn't every row and every column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_mlops.profiling.advice.case import PAIR_COLUMNS
from jupyter_mlops.profiling.associations import CUT

if TYPE_CHECKING:
    from jupyter_mlops.profiling.profiles import Profile

__all__ = ["scope"]


def scope(profile: Profile) -> list[str]:
    """Sentences about what was counted elsewhere, or looked at in part only.

    Parameters
    ----------
    profile : Profile

    Returns
    -------
    list of str
        None for a table that was read whole and is of ordinary width.

    Examples
    --------
    >>> import polars as pl
    >>> from jupyter_mlops.profiling import profile
    >>> scope(profile(pl.LazyFrame({"x": [1, 2, 3]})))
    []
    """
    told = []
    if profile.counted_by:
        told.append(
            f"Counts are {profile.counted_by}'s own, over all rows; what goes together, the "
            f"target, the shapes of texts and advice on rows rest on a sample of "
            f"{profile.sampled:,} rows."
        )
    cuts = []
    pairs = profile.associations
    if pairs is not None and CUT in pairs.left_out.values():
        compared = f"{len(pairs.columns):,} of {len(profile.columns):,}"
        cuts.append(f"{compared} for what goes together")
    numeric = sum(
        column.numeric and column.distinct > 2 and column.name != profile.target
        for column in profile.columns.values()
    )
    if numeric > PAIR_COLUMNS:
        cuts.append(f"{PAIR_COLUMNS:,} of {numeric:,} numeric ones for multiples of another")
    if cuts:
        told.append(f"Of pairs of columns only some were looked at: {', '.join(cuts)}.")
    return told
