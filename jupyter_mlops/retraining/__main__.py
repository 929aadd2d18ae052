"""The process that works on decisions: ``python -m jupyter_mlops.retraining``."""

from __future__ import annotations

import argparse
import signal
import sys
from types import FrameType

from jupyter_mlops.retraining.deciding import decide
from jupyter_mlops.retraining.promoting import settle_waiting, watch_promoted
from jupyter_mlops.workspace import MLOpsError, Workspace


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description="Work on the decisions of policies.")
    parser.add_argument("--workspace", required=True)
    parser.add_argument("decision", nargs="?", help="its id")
    parser.add_argument(
        "--settle", action="store_true", help="look at approvals and at promoted versions instead"
    )
    given = parser.parse_args()

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        ws = Workspace.open(given.workspace)
        if given.settle:
            # What does harm goes back first.
            watch_promoted(ws)
            settle_waiting(ws)
            return 0
        found = decide(ws, given.decision)
    except MLOpsError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{found.ref} is {found.state}: {found.reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
