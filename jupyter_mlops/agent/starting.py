"""See that the agent runs, and wait for what it does."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from jupyter_mlops.agent.bell import ring
from jupyter_mlops.agent.lease import state
from jupyter_mlops.agent.processes import Known, last_line, launch
from jupyter_mlops.serving import endpoints
from jupyter_mlops.serving.endpoints import Endpoint
from jupyter_mlops.serving.records import EndpointRecord
from jupyter_mlops.workspace import Invalid, MLOpsError, Unavailable, Workspace

__all__ = ["bring_down", "bring_up", "ensure"]

UP_SECONDS = 120.0
DOWN_SECONDS = 45.0
_started: dict[Path, Known] = {}


def ensure(ws: Workspace) -> None:
    """Start the workspace's agent unless one runs.

    It is detached: it outlives this process, and ends by itself when nothing is left to do.

    Raises
    ------
    Unavailable
        It cannot be started.
    """
    if state(ws).running or not ws.settings.agent_start:
        return
    mine = _started.get(ws.home)
    if mine is not None and mine.alive():
        return  # on its way: it takes the lease in a moment
    log = ws.home / "logs" / "agent.log"
    arguments = ["--workspace", str(ws.root)]
    _started[ws.home] = launch("jupyter_mlops.agent", arguments, log, ws.root)


def bring_up(ws: Workspace, name: str, generation: int, seconds: float = UP_SECONDS) -> Endpoint:
    """Wait until a declared endpoint answers.

    Parameters
    ----------
    ws : Workspace
    name : str
    generation : int
        As `serving.declare` returned it.
    seconds : float
        How long.

    Raises
    ------
    Unavailable
        It failed, or was not ready in time; says why.
    """

    def look(row: EndpointRecord) -> bool:
        if row.failed is not None and row.failed >= generation:
            raise _failure(row)
        return row.serving is not None and row.serving >= generation

    _wait(ws, name, seconds, look, "is not ready")
    return endpoints.get(ws, name)


def bring_down(ws: Workspace, name: str, seconds: float = DOWN_SECONDS) -> Endpoint:
    """Wait until an endpoint that was told to stop has stopped."""
    _wait(ws, name, seconds, lambda row: row.state == "stopped", "has not stopped")
    return endpoints.get(ws, name)


def _wait(
    ws: Workspace,
    name: str,
    seconds: float,
    look: Callable[[EndpointRecord], bool],
    what: str,
) -> None:
    started = time.monotonic()
    deadline = started + seconds
    next_care = 0.0
    ring(ws)
    while True:
        with ws.read() as session:
            row = session.get_one(EndpointRecord, name)
            session.expunge(row)
        if look(row):
            return
        now = time.monotonic()
        if now > deadline:
            raise Unavailable(
                f"endpoint '{name}' {what} after {seconds:.0f} seconds",
                "it waits for a GPU, and begins when it is given one"
                if row.state == "waiting"
                else _why(ws),
                "`%mlops gpu` shows who holds what"
                if row.state == "waiting"
                else f"`%mlops endpoints --name {name}` shows its state",
                code="E-AGENT-020",
            )
        if now >= next_care:
            next_care = now + 2.0
            ensure(ws)
        time.sleep(0.02 if now < started + 1.0 else 0.05)


def _why(ws: Workspace) -> str:
    if state(ws).running:
        return "the machine may be busy"
    if not ws.settings.agent_start:
        return "no agent runs, and the setting agent_start forbids to start one"
    said = last_line(ws.home / "logs" / "agent.log")
    return f"no agent runs; its last words: {said}" if said else "no agent runs"


def _failure(row: EndpointRecord) -> MLOpsError:
    reason = row.reason or {}
    goes_on = "; the version before goes on" if row.serving is not None else ""
    what = reason.get("what", "it failed")
    why = reason.get("why", "")
    kind = Unavailable if str(reason.get("code", "")).startswith("E-AGENT") else Invalid
    return kind(
        f"endpoint '{row.name}' cannot serve {row.model}@{row.version}{goes_on}",
        f"{what}: {why}" if why else what,
        reason.get("fix", ""),
        code="E-AGENT-021",
    )
