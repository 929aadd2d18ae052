"""Labels that survive: tasks, a queue without double work, and decisions that are never lost.

Names are loaded when they are first used: a labeler's server needs no data frames.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_mlops.labeling.annotations import Receipt, Refusal, commit
    from jupyter_mlops.labeling.decisions import Decision
    from jupyter_mlops.labeling.exchange import answer
    from jupyter_mlops.labeling.exports import Export, export, labels
    from jupyter_mlops.labeling.imports import import_labels
    from jupyter_mlops.labeling.kinds.settings import shown_settings
    from jupyter_mlops.labeling.leases import Claim, ClaimedItem, claim, release, renew
    from jupyter_mlops.labeling.media import Media, open_media
    from jupyter_mlops.labeling.peaks import Peaks, peaks_of
    from jupyter_mlops.labeling.pixels import pictures, png
    from jupyter_mlops.labeling.progress import (
        Queue,
        Tasks,
        TaskState,
        list_tasks,
        status,
        upcoming,
    )
    from jupyter_mlops.labeling.tasks import Counts, Task, create, find, get

_HOMES = {
    "annotations": ("Receipt", "Refusal", "commit"),
    "decisions": ("Decision",),
    "exchange": ("answer",),
    "exports": ("Export", "export", "labels"),
    "imports": ("import_labels",),
    "kinds.settings": ("shown_settings",),
    "leases": ("Claim", "ClaimedItem", "claim", "release", "renew"),
    "media": ("Media", "open_media"),
    "peaks": ("Peaks", "peaks_of"),
    "pixels": ("pictures", "png"),
    "progress": ("Queue", "TaskState", "Tasks", "list_tasks", "status", "upcoming"),
    "tasks": ("Counts", "Task", "create", "find", "get"),
}
_WHERE = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Claim",
    "ClaimedItem",
    "Counts",
    "Decision",
    "Export",
    "Media",
    "Peaks",
    "Queue",
    "Receipt",
    "Refusal",
    "Task",
    "TaskState",
    "Tasks",
    "answer",
    "claim",
    "commit",
    "create",
    "export",
    "find",
    "get",
    "import_labels",
    "labels",
    "list_tasks",
    "open_media",
    "peaks_of",
    "pictures",
    "png",
    "release",
    "renew",
    "shown_settings",
    "status",
    "upcoming",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
