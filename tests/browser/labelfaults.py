"""Somebody labels in a real browser while network, page and kernel fail; what became of it."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

from labelcells import LABELER, run_cell, saved
from playwright.sync_api import Page
from sqlalchemy import select

from jupyter_mlops.labeling import get
from jupyter_mlops.labeling.records import AnnotationRecord, ItemRecord
from jupyter_mlops.workspace import Workspace

__all__ = [
    "CLASSES",
    "Hands",
    "kernel_ends",
    "network_fails",
    "open_panel",
    "page_is_reloaded",
    "reload",
]

CLASSES = ("zero", "one", "two")
HEAR = """document.addEventListener('mlops-label-acknowledged',
    event => window.mlopsHeard(event.detail.ev));"""
NOW = """selector => {
    const root = document.querySelector(selector);
    const focus = root.contains(document.activeElement);
    return {focus, item: root.dataset.item, full: root.querySelector('[title^=Skip]').disabled};
}"""
EXECUTE = "([id, args]) => window.jupyterapp.commands.execute(id, args)"
OFFLINE = f"{LABELER} .mlops-chip[data-link=offline]"


class Hands:
    """A person's hands on the keyboard, and a memory of all that they did.

    Parameters
    ----------
    page : Page
        Each labeler that it shows from now on tells what was acknowledged.
    seed : int
        Of what is answered.
    """

    def __init__(self, page: Page, seed: int = 1) -> None:
        self.page = page
        self.chance = random.Random(seed)
        self.acknowledged: set[str] = set()
        #: item -> class, as it was answered last
        self.expected: dict[int, str] = {}
        self.acts = 0
        page.expose_function("mlopsHeard", lambda ev: self.acknowledged.add(ev))
        page.add_init_script(HEAR)
        page.evaluate(HEAR)

    def act(self, undo: float = 0.15) -> bool:
        """Label the item on the screen, or take the last label back; False when neither goes."""
        now = self._look()
        shown = now["item"]
        if shown and now["full"]:
            return False
        back = not shown or self.chance.random() < undo
        number = self.chance.randrange(len(CLASSES))
        self.page.keyboard.press("u" if back else str(number + 1))
        after = self._look()["item"]
        if after == shown:
            return False
        self.acts += 1
        if back:
            del self.expected[int(after)]
        else:
            self.expected[int(shown)] = CLASSES[number]
        return True

    def _look(self) -> dict[str, Any]:
        """What the labeler shows, with the keyboard in it: Lab speaks up when it is cut off."""
        while True:
            now: dict[str, Any] = self.page.evaluate(NOW, LABELER)
            if now["focus"]:
                return now
            for button in self.page.locator(".jp-Dialog-footer button:last-child").all():
                button.click()
            self.page.locator(LABELER).focus()

    def work(self, count: int) -> None:
        """Do so many things, or as many as go."""
        for _ in range(count):
            self.act()

    def take(self) -> None:
        """Have the labeler on the screen in hand."""
        self.page.locator(f"{LABELER}[data-state=ready]").wait_for()
        self.page.locator(LABELER).focus()

    def faults(self, ws: Workspace, task: str) -> list[str]:
        """How the store differs from what the hands did; empty when it doesn't."""
        saved(self.page)
        found = []
        with ws.read() as session:
            id_ = get(ws, task).id
            evs = list(
                session.scalars(select(AnnotationRecord.ev).where(AnnotationRecord.task == id_))
            )
            labelled = (ItemRecord.task == id_) & (ItemRecord.state == "labeled")
            rows = session.execute(select(ItemRecord.item, ItemRecord.label).where(labelled))
            stand = dict(rows.tuples().all())
        if lost := self.acknowledged - set(evs):
            found.append(f"{len(lost)} acknowledged decisions are lost")
        if not self.acknowledged:
            found.append("nothing was acknowledged")
        if len(evs) != self.acts:
            found.append(f"{self.acts} decisions were taken, {len(evs)} are stored")
        either = sorted(stand.keys() | self.expected.keys())
        if wrong := [one for one in either if stand.get(one) != self.expected.get(one)]:
            found.append(f"items {wrong[:10]} have other labels than they were given")
        if not ws.audit().intact:
            found.append("the chain of events is broken")
        return found


def open_panel(page: Page, task: str) -> None:
    """Open a task's labeler, which needs no kernel."""
    page.evaluate(EXECUTE, ["jupyter-mlops:open-labeler", {"task": task}])


def network_fails(hands: Hands, seconds: float) -> None:
    """Go on labelling without network, as far as that goes; then it is back."""
    hands.work(6)
    hands.page.context.set_offline(True)
    ends = time.monotonic() + seconds
    hands.work(8)
    hands.page.wait_for_selector(OFFLINE)
    while time.monotonic() < ends:
        hands.work(4)
        hands.page.wait_for_timeout(min(200, 100 * seconds))
    hands.page.context.set_offline(False)
    saved(hands.page)
    hands.work(4)


def page_is_reloaded(hands: Hands, task: str, cut_off: bool) -> None:
    """Reload the page with the last key; with `cut_off` the server is out of reach then."""
    page = hands.page
    if cut_off:
        page.route("**/mlops/api/labels/*/events", lambda route: route.abort())
    hands.work(7)
    hands.act(undo=0)
    reload(page)
    page.unroute("**/mlops/api/labels/*/events")
    open_panel(page, task)
    hands.take()


def reload(page: Page) -> None:
    """Load the page anew."""
    page.reload(wait_until="domcontentloaded")
    page.wait_for_function("() => window.jupyterapp !== undefined", timeout=60_000)
    page.evaluate("async () => { await window.jupyterapp.restored; }")


def kernel_ends(hands: Hands, source: str, pid: Path, how: str) -> None:
    """End the kernel under the labeler, which goes on; then run its cell again.

    Parameters
    ----------
    hands : Hands
    source : str
        The cell's, which writes its kernel's process id into a file.
    pid : Path
        That file.
    how : {"killed", "restarted"}
    """
    page = hands.page
    hands.work(6)
    if how == "killed":
        os.kill(int(pid.read_text()), signal.SIGKILL)
    else:
        restart(page)
    hands.work(6)
    page.wait_for_selector(OFFLINE, timeout=60_000)
    pid.unlink()
    page.evaluate(
        """async () => {
            const context = window.jupyterapp.shell.currentWidget.sessionContext;
            while (context.session.kernel.status !== 'idle') {
                await new Promise(go => setTimeout(go, 100));
            }
        }"""
    )
    run_cell(page, source)
    while not pid.exists():
        page.wait_for_timeout(50)
    page.wait_for_selector(f"{LABELER}[data-road=kernel][data-state=ready]")
    hands.take()
    hands.work(4)


def restart(page: Page) -> Any:
    """Restart the open notebook's kernel."""
    return page.evaluate(
        """async () => {
            const context = window.jupyterapp.shell.currentWidget.sessionContext;
            await context.session.kernel.restart();
            await context.session.kernel.info;
        }"""
    )
