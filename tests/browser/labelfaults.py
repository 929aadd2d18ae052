"""Somebody labels in a real browser while network, page and kernel fail; what became of it."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from typing import Any

from playwright.sync_api import Page
from sqlalchemy import select

from jupyter_mlops.labeling import get
from jupyter_mlops.labeling.records import AnnotationRecord, ItemRecord
from jupyter_mlops.workspace import Workspace

__all__ = ["LABELER", "Hands", "kill_kernel", "open_panel", "unsaved"]

LABELER = ".mlops-labeler"
CLASSES = ("zero", "one", "two")
HEAR = """document.addEventListener('mlops-label-acknowledged',
    event => window.mlopsHeard(event.detail.ev));"""
NOW = """selector => {
    const root = document.querySelector(selector);
    return {item: root.dataset.item, full: root.querySelector('[title^=Skip]').disabled};
}"""
EXECUTE = "([id, args]) => window.jupyterapp.commands.execute(id, args)"


class Hands:
    """A person's hands on the keyboard, and a memory of all that they did.

    Parameters
    ----------
    page : Page
        Not yet on the labeler; every page that shows it tells what was acknowledged.
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
        page.context.expose_function("mlopsHeard", self.acknowledged.add)
        page.context.add_init_script(HEAR)
        page.evaluate(HEAR)

    def act(self, undo: float = 0.15) -> bool:
        """Label the item on the screen, or take the last label back; False when neither goes."""
        now = self.page.evaluate(NOW, LABELER)
        if now["item"] and not now["full"]:
            if self.expected and self.chance.random() < undo:
                return self._undo()
            number = self.chance.randrange(len(CLASSES))
            self.page.keyboard.press(str(number + 1))
            self.expected[int(now["item"])] = CLASSES[number]
            self.acts += 1
            return True
        return not now["item"] and bool(self.expected) and self._undo()

    def _undo(self) -> bool:
        before = self.page.evaluate(NOW, LABELER)["item"]
        self.page.keyboard.press("u")
        item = self.page.evaluate(NOW, LABELER)["item"]
        if item == before:
            return False
        del self.expected[int(item)]
        self.acts += 1
        return True

    def work(self, count: int, pace: float = 0) -> None:
        """Do so many things, or until nothing more goes."""
        for _ in range(count):
            if not self.act():
                return
            self.page.wait_for_timeout(pace)

    def focus(self) -> None:
        """Take the labeler that is on the screen into hand."""
        self.page.locator(f"{LABELER}[data-state=ready]").wait_for()
        self.page.locator(LABELER).focus()

    def saved(self, timeout: float = 30_000) -> None:
        """Wait until the labeler says that everything is."""
        self.page.wait_for_selector(f"{LABELER} .mlops-chip[data-link=saved]", timeout=timeout)

    def faults(self, ws: Workspace, task: str) -> list[str]:
        """How the store differs from what the hands did; empty when it doesn't."""
        found = []
        with ws.read() as session:
            mine = AnnotationRecord.task == get(ws, task).id
            evs = list(session.scalars(select(AnnotationRecord.ev).where(mine)))
            standing = session.execute(
                select(ItemRecord.item, ItemRecord.label).where(
                    ItemRecord.task == get(ws, task).id, ItemRecord.state == "labeled"
                )
            )
            stand = dict(standing.tuples().all())
        if lost := self.acknowledged - set(evs):
            found.append(f"{len(lost)} acknowledged decisions are lost")
        if len(evs) != self.acts:
            found.append(f"{self.acts} decisions were taken, {len(evs)} are stored")
        if stand != self.expected:
            wrong = {one for one in stand.keys() | self.expected if stand.get(one) != self.expected.get(one)}
            found.append(f"items {sorted(wrong)[:10]} have other labels than were given")
        if not ws.audit().intact:
            found.append("the chain of events is broken")
        return found


def open_panel(page: Page, task: str) -> None:
    """Open a task's labeler, which needs no kernel."""
    page.evaluate(EXECUTE, ["jupyter-mlops:open-labeler", {"task": task}])


def unsaved(page: Page) -> None:
    """Wait until the labeler says that it can't save."""
    page.wait_for_selector(f"{LABELER} .mlops-chip[data-link=offline]")


def kill_kernel(pid: Path) -> None:
    """Kill the kernel that wrote its process id into a file."""
    os.kill(int(pid.read_text()), signal.SIGKILL)


def restart_kernel(page: Page) -> Any:
    """Restart the open notebook's kernel."""
    return page.evaluate(
        """async () => {
            const context = window.jupyterapp.shell.currentWidget.sessionContext;
            await context.session.kernel.restart();
            await context.session.kernel.info;
        }"""
    )
