"""Which workspace a verb works on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from jupyter_mlops.verbs.table import Verb

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["Opener", "workspace_for"]

Opener: TypeAlias = "Callable[[], Workspace]"
"""Opens the workspace, or raises `NotFound` where there is none: it never makes one."""


def workspace_for(
    verb: Verb, path: str | Path | None = None, **settings: Any
) -> Workspace | Opener:
    """What a verb's first argument is.

    The workspace; for a verb that works anywhere, which must help when the store doesn't
    open, and leave no workspace behind where there was none, a function that opens it.
    """
    from jupyter_mlops.workspace import Workspace

    if verb.anywhere:
        return partial(Workspace.open, path, create=False, **settings)
    return Workspace.open(path, **settings)
