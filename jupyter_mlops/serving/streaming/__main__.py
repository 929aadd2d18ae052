"""``python -m jupyter_mlops.serving.streaming``: one stream as a process of its own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from jupyter_mlops.serving.streaming.running import run
from jupyter_mlops.serving.streaming.streams import get
from jupyter_mlops.workspace import MLOpsError, Workspace


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(
        prog="python -m jupyter_mlops.serving.streaming", description=__doc__
    )
    parser.add_argument("--workspace", type=Path, help="the folder that holds .mlops")
    parser.add_argument("name", help="a stream that was declared")
    given = parser.parse_args()
    try:
        ws = Workspace.open(given.workspace, create=False)
        ended = run(ws, get(ws, given.name).name)
    except MLOpsError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{ended.name}: {ended.why}, {ended.answered:,} answered, {ended.refused:,} refused")
    return 0


if __name__ == "__main__":
    sys.exit(main())
