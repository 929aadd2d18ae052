"""Labels that survive: tasks, a queue without double work, and decisions that are never lost.

Names are loaded when they are first used: a labeler's server needs no data frames.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_mlops.labeling.additions import add_items, known_keys
    from jupyter_mlops.labeling.adjudication import Disputes, adjudicate, disputes
    from jupyter_mlops.labeling.annotations import Receipt, Refusal, commit
    from jupyter_mlops.labeling.changes import change_rules
    from jupyter_mlops.labeling.choosing import Pool, Strategy
    from jupyter_mlops.labeling.coefficients import Estimate
    from jupyter_mlops.labeling.decisions import Decision
    from jupyter_mlops.labeling.desk import ClaimedItem
    from jupyter_mlops.labeling.exchange import answer
    from jupyter_mlops.labeling.exports import Export, export, labels
    from jupyter_mlops.labeling.functions import (
        LabelingFunction,
        Votes,
        apply_functions,
        labeling_function,
        suggest,
    )
    from jupyter_mlops.labeling.gold import known_answers, set_gold
    from jupyter_mlops.labeling.imports import import_labels
    from jupyter_mlops.labeling.intake import Import, import_file
    from jupyter_mlops.labeling.leases import Claim, claim, release, renew
    from jupyter_mlops.labeling.media import Media, open_media
    from jupyter_mlops.labeling.membership import Roles, give_role, roles
    from jupyter_mlops.labeling.peaks import Peaks, peaks_of
    from jupyter_mlops.labeling.pixels import pictures, png
    from jupyter_mlops.labeling.progress import Queue, TaskState, status, upcoming
    from jupyter_mlops.labeling.provenance import Stats, stats
    from jupyter_mlops.labeling.quality import People, people
    from jupyter_mlops.labeling.ranking import Ranking, last_ranking, pick, rank
    from jupyter_mlops.labeling.reliability import Agreement, agreement
    from jupyter_mlops.labeling.requirements import require
    from jupyter_mlops.labeling.rules import Rules
    from jupyter_mlops.labeling.standing import Standing, Tasks, list_tasks
    from jupyter_mlops.labeling.suspicion import Suspects, suspects
    from jupyter_mlops.labeling.tasks import Counts, Task, create, find, get, same_rules
    from jupyter_mlops.labeling.timing import due
    from jupyter_mlops.labeling.vectors import texts
    from jupyter_mlops.labeling.versions import label_set

_HOMES = {
    "timing": ("due",),
    "reliability": (
        "Agreement",
        "agreement",
    ),
    "changes": ("change_rules",),
    "choosing": (
        "Pool",
        "Strategy",
    ),
    "coefficients": ("Estimate",),
    "additions": ("add_items", "known_keys"),
    "adjudication": (
        "Disputes",
        "adjudicate",
        "disputes",
    ),
    "functions": (
        "LabelingFunction",
        "Votes",
        "apply_functions",
        "labeling_function",
        "suggest",
    ),
    "gold": (
        "known_answers",
        "set_gold",
    ),
    "provenance": ("Stats", "stats"),
    "quality": (
        "People",
        "people",
    ),
    "ranking": ("Ranking", "last_ranking", "pick", "rank"),
    "requirements": ("require",),
    "membership": (
        "Roles",
        "give_role",
        "roles",
    ),
    "rules": ("Rules",),
    "suspicion": (
        "Suspects",
        "suspects",
    ),
    "vectors": ("texts",),
    "annotations": ("Receipt", "Refusal", "commit"),
    "decisions": ("Decision",),
    "exchange": ("answer",),
    "exports": ("Export", "export", "labels"),
    "imports": ("import_labels",),
    "intake": ("Import", "import_file"),
    "versions": ("label_set",),
    "desk": ("ClaimedItem",),
    "leases": ("Claim", "claim", "release", "renew"),
    "media": ("Media", "open_media"),
    "peaks": ("Peaks", "peaks_of"),
    "pixels": ("pictures", "png"),
    "progress": ("Queue", "TaskState", "status", "upcoming"),
    "standing": ("Standing", "Tasks", "list_tasks"),
    "tasks": ("Counts", "Task", "create", "find", "get", "same_rules"),
}
_WHERE = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Agreement",
    "Claim",
    "ClaimedItem",
    "Counts",
    "Decision",
    "Disputes",
    "Estimate",
    "Export",
    "Import",
    "LabelingFunction",
    "Media",
    "Peaks",
    "People",
    "Pool",
    "Queue",
    "Ranking",
    "Receipt",
    "Refusal",
    "Roles",
    "Rules",
    "Standing",
    "Stats",
    "Strategy",
    "Suspects",
    "Task",
    "TaskState",
    "Tasks",
    "Votes",
    "add_items",
    "adjudicate",
    "agreement",
    "answer",
    "apply_functions",
    "change_rules",
    "claim",
    "commit",
    "create",
    "disputes",
    "due",
    "export",
    "find",
    "get",
    "give_role",
    "import_file",
    "import_labels",
    "known_answers",
    "known_keys",
    "label_set",
    "labeling_function",
    "labels",
    "last_ranking",
    "list_tasks",
    "open_media",
    "peaks_of",
    "people",
    "pick",
    "pictures",
    "png",
    "rank",
    "release",
    "renew",
    "require",
    "roles",
    "same_rules",
    "set_gold",
    "stats",
    "status",
    "suggest",
    "suspects",
    "texts",
    "upcoming",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
