"""Labelers in the cells of an open notebook, and what came of them in the store."""

from __future__ import annotations

from sqlalchemy import select

from jupyter_mlops.labeling import get
from jupyter_mlops.labeling.records import AnnotationRecord, ItemRecord
from jupyter_mlops.workspace import Workspace

LABELER = ".mlops-labeler"


def run_cell(page, source):
    """Put a source into the second cell and run it; don't wait until it is done."""
    page.evaluate(
        """async source => {
            const {content, sessionContext} = window.jupyterapp.shell.currentWidget;
            await sessionContext.session.kernel.info;
            content.widgets[1].model.sharedModel.setSource(source);
            content.activeCellIndex = 1;
            content.mode = 'command';
            void window.jupyterapp.commands.execute('notebook:run-cell');
        }""",
        source,
    )


def saved(page):
    """Wait until the labeler says that everything is."""
    page.wait_for_selector(f"{LABELER} .mlops-chip[data-link=saved]")


def answers(lab, name):
    """The answers that stand: item -> value."""
    ws = Workspace.open(lab.root)
    with ws.read() as session:
        rows = session.execute(
            select(ItemRecord.item, AnnotationRecord.value)
            .join(AnnotationRecord, AnnotationRecord.ev == ItemRecord.ev)
            .where(ItemRecord.task == get(ws, name).id, ItemRecord.state == "labeled")
        )
        return dict(rows.tuples().all())
