"""Why an endpoint doesn't serve, as it is recorded and shown."""

from __future__ import annotations

from pathlib import Path

from jupyter_mlops.agent.processes import last_line
from jupyter_mlops.workspace import MLOpsError

__all__ = ["as_reason", "last_words"]


def last_words(log: Path, status: int | None) -> dict[str, str]:
    """How a process ended by itself, and the last that its log says."""
    how = f"killed by signal {-status}" if status is not None and status < 0 else "it ended"
    if status is not None and status > 0:
        how = f"exit status {status}"
    said = last_line(log)
    return {
        "code": "E-AGENT-010",
        "what": "the endpoint's process ended by itself",
        "why": f"{how}; its last words: {said}" if said else how,
        "fix": f"read {log}",
    }


def as_reason(error: Exception) -> dict[str, str]:
    """What hindered a start."""
    if isinstance(error, MLOpsError):
        return error.as_dict()
    return {
        "code": "E-AGENT-011",
        "what": "the endpoint's files cannot be written",
        "why": str(error),
        "fix": "make room, or make the workspace writable",
    }
