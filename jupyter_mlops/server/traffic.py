"""Which endpoints are being asked for predictions, told by the files they write.

Predictions are no entries of the workspace's log, so the log's tail says nothing of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["TrafficLook"]


class TrafficLook:
    """Remembers how far each endpoint's traffic had come when it was looked at last."""

    def __init__(self) -> None:
        self._seen: dict[Path, int] | None = None
        self._grown: set[str] = set()

    def moved(self, workspace: Workspace) -> list[str]:
        """Names of the endpoints that answered since the last look, or since the one before.

        An endpoint counts what it answered a moment after it wrote it, so the last answers
        are told twice. The first look only learns what is there.
        """
        from jupyter_mlops.serving.config import FRESH
        from jupyter_mlops.serving.places import traffic_root

        found: dict[Path, int] = {}
        for segment in traffic_root(workspace).glob(f"*/{FRESH}/*"):
            try:
                found[segment] = segment.stat().st_size
            except FileNotFoundError:
                continue  # compacted meanwhile
        before, self._seen = self._seen, found
        if before is None:
            return []
        grown = {
            segment.parent.parent.name
            for segment, size in found.items()
            if size > before.get(segment, 0)
        }
        told, self._grown = grown | self._grown, grown
        return sorted(told)
