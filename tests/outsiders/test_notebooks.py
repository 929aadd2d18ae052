"""The tour runs in every program that runs notebooks, and its results outlive the kernel."""

from __future__ import annotations

import calendar
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

TOUR = Path(__file__).parents[2] / "notebooks" / "flights.ipynb"
# A share of the year's days on which every step still has something to say.
SAMPLE = 0.03
LIMIT = 600
RESULTS = ("flights", "delays", "dep_delay", "delay-boosting", "champion", "Every event follows")


def _environment(home: Path) -> dict[str, str]:
    return os.environ | {
        "JUPYTER_MLOPS_WORKSPACE": str(home),
        "JUPYTER_MLOPS_AGENT_IDLE": "5",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }


def _sampled(folder: Path) -> Path:
    """The tour with the parameter set, for a program that takes none."""
    document = nbformat.read(TOUR, as_version=4)
    (cell,) = [one for one in document.cells if "parameters" in one.metadata.get("tags", [])]
    cell.source, changed = re.subn(r"sample = [\d.]+", f"sample = {SAMPLE}", cell.source)
    assert changed == 1
    nbformat.write(document, folder / "tour.ipynb")
    return folder / "tour.ipynb"


def _by_papermill(folder: Path) -> nbformat.NotebookNode:
    executed = folder / "executed.ipynb"
    command = [sys.executable, "-m", "papermill", str(TOUR), str(executed)]
    command += ["-p", "sample", str(SAMPLE), "-k", "python3", "--no-progress-bar"]
    _run(command, folder)
    return nbformat.read(executed, as_version=4)


def _by_jupyter_execute(folder: Path) -> nbformat.NotebookNode:
    notebook = _sampled(folder)
    command = [sys.executable, "-m", "jupyter", "execute", "--inplace", str(notebook)]
    _run([*command, f"--timeout={LIMIT}"], folder)
    return nbformat.read(notebook, as_version=4)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command,
        env=_environment(folder / "project"),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]


RUNNERS = {
    "papermill": _by_papermill,
    # nbclient's own program.
    "jupyter execute": _by_jupyter_execute,
}


@pytest.fixture(scope="module", params=RUNNERS)
def executed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> nbformat.NotebookNode:
    """The tour, executed by one of the programs."""
    return RUNNERS[request.param](tmp_path_factory.mktemp("tour"))


def _outputs(document: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [
        output for cell in document.cells if cell.cell_type == "code" for output in cell.outputs
    ]


@pytest.mark.timeout(LIMIT + 60)
def test_every_cell_runs_and_the_table_is_printed(executed: nbformat.NotebookNode) -> None:
    assert not [one for one in _outputs(executed) if one.output_type == "error"]
    (summary,) = [one for one in executed.cells if "summary" in one.metadata.get("tags", [])]
    table = "".join(one.text for one in summary.outputs if one.output_type == "stream")
    lines = table.strip().splitlines()
    assert lines[0].split()[:3] == ["month", "rows", "served"]
    assert [line.split()[0] for line in lines[1:]] == list(calendar.month_name[3:])


@pytest.mark.timeout(LIMIT + 60)
def test_each_result_is_small_and_has_all_renderings(executed: nbformat.NotebookNode) -> None:
    shown = 0
    for output in _outputs(executed):
        kinds = list(output.get("data", {}))
        ours = [kind for kind in kinds if kind.startswith("application/vnd.jupyter-mlops.")]
        if ours:
            shown += 1
            assert {"text/plain", "text/html"} <= set(kinds)
            assert len(output.data["text/plain"].splitlines()) <= 15
            assert len(nbformat.writes(_only(output)).encode()) < 200_000
    assert shown >= 15


@pytest.mark.timeout(LIMIT + 60)
def test_a_page_made_of_it_has_no_script_and_keeps_the_results(
    executed: nbformat.NotebookNode, tmp_path: Path
) -> None:
    nbformat.write(executed, tmp_path / "executed.ipynb")
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--template", "basic"]
    _run([*command, "executed.ipynb"], tmp_path)
    page = (tmp_path / "executed.html").read_text("utf-8")
    for result in RESULTS:
        assert result in page, result
    assert "<script" not in page.lower()
    assert not re.search(r"<[^>]+\son\w+\s*=", page)
    assert not re.search(r"""<(img|link|iframe|source|object)[^>]+["'(](https?:)?//""", page)


def test_a_cell_that_fails_stops_papermill_with_its_sentence(tmp_path: Path) -> None:
    document = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell("%load_ext jupyter_mlops"),
            nbformat.v4.new_code_cell("%mlops data show nothing"),
            nbformat.v4.new_code_cell("print('never')"),
        ],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(document, tmp_path / "fails.ipynb")
    done = subprocess.run(
        [sys.executable, "-m", "papermill", "fails.ipynb", "out.ipynb", "--no-progress-bar"],
        env=_environment(tmp_path / "project"),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "no dataset is called 'nothing'" in done.stderr
    (_, _, last) = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells[-3:]
    assert last.source == "print('never')"
    assert last.outputs == []


def _only(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    cell = nbformat.v4.new_code_cell("")
    cell.outputs = [output]
    return nbformat.v4.new_notebook(cells=[cell])
