"""Where a labeler is shown, and what is shown where nobody could label."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from jupyter_mlops.labeling.progress import TaskState, status
from jupyter_mlops.workspace.errors import Unavailable

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["show", "somebody_watches"]

LOOK = 0.5  # seconds between two looks at the task while waiting for it
ARRIVAL = 20.0  # seconds in which a labeler that can work beside a waiting kernel shows up


def show(ws: Workspace, task: str, *, wait: bool = False) -> TaskState:
    """The task's labeler where somebody watches; its state alone everywhere else.

    Parameters
    ----------
    ws : Workspace
    task : str
        The task's name or id.
    wait : bool
        Return only when every item is labelled or skipped. Interrupting is no error.

    Raises
    ------
    NotFound
        There is no such task.
    Unavailable
        `wait` was asked for and nobody can label.
    """
    state = status(ws, task)
    if not somebody_watches():
        if wait and state.counts.open:
            raise Unavailable(
                f"nobody is here to label {state.task.name!r}",
                f"{state.counts.open:,} of {state.counts.total:,} items are open",
                "leave --wait away, or run this cell in JupyterLab",
                code="E-LABEL-034",
            )
        return state
    from jupyter_mlops.labeling.widgets.labeler import Labeler

    labeler = Labeler.of(ws, state)
    if not wait or not state.counts.open:
        return labeler
    from IPython.display import display

    display(labeler)  # type: ignore[no-untyped-call]
    return _wait(ws, state)


def somebody_watches() -> bool:
    """Whether this code runs in a kernel whose client can show widgets and ask questions.

    A notebook or a console announces with each request that it can ask its user
    (``allow_stdin``); papermill, nbclient, nbconvert and ``jupyter execute`` announce that
    they can't. A plain program has no kernel.
    """
    interactive = sys.modules.get("IPython")
    shell: Any = interactive.get_ipython() if interactive else None
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return False
    try:
        request = kernel.get_parent("shell")
    except (AttributeError, TypeError, LookupError):
        return False
    return bool(request.get("content", {}).get("allow_stdin", False))


def _wait(ws: Workspace, state: TaskState) -> TaskState:
    """Look until nothing is open. The kernel is busy meanwhile: labels come by the server."""
    began = time.monotonic()
    arrived = False
    try:
        while state.counts.open:
            arrived = arrived or state.held > 0
            if not arrived and time.monotonic() - began > ARRIVAL:
                raise Unavailable(
                    f"the labeler of {state.task.name!r} can't work while the kernel waits",
                    "it reaches the store through this kernel alone, without the Jupyter server",
                    "leave --wait away",
                    code="E-LABEL-035",
                )
            time.sleep(LOOK)
            state = status(ws, state.task.id, recent=0)
    except KeyboardInterrupt:
        pass  # the person has seen enough; what was labelled is kept
    return status(ws, state.task.id)
