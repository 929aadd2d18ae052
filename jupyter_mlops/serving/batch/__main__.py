"""``python -m jupyter_mlops.serving.batch``: one prediction that was left to the agent."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from jupyter_mlops.serving.batch.detached import run
from jupyter_mlops.workspace import MLOpsError, Workspace


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(
        prog="python -m jupyter_mlops.serving.batch", description=__doc__
    )
    parser.add_argument("--workspace", type=Path, help="the folder that holds .mlops")
    parser.add_argument("name", help="a prediction that was declared")
    given = parser.parse_args()
    try:
        ended = run(Workspace.open(given.workspace, create=False), given.name)
    except MLOpsError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{ended.short}: {ended.state}, {ended.done:,} of {ended.total:,} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
