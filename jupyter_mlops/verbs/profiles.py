"""Verbs for profiles that were made: shown again whole, by page, or one column at a time."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Literal

from jupyter_mlops.verbs.table import verb

if TYPE_CHECKING:
    from jupyter_mlops.profiling import Profile
    from jupyter_mlops.profiling.paging import ColumnDetail, ColumnPage
    from jupyter_mlops.workspace import Workspace

# A profile never changes, and someone who turns pages asks for the same one again and again.
_KEPT = 2
_read: OrderedDict[tuple[str, str], Profile] = OrderedDict()
_lock = Lock()


@verb("profile show")
def profile_show(ws: Workspace, ref: str) -> Profile:
    """Show a profile that was made before.

    Parameters
    ----------
    ref : str
        The profile's reference, or a dataset's name for its newest profile.

    Examples
    --------
    >>> %mlops profile show profile:1f3c
    >>> %mlops profile show flights
    """
    return _kept(ws, ref)


@verb("profile columns")
def profile_columns(
    ws: Workspace,
    ref: str,
    *,
    search: str = "",
    sort: Literal[
        "interest",
        "table",
        "name",
        "type",
        "missing",
        "distinct",
        "middle",
        "top",
        "strength",
        "findings",
        "distance",
    ] = "table",
    descending: bool = False,
    page: int = 1,
    size: int = 20,
    against: str | None = None,
) -> ColumnPage:
    """List columns of a profile, a page at a time.

    Parameters
    ----------
    ref : str
        The profile's reference, or a dataset's name for its newest profile.
    search : str
        Words that the name, the type or a finding must hold.
    sort : str
        What orders the columns; columns that lack it come last.
    descending : bool
        Whether the greatest comes first.
    page : int
        Counted from 1.
    size : int
        Columns on a page, 200 at most.
    against : str
        The profile to put beside it.

    Examples
    --------
    >>> %mlops profile columns profile:1f3c --search delay --sort missing --descending
    """
    from jupyter_mlops.profiling import paging

    return paging.columns(
        _kept(ws, ref),
        search=search,
        sort=sort,
        descending=descending,
        page=page,
        size=size,
        against=_kept(ws, against) if against else None,
    )


@verb("profile column")
def profile_column(
    ws: Workspace,
    ref: str,
    name: str | None = None,
    *,
    position: int | None = None,
    against: str | None = None,
) -> ColumnDetail:
    """Show one column of a profile with all that is known of it.

    Parameters
    ----------
    ref : str
        The profile's reference, or a dataset's name for its newest profile.
    name : str
        The column.
    position : int
        Its place in the table instead, counted from 0.
    against : str
        The profile to put beside it.

    Examples
    --------
    >>> %mlops profile column profile:1f3c dep_delay
    """
    from jupyter_mlops.profiling import paging

    return paging.column(
        _kept(ws, ref),
        name,
        position=position,
        against=_kept(ws, against) if against else None,
    )


def _kept(ws: Workspace, ref: str) -> Profile:
    from jupyter_mlops import profiling

    home = str(ws.home)
    place = (home, ref.removeprefix("profile:"))
    with _lock:
        found = _read.get(place)
        if found is not None:
            _read.move_to_end(place)
            return found
    found = profiling.get(ws, ref)
    if (home, found.id) != place:
        return found  # by a dataset's name, whose newest profile is another one tomorrow
    with _lock:
        _read[place] = found
        while len(_read) > _KEPT:
            _read.popitem(last=False)
    return found
