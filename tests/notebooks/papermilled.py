"""A notebook of the product, run by papermill as a build machine would, and what its cells show."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def run(name: str, place: Path, **parameters: object) -> nbformat.NotebookNode:
    """Execute a notebook in a workspace of its own below `place`."""
    command = [sys.executable, "-m", "papermill", str(NOTEBOOKS / name), "out.ipynb"]
    for key, value in parameters.items():
        command += ["-p", key, str(value)]
    done = subprocess.run(
        # Beside the notebook lie modules that it imports.
        [*command, "-k", "python3", "--no-progress-bar", "--cwd", str(NOTEBOOKS)],
        env=os.environ
        | {
            "JUPYTER_MLOPS_WORKSPACE": str(place / "project"),
            "JUPYTER_MLOPS_AGENT_START": "false",
        },
        cwd=place,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return nbformat.read(place / "out.ipynb", as_version=4)


def shown(executed: nbformat.NotebookNode, line: str) -> str:
    """The text of the result of the cell that starts with a line."""
    (cell,) = [one for one in executed.cells if one.source.startswith(line)]
    (output,) = [one for one in cell.outputs if one.output_type != "stream"]
    return str(output.data["text/plain"])
