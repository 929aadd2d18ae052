"""Where nobody watches, labelling says how far it is and the run goes on."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nbformat
import papermill
import pytest

from jupyter_mlops import mlops
from jupyter_mlops.labeling import status
from jupyter_mlops.workspace import Unavailable, Workspace

WIDGET = "application/vnd.jupyter.widget-view+json"
CELLS = [
    "%load_ext jupyter_mlops\n"
    "import polars as pl\n"
    "remarks = pl.DataFrame({'remark': ['fog', 'no crew', 'snow'], 'why': ['w', 'c', 'w']})",
    "%mlops label late {remarks} --kind text --column remark --classes w,c",
    "%mlops label import late {remarks} --column why",
    "labels = %mlops label export late --to late.csv",
    "%mlops label other {remarks} --kind text --column remark --classes w,c --wait",
]


def test_papermill_sees_the_state_and_a_wait_is_an_error_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = tmp_path / "share" / "kernels" / "here"
    kernel.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "here"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share"))
    monkeypatch.setenv("JUPYTER_MLOPS_WORKSPACE", str(tmp_path))
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    nbformat.write(book, tmp_path / "in.ipynb")
    with pytest.raises(papermill.PapermillExecutionError, match="nobody is here to label 'other'"):
        papermill.execute_notebook(
            tmp_path / "in.ipynb",
            tmp_path / "out.ipynb",
            kernel_name="here",
            cwd=tmp_path,
            progress_bar=False,
        )
    ran = nbformat.read(tmp_path / "out.ipynb", 4)
    outputs = [one.get("data", {}) for cell in ran.cells for one in cell.get("outputs", [])]
    shown = next(data for data in outputs if "label late" in data.get("text/plain", ""))
    assert "0 of 3" in shown["text/plain"]
    assert "<table>" in shown["text/html"]
    assert not any(WIDGET in data for data in outputs)
    assert "widgets" not in ran.metadata
    ws = Workspace.open(tmp_path)
    assert status(ws, "late").counts.labeled == 3
    assert (tmp_path / "late.csv").read_text().count("\n") == 4


def test_a_program_labels_with_the_same_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import polars as pl

    monkeypatch.setenv("JUPYTER_MLOPS_WORKSPACE", str(tmp_path))
    rows = pl.DataFrame({"x": ["a", "b"]})
    state = mlops.label("t", rows, kind="text", classes=["u", "v"])
    assert state.counts.open == 2
    assert len(mlops.label.next("t", count=1).items) == 1
    assert mlops.label.import_("t", rows.with_columns(y=pl.Series(["u", None])), column="y")
    with pytest.raises(Unavailable, match="leave --wait away"):
        mlops.label("t", wait=True)
    assert [task.name for task in mlops.label.status().tasks] == ["t"]
