"""``python -m jupyter_mlops.agent``: the agent as a process of its own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from jupyter_mlops.agent.loop import run
from jupyter_mlops.workspace import MLOpsError, Workspace


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(prog="python -m jupyter_mlops.agent", description=__doc__)
    parser.add_argument("--workspace", type=Path, help="the folder that holds .mlops")
    given = parser.parse_args()
    try:
        if not run(Workspace.open(given.workspace, create=False)):
            print("another agent is at work", file=sys.stderr)
    except MLOpsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
