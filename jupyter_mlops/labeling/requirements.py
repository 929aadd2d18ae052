"""What a run may demand of labels before it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_mlops.labeling.progress import TaskState, status
from jupyter_mlops.labeling.reliability import agreement
from jupyter_mlops.workspace.errors import Conflict

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["require"]


def require(
    ws: Workspace,
    name: str,
    *,
    count: int | None = None,
    agreed: float | None = None,
    undisputed: bool = False,
) -> TaskState:
    """Go on only with enough labels that people agree about.

    Parameters
    ----------
    ws : Workspace
    name : str
        The task's name or id.
    count : int, optional
        The fewest labelled items; all of them when nothing is demanded.
    agreed : float, optional
        The least agreement, by the first figure that `agreement` gives: Krippendorff's
        alpha for classes.
    undisputed : bool
        Whether no item may wait for a reviewer.

    Returns
    -------
    TaskState

    Raises
    ------
    Conflict
        A demand isn't met; the reason has the figure.
    """
    state = status(ws, name)
    task, labelled = state.task, state.counts.labeled
    wanted = state.counts.total if count is None and agreed is None and not undisputed else count
    if wanted is not None and labelled < wanted:
        raise Conflict(
            f"{task.name!r} has too few labels",
            f"{labelled:,} items are labelled, {wanted:,} are required",
            f"label the rest: `%mlops label {task.name}`",
            code="E-LABEL-112",
        )
    if agreed is None and not undisputed:
        return state
    found = agreement(ws, name)
    measure = found.measures[0]
    if agreed is not None and (found.value is None or found.value < agreed):
        reached = "isn't defined" if found.value is None else f"is {found.value:.3f}"
        raise Conflict(
            f"people don't agree enough about {task.name!r}",
            f"{measure.name} {reached} over {found.items:,} items with two opinions or more, "
            f"{agreed:g} is required",
            f"`%mlops label agreement {task.name}` shows who and what",
            code="E-LABEL-113",
        )
    if undisputed and found.disputed:
        raise Conflict(
            f"{found.disputed:,} items of {task.name!r} wait for a reviewer",
            fix=f"`%mlops label disputes {task.name}` shows them",
            code="E-LABEL-114",
        )
    return state
