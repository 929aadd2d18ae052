"""A long profile is seen while it is made, leaves one output, and can be stopped."""

from __future__ import annotations

import signal
from typing import Any

import nbformat
import numpy as np
import polars as pl
import pytest
from nbclient import NotebookClient

CELLS = [
    "%load_ext jupyter_mlops",
    "%mlops profile rows.parquet",
    "kept = %mlops profile rows.parquet",
    "%mlops profile rows.parquet --quiet",
    "print(kept.rows, kept.complete); kept",
    "stopped = %mlops profile slow.parquet",
    "print(stopped.complete, stopped.rows < 2_000_000); stopped",
]
ROWS = 400_000
SLOW = 2_000_000


class Recorder(NotebookClient):
    """Runs a notebook, keeps what is drawn, and stops one cell after its first rows."""

    def __init__(self, notebook: Any, **kwargs: Any) -> None:
        super().__init__(notebook, **kwargs)
        self.drawn: dict[int, list[str]] = {}
        self.stopped = False

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        if msg["msg_type"] in {"display_data", "update_display_data", "execute_result"}:
            text = msg["content"]["data"]["text/plain"]
            self.drawn.setdefault(cell_index, []).append(text)
            if cell_index == 5 and not self.stopped:
                self.stopped = True
                assert self.km is not None
                # As Jupyter's stop button does.
                self.km.provisioner.process.send_signal(signal.SIGINT)
        return super().process_message(msg, cell, cell_index)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Recorder:
    """The notebook, run as papermill and nbconvert do."""
    folder = tmp_path_factory.mktemp("progress")
    draw = np.random.default_rng(0)
    numbers = {f"x{at}": draw.normal(size=ROWS) for at in range(12)}
    frame = pl.DataFrame(numbers)
    frame.write_parquet(folder / "rows.parquet", row_group_size=50_000)
    pl.concat([frame] * (SLOW // ROWS)).write_parquet(
        folder / "slow.parquet", row_group_size=50_000
    )
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    client = Recorder(
        nbformat.v4.new_notebook(cells=cells),
        timeout=120,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    return client


def outputs(run: Recorder, cell: int) -> list[Any]:
    """What the notebook file keeps below a cell."""
    found: list[Any] = run.nb.cells[cell].outputs
    return found


def test_the_first_columns_are_seen_before_the_last_rows_are_read(run: Recorder) -> None:
    first, *_, last = run.drawn[1]
    assert first.splitlines()[1].startswith("4 % · 16,384 of 400,000 rows · ")
    assert "x3" in first
    assert "400,000 rows · 12 columns" in last
    assert "so far" not in last


def test_the_notebook_keeps_one_output_the_result(run: Recorder) -> None:
    (output,) = outputs(run, 1)
    assert "so far" not in str(output)
    assert "application/vnd.jupyter-mlops.profile.v1+json" in output.data


def test_a_result_that_is_only_kept_leaves_a_line(run: Recorder) -> None:
    (output,) = outputs(run, 2)
    assert output.data == {"text/plain": "rows.parquet · 400,000 rows · 12 columns"}
    (printed, shown) = outputs(run, 4)
    assert printed.text == "400000 True\n"
    assert "400,000 rows" in shown.data["text/plain"]


def test_quiet_draws_nothing(run: Recorder) -> None:
    assert outputs(run, 3) == []
    assert 3 not in run.drawn


def test_an_interrupt_keeps_what_is_known_and_says_so(run: Recorder) -> None:
    (printed, shown) = outputs(run, 6)
    assert printed.text == "False True\n"
    assert "Stopped after " in shown.data["text/plain"]
    assert "! Stopped after" in shown.data["text/plain"]
