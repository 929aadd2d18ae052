"""The process that makes a check or tells of alerts: ``python -m jupyter_mlops.monitoring``."""

from __future__ import annotations

import argparse
import signal
import sys
from types import FrameType

from jupyter_mlops.workspace import MLOpsError, Workspace


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description="Check an endpoint, or tell of alerts.")
    parser.add_argument("--workspace", required=True)
    parser.add_argument("endpoint", nargs="?", help="make the check that is due")
    parser.add_argument("--send", action="store_true", help="send what waits in the outbox instead")
    given = parser.parse_args()

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        ws = Workspace.open(given.workspace)
        if given.send:
            from jupyter_mlops.monitoring.outbox import send_due

            print(f"{send_due(ws)} messages arrived")
            return 0
        from jupyter_mlops.monitoring.watching import make_check

        found = make_check(ws, given.endpoint)
    except MLOpsError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{found.endpoint}: {found.outcome}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
