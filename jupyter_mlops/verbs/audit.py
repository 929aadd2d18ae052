"""Verbs that check the log of events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_mlops.verbs.table import verb

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Audit, Workspace


@verb("audit verify")
def audit_verify(ws: Workspace) -> Audit:
    """Check that no recorded event was changed, removed or added afterwards.

    Examples
    --------
    >>> %mlops audit verify
    """
    return ws.audit()
