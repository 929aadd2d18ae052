"""No label is lost, and none is stored twice, when the network, the page or the kernel fails."""

from __future__ import annotations

import polars as pl
import pytest
from labelcells import run_cell
from labelfaults import (
    CLASSES,
    Hands,
    kernel_ends,
    network_fails,
    open_panel,
    page_is_reloaded,
)

from jupyter_mlops import data
from jupyter_mlops.labeling import create
from jupyter_mlops.workspace import Workspace

ELSEWHERE = """\
import os
os.environ["JUPYTER_MLOPS_WORKSPACE"] = {root!r}
open({pid!r}, "w").write(str(os.getpid()))
%load_ext jupyter_mlops
%mlops label {task}"""


def remarks(ws, task):
    frame = pl.DataFrame({"remark": [f"remark {number}" for number in range(500)]})
    create(ws, task, data.resolve(ws, frame), "text", list(CLASSES))


@pytest.fixture
def panel(lab):
    """A task, and hands on its labeler in a panel of its own page."""

    def open_task(task):
        ws = Workspace.open(lab.root)
        remarks(ws, task)
        page = lab.open()
        open_panel(page, task)
        hands = Hands(page)
        hands.take()
        return ws, hands

    return open_task


def test_labels_wait_while_there_is_no_network(panel):
    ws, hands = panel("offline")
    network_fails(hands, seconds=3)
    assert hands.faults(ws, "offline") == []


@pytest.mark.parametrize("cut_off", [False, True])
def test_a_page_reloaded_with_the_last_key_loses_none(panel, cut_off):
    task = f"reload-{cut_off}"
    ws, hands = panel(task)
    for _ in range(2):
        page_is_reloaded(hands, task, cut_off)
    hands.work(2)
    assert hands.faults(ws, task) == []


def test_a_kernel_that_ends_under_the_labeler_loses_none(lab, tmp_path):
    ws, pid = Workspace.open(tmp_path), tmp_path / "kernel.pid"
    remarks(ws, "comm")
    source = ELSEWHERE.format(root=str(tmp_path), pid=str(pid), task="comm")
    page = lab.open(lab.notebook("ends.ipynb", ["1", "1", "'the end'"]))
    hands = Hands(page)
    run_cell(page, source)
    page.wait_for_selector(".mlops-labeler[data-road=kernel]")
    hands.take()
    for how in ("killed", "restarted"):
        kernel_ends(hands, source, pid, how)
    assert hands.faults(ws, "comm") == []
