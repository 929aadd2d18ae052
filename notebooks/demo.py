"""Run the tour by papermill in a fresh workspace and print its last table.

Usage: ``python notebooks/demo.py [--sample SHARE] [--output FOLDER]``
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat

TOUR = Path(__file__).with_name("flights.ipynb")


def summary(notebook: Path) -> str:
    """What the cell tagged ``summary`` printed."""
    document = nbformat.read(notebook, as_version=4)
    for cell in document.cells:
        if "summary" in cell.metadata.get("tags", []):
            return "".join(one["text"] for one in cell.outputs if one.output_type == "stream")
    raise SystemExit(f"{notebook} has no cell tagged summary")


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=float, default=1.0, help="share of the year's days")
    parser.add_argument("--output", type=Path, default=TOUR.parents[1] / "build-output")
    given = parser.parse_args()
    workspace = given.output.resolve() / "demo"
    shutil.rmtree(workspace, ignore_errors=True)
    workspace.mkdir(parents=True)
    executed = given.output.resolve() / TOUR.name
    # Its own IPython profile: no one's start-up files, and no kernel log among the results.
    profile = workspace / "ipython" / "profile_default"
    profile.mkdir(parents=True)
    profile.joinpath("ipython_kernel_config.py").write_text('c.IPKernelApp.log_level = "ERROR"')
    # A demo leaves nothing behind: its agent ends soon after the endpoint is stopped.
    environment = os.environ | {
        "IPYTHONDIR": str(profile.parent),
        "JUPYTER_MLOPS_WORKSPACE": str(workspace),
        "JUPYTER_MLOPS_AGENT_IDLE": "30",
    }
    command = [sys.executable, "-m", "papermill", str(TOUR), str(executed)]
    command += ["-p", "sample", str(given.sample), "--cwd", str(TOUR.parent)]
    command += ["-k", "python3", "--no-log-output", "--log-level", "WARNING"]
    if not sys.stderr.isatty():
        command.append("--no-progress-bar")
    start = time.monotonic()
    done = subprocess.run(command, env=environment, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        print(f"the tour stopped early; {executed} shows how far it came", file=sys.stderr)
        return done.returncode
    print(summary(executed))
    print(f"{executed} · {time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
