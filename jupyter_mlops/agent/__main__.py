"""``python -m jupyter_mlops.agent``: the agent as a process of its own."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from jupyter_mlops.serving import zygote


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(prog="python -m jupyter_mlops.agent", description=__doc__)
    parser.add_argument("--workspace", type=Path, help="the folder that holds .mlops")
    given = parser.parse_args()
    zygote.warm()  # it imports for seconds, and so do we

    from jupyter_mlops.agent.loop import run
    from jupyter_mlops.serving import standby
    from jupyter_mlops.workspace import MLOpsError, Workspace

    twin: standby.Standby | None = None
    try:
        ws = Workspace.open(given.workspace, create=False)
        # Whoever kills the agent must not leave endpoints alone for the seconds that it imports.
        twin = standby.keep() if hasattr(os, "fork") else None
        if not run(ws):
            print("another agent is at work", file=sys.stderr)
    except MLOpsError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        # What fails here would fail again: the twin is for what comes from outside.
        if twin is not None:
            twin.dismiss()
    return 0


if __name__ == "__main__":
    sys.exit(main())
