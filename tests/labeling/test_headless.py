"""Where nobody watches, labelling says how far it is and the run goes on."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nbformat
import papermill
import pytest

from jupyter_mlops import mlops
from jupyter_mlops.labeling import Decision, commit, status
from jupyter_mlops.workspace import Conflict, Unavailable, Workspace

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


def test_a_run_sees_how_well_people_agree_and_ends_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import polars as pl

    monkeypatch.setenv("JUPYTER_MLOPS_WORKSPACE", str(tmp_path))
    rows = pl.DataFrame({"x": ["fog", "snow", "crew"]})
    mlops.label("t", rows, kind="text", classes=["u", "v"], overlap=2)
    ws = Workspace.open(tmp_path)
    for person, said in (("jo", "uvu"), ("ana", "uvv")):
        decisions = [Decision(f"{person}{n}", n, "label", one) for n, one in enumerate(said)]
        commit(ws, "t", person, decisions)
    shown = mlops.label("t")._repr_mimebundle_()
    assert "3 of 3" in shown["text/plain"]
    assert "Agreement: 0.67" in shown["text/plain"]
    assert "Decided last" in shown["text/html"]
    assert mlops.label.require("t", count=3).counts.labeled == 3
    with pytest.raises(Conflict, match=r"alpha, nominal is 0\.\d+ over 3 items"):
        mlops.label.require("t", count=3, agreement=0.8)
    for view in (
        mlops.label.agreement("t"),
        mlops.label.people("t"),
        mlops.label.disputes("t"),
        mlops.label.adjudicate("t", 2, "v"),
        mlops.label.role("t", "jo", "reviewer"),
        mlops.label.set("t", overlap=3),
        mlops.label.gold("t", pl.DataFrame({"n": [0], "y": ["u"]}), column="y", item="n"),
        mlops.label.rank("t", by="random"),
        mlops.label.functions("t", [lambda text: "u" if "fog" in text else None]),
    ):
        text = view._repr_mimebundle_()["text/plain"]
        assert text.startswith("label t")
        assert len(text.splitlines()) <= 15
