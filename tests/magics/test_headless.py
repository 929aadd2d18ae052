"""Where nobody watches, a failure is an exit code with its reason, and a success is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat


def notebook(folder: Path, *cells: str) -> Path:
    """Write a notebook."""
    book = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "p", "language": "python"}}
    )
    book.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    path = folder / "book.ipynb"
    nbformat.write(book, path)
    return path


def papermill(folder: Path, *cells: str) -> tuple[subprocess.CompletedProcess[str], list[Any]]:
    """Run a notebook; what became of it, and the outputs it kept."""
    notebook(folder, "%load_ext jupyter_mlops", *cells)
    command = [sys.executable, "-m", "papermill", "book.ipynb", "out.ipynb", "--no-progress-bar"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    kept = nbformat.read(folder / "out.ipynb", 4).cells
    return done, [one for cell in kept for one in cell.get("outputs", [])]


def test_a_failure_ends_papermill_with_its_reason(tmp_path: Path) -> None:
    done, outputs = papermill(
        tmp_path, "%mlops audit verify", "%mlops data show nosuch", "print('not reached')"
    )
    assert done.returncode == 1
    assert "no dataset" in done.stderr
    assert "nosuch" in done.stderr
    result, error = (one for one in outputs if one.output_type != "stream")
    # Results are kept in all their forms, for viewers with and without our extension.
    assert set(result.data) == {
        "text/plain",
        "text/html",
        "application/vnd.jupyter-mlops.audit.v1+json",
    }
    assert error.output_type == "error"
    assert len(error.traceback) <= 3
    assert "not reached" not in str(outputs)
