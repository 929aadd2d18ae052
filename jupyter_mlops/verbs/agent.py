"""The verb that shows the workspace's agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_mlops.verbs.table import verb

if TYPE_CHECKING:
    from jupyter_mlops.agent import AgentState
    from jupyter_mlops.workspace import Workspace


@verb("agent")
def agent(ws: Workspace) -> AgentState:
    """Show the agent, the one process of a workspace that keeps its endpoints running.

    It starts by itself when something needs it. `jupyter mlops agent run` is the agent
    itself, in the foreground of a shell.

    Examples
    --------
    >>> %mlops agent
    """
    from jupyter_mlops import agent as room

    return room.state(ws)
