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
        #: The size of each segment, and what each process answered without a line.
        self._seen: dict[Path, int] | None = None
        self._grown: set[str] = set()

    def moved(self, workspace: Workspace) -> list[str]:
        """Names of the endpoints that answered since the last look, or since the one before.

        An endpoint counts what it answered a moment after it wrote it, so the last answers
        are told twice. The first look only learns what is there.
        """
        from jupyter_mlops.serving.config import FRESH
        from jupyter_mlops.serving.places import read_state, traffic_root

        found: dict[Path, int] = {}
        for segment in traffic_root(workspace).glob(f"*/{FRESH}/*"):
            try:
                found[segment] = segment.stat().st_size
            except FileNotFoundError:
                continue  # compacted meanwhile
        # What isn't logged is counted all the same, and so is what was refused or failed.
        for path in (workspace.home / "run").glob("endpoint-*.json"):
            state = read_state(path)
            fates = state.get("log", {})
            unlogged = sum(fates.get(fate, 0) for fate in ("sampled_out", "unlogged", "off"))
            found[path] = unlogged + state.get("errors", 0)
        before, self._seen = self._seen, found
        if before is None:
            return []
        grown = {_name(path) for path, size in found.items() if size > before.get(path, 0)}
        told, self._grown = grown | self._grown, grown
        return sorted(told)


def _name(path: Path) -> str:
    """The endpoint whose segment, or state, it is."""
    if path.suffix == ".json":
        return path.stem.removeprefix("endpoint-")
    return path.parent.parent.name
