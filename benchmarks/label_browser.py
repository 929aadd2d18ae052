"""Labelling in a real browser: what fails under it, and how soon the next item is there.

See `labeling.py`, which calls this.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grounds import quantile, tell

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "browser")]

__all__ = ["faults", "first", "painted"]

DIGITS = """\
%load_ext jupyter_mlops
import numpy as np
from jupyter_mlops.labeling import png
shapes = np.random.default_rng(3).integers(0, 255, ({count}, 8, 8), dtype="uint8")
"""
LABELED = "%mlops label painted {shapes} --kind image --classes zero,one,two"
# As pigeon does it: a button a class, and an output that is cleared and filled again.
BUTTONS = """\
from IPython.display import Image, clear_output, display
from ipywidgets import HTML, Button, HBox, Output
done, count, place = [], HTML(), Output()
def show():
    count.value = f"{len(done)} labelled, {len(shapes) - len(done)} left"
    with place:
        clear_output(wait=True)
        display(Image(png(shapes[len(done)]), width=96))
def press(button):
    done.append((len(done), button.description))
    show()
buttons = [Button(description=name) for name in ("zero", "one", "two")]
for button in buttons:
    button.on_click(press)
display(count, HBox(buttons), place)
show()"""
# Two frames after the new picture is in the page it is on the screen, for either.
PRESS = """async n => {
    const place = document.querySelector('.jp-OutputArea-output .widget-output, .jp-RenderedImage')
        .closest('.jp-OutputArea');
    const source = () => place.querySelector('.jp-RenderedImage img')?.src;
    const before = source(), began = performance.now();
    document.querySelectorAll('.widget-button')[n % 3].click();
    await new Promise(go => {
        const look = new MutationObserver(() => {
            const now = source();
            if (now && now !== before) { look.disconnect(); go(); }
        });
        look.observe(place, {childList: true, subtree: true, attributes: true});
    });
    await new Promise(go => requestAnimationFrame(() => setTimeout(go)));
    return performance.now() - began;
}"""
RECORD = """root => {
    window.painted = []; window.acknowledged = [];
    root.addEventListener('mlops-label-painted', e => window.painted.push(e.detail.ms));
    root.addEventListener('mlops-label-acknowledged', e => window.acknowledged.push(e.detail.ms));
}"""
PACE = 150  # ms between two labels


@contextlib.contextmanager
def _lab() -> Iterator[Any]:
    """A JupyterLab of our own in a browser without a window."""
    from playwright.sync_api import sync_playwright

    from browser.conftest import Lab, launch

    home = Path(tempfile.mkdtemp(prefix="label-lab-"))
    root = home / "work"
    root.mkdir()
    with sync_playwright() as playwright:
        browser = launch(playwright)
        lab = Lab(root, home, browser)
        lab.start()
        try:
            yield lab
        finally:
            lab.stop()
            browser.close()
            shutil.rmtree(home, ignore_errors=True)


def faults(given: argparse.Namespace) -> bool:
    """No network, reloads and kernels that end, under hands that go on labelling."""
    from labelcells import LABELER, run_cell
    from labelfaults import Hands, kernel_ends, network_fails, open_panel, page_is_reloaded
    from test_label_faults import ELSEWHERE, remarks

    from jupyter_mlops.workspace import Workspace

    held = True
    with _lab() as lab:
        ws = Workspace.open(lab.root)

        def panel(task: str) -> Hands:
            remarks(ws, task)
            page = lab.open()
            open_panel(page, task)
            hands = Hands(page, given.seed)
            hands.take()
            return hands

        def told(what: str, hands: Hands, store: Workspace, task: str) -> bool:
            found = hands.faults(store, task)
            figure = f"{hands.acts} decisions, {len(hands.acknowledged)} acknowledged here; "
            return tell(what, figure + ("; ".join(found) or "all stored, each once"), not found)

        hands = panel("offline")
        network_fails(hands, given.offline)
        held &= told(f"{given.offline:.0f} s without network", hands, ws, "offline")
        for cut_off in (False, True):
            task = f"reload-{cut_off}"
            hands = panel(task)
            for _ in range(given.reloads):
                page_is_reloaded(hands, task, cut_off)
            hands.work(2)
            server = "out of reach" if cut_off else "in reach"
            held &= told(f"{given.reloads} reloads, server {server}", hands, ws, task)
        far = Path(tempfile.mkdtemp(prefix="label-far-"))
        pid = far / "kernel.pid"
        elsewhere = Workspace.open(far)
        remarks(elsewhere, "comm")
        source = ELSEWHERE.format(root=str(far), pid=str(pid), task="comm")
        page = lab.open(lab.notebook("ends.ipynb", ["1", "1", "'the end'"]))
        hands = Hands(page, given.seed)
        run_cell(page, source)
        page.wait_for_selector(f"{LABELER}[data-road=kernel]")
        hands.take()
        for _ in range(given.kernels):
            for how in ("killed", "restarted"):
                kernel_ends(hands, source, pid, how)
        what = f"{given.kernels} kernels killed and {given.kernels} restarted, labels by comm"
        held &= told(what, hands, elsewhere, "comm")
        shutil.rmtree(far, ignore_errors=True)
    return held


def painted(given: argparse.Namespace) -> bool:
    """How soon the next of 200 items is on the screen, and the label acknowledged; and a peer's."""
    from labelcells import LABELER, run_cell

    with _lab() as lab:
        cells = [DIGITS.format(count=given.shown + 60), "1", "'the end'"]
        page = lab.open(lab.notebook("painted.ipynb", cells))
        lab.run_all(page)
        run_cell(page, LABELED)
        page.locator(f"{LABELER}[data-state=ready]").wait_for()
        page.locator(LABELER).evaluate(RECORD)
        page.locator(LABELER).focus()
        for number in range(given.shown):
            page.keyboard.press("123"[number % 3])
            page.wait_for_timeout(PACE)
        page.wait_for_selector(f"{LABELER} .mlops-chip[data-link=saved]")
        ours, acknowledged = page.evaluate("() => [window.painted, window.acknowledged]")
        run_cell(page, BUTTONS)
        page.locator(".jp-RenderedImage img").wait_for()
        page.wait_for_timeout(1000)
        peer = []
        for number in range(given.shown):
            peer.append(page.evaluate(PRESS, number))
            page.wait_for_timeout(max(0, PACE - peer[-1]))
    middle, late = (quantile(ours, 0.5), quantile(ours, 0.95))
    theirs = (quantile(peer, 0.5), quantile(peer, 0.95))
    figure = (
        f"p50 {middle:.0f} ms, p95 {late:.0f} ms over {len(ours)}; a Button and an Output: "
        f"{theirs[0]:.0f}, {theirs[1]:.0f} ms over {len(peer)}; "
        f"{theirs[0] / middle:.1f} and {theirs[1] / late:.1f} times as long"
    )
    held = tell("next item painted", figure, middle <= 20 and late <= 60)
    middle, late = quantile(acknowledged, 0.5), quantile(acknowledged, 0.95)
    figure = f"p50 {middle:.0f} ms, p95 {late:.0f} ms over {len(acknowledged)}"
    return tell("acknowledged", figure, middle <= 30 and late <= 100) and held


def first(given: argparse.Namespace) -> bool:
    """How soon the first of 100,000 items is on the screen."""
    import polars as pl
    from labelfaults import CLASSES, open_panel

    from jupyter_mlops import data
    from jupyter_mlops.labeling import create
    from jupyter_mlops.workspace import Workspace

    with _lab() as lab:
        ws = Workspace.open(lab.root)
        count = given.first
        frame = pl.DataFrame({"remark": [f"remark {number}" for number in range(count)]})
        began = time.perf_counter()
        create(ws, "large", data.resolve(ws, frame), "text", list(CLASSES))
        made = time.perf_counter() - began
        create(ws, "small", data.resolve(ws, frame[:100]), "text", list(CLASSES))
        took = {}
        for task in ("small", "large"):
            page = lab.open()
            began = time.perf_counter()
            open_panel(page, task)
            page.locator(f"[aria-label='Labeler {task}'][data-state=ready]").wait_for()
            took[task] = time.perf_counter() - began
        figure = (
            f"{took['large']:.2f} s after it was asked for; of 100 items {took['small']:.2f} s; "
            f"making the task took {made:.1f} s"
        )
        return tell(f"first of {count:,} items shown", figure, took["large"] <= 1)
